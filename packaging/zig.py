"""zig, of PyPI's ziglang, as the compiler of the core: of every wheel, and of machines that have none.

`python -m zig TARGET ARGUMENTS...` is the C++ compiler that CMake calls. zig itself compiles what a program
is linked with, so less is linked: no library of C++, of which the core needs nothing (a minute of processor
time), and for one kind of processor, whatever the objects are for. What is linked is stripped.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

ZIG = "ziglang==0.17.1"
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "win_amd64": "x86_64-windows-gnu",
    "win_arm64": "aarch64-windows-gnu",
}
"""The platforms of our wheels, and what zig calls them."""
TRIAL = "#include <thread>\n#include <optional>\nint main() { return std::optional<int>(0).value(); }\n"


def environment(target: str) -> dict[str, str]:
    """In which CMake compiles by zig, for the oldest processor of the target. The folder of this file is no
    part of the command: it may have spaces."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH")]))
    return {"CXX": f"{sys.executable} -m zig {target}", "CMAKE_GENERATOR": "Ninja", "PYTHONPATH": path}


def target_here() -> str | None:
    """What zig would compile for. None: the core is not wanted, the machine has a compiler, CXX names one, or
    the platform has no wheel of ours."""
    if os.environ.get("PANTOUM_CORE") == "numpy" or os.environ.get("CXX") or has_compiler():
        return None
    from packaging.tags import platform_tags

    return next((TARGETS[tag] for tag in platform_tags() if tag in TARGETS), None)


def has_compiler() -> bool:
    """Whether a compiler of this machine makes a program. On Windows zig is the only one that was tried."""
    import shutil
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "trial.cpp").write_text(TRIAL)
        options = ("-std=c++17", "trial.cpp", "-o", "trial")
        for name in filter(shutil.which, ("c++", "g++", "clang++") if sys.platform != "win32" else ()):
            if subprocess.run([name, *options], cwd=folder, capture_output=True).returncode == 0:
                return True
    return False


def arguments(target: str, *given: str) -> list[str]:
    """What zig is called with, where a compiler would be called with what is given."""
    if "-c" not in given:
        # zig links nothing of its own as a DLL; after -shared it takes -static for an archive.
        kept = (each for each in given if not each.startswith("-m") and each != "-static")
        given = (*kept, "-nostdlib++", "-s")
    return ["c++", "-target", target, "-O2", *given]


if __name__ == "__main__":  # a hundred times for one core, so nothing is imported or started that need not be
    sys.argv[1:] = arguments(*sys.argv[1:])
    runpy.run_module("ziglang", run_name="__main__")
