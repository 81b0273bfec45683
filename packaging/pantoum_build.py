"""The build backend: that of scikit-build-core, with two differences.

Where there is no C++ compiler, that of PyPI's ziglang becomes a requirement of the build, so that
`pip install` gives the native core everywhere. With a compiler, with CXX set, or with PANTOUM_CORE=numpy
nothing is asked for.

And nothing is compiled to learn a name and a version. scikit-build-core prepares no metadata for a project
that falls back to a wheel without its core where the build fails, because the tags of the wheel are not known
before. pip then compiles everything while it says "Preparing metadata", and refuses a Python that is too old
after minutes. Name, version, the Pythons and the requirements do not depend on the compiler: they are
prepared here, as those of a wheel without the core. The tags are decided when the wheel is built, so the
prepared ones are not compared with them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import zig
from scikit_build_core import build as _backend
from scikit_build_core.build import build_sdist as build_sdist
from scikit_build_core.build import get_requires_for_build_sdist as get_requires_for_build_sdist

if TYPE_CHECKING:  # a Python that is too old reads this file, to be told so
    Settings = dict[str, str | list[str]]


def get_requires_for_build_wheel(config_settings: Settings | None = None) -> list[str]:
    wanted = [zig.ZIG] if _take_zig(config_settings) else []
    return [*_backend.get_requires_for_build_wheel(config_settings), *wanted]


def get_requires_for_build_editable(config_settings: Settings | None = None) -> list[str]:
    wanted = [zig.ZIG] if _take_zig(config_settings) else []
    return [*_backend.get_requires_for_build_editable(config_settings), *wanted]


def build_wheel(
    wheel_directory: str, config_settings: Settings | None = None, metadata_directory: object = None
) -> str:
    _take_zig(config_settings)
    return _backend.build_wheel(wheel_directory, config_settings)


def build_editable(
    wheel_directory: str, config_settings: Settings | None = None, metadata_directory: object = None
) -> str:
    _take_zig(config_settings)
    return _backend.build_editable(wheel_directory, config_settings)


def _take_zig(settings: Settings | None) -> bool:
    """Let CMake compile by zig, if nothing else can and the core is wanted."""
    target = None if (settings or {}).get("wheel.cmake") == "false" else zig.target_here()
    os.environ.update(zig.environment(target) if target else {})
    return target is not None


try:
    from scikit_build_core.build.wheel import _build_wheel_impl as _wheel
except ImportError:  # another version: pip builds the wheel to read its metadata
    pass
else:

    def prepare_metadata_for_build_wheel(
        metadata_directory: str, config_settings: Settings | None = None
    ) -> str:
        settings = {**(config_settings or {}), "wheel.cmake": "false"}
        return _wheel(None, settings, metadata_directory, editable=False).wheel_filename

    def prepare_metadata_for_build_editable(
        metadata_directory: str, config_settings: Settings | None = None
    ) -> str:
        settings = {**(config_settings or {}), "wheel.cmake": "false"}
        return _wheel(None, settings, metadata_directory, editable=True).wheel_filename
