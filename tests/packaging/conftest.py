"""Distributions made from this source tree, and empty environments to install them into.

This needs the package index (scikit-build-core, NumPy, rich), so all of it is `slow`: `make check` runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TEXT = "the rain in the plain falls again and again on the train\n" * 200


def run(*command: object, **settings: Any) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=500, **settings
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def surroundings(**changes: str | None) -> dict[str, str]:
    """This process's environment without what would lead back into the source tree. A core that is compiled
    need not be fast: ``make wheels`` looks at one that is."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PANTOUM_", "PYTHON", "COV_"))
    }
    kept["SKBUILD_CMAKE_DEFINE"] = "PANTOUM_OPTIMIZE=-O1"
    for name, value in changes.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value
    return kept


def wheel_of(source: Path, folder: Path, environment: Mapping[str, str]) -> Path:
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "-w",
        folder,
        source,
        env=dict(environment),
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="SKIP SKIP SKIP  python -m build is missing: no sdist to test")
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT, env=surroundings())
    (archive,) = folder.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sdist gives where no compiler is and the index has one."""
    nothing = tmp_path_factory.mktemp("nothing")
    return wheel_of(sdist, tmp_path_factory.mktemp("wheel"), surroundings(PATH=str(nothing), CXX=None))


@pytest.fixture(scope="session")
def pure_wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sdist gives where the compiler cannot be had, or makes nothing."""
    return wheel_of(sdist, tmp_path_factory.mktemp("pure"), surroundings(CXX="/bin/false"))


class Installed:
    """An environment that has nothing but the wheel and what it asks for, used from a folder of its own."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder, home = folder, folder / "environment"
        venv.create(home, with_pip=True)
        run(
            home / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            wheel,
            env=surroundings(),
            cwd=folder,
        )
        self.command = home / "bin" / "pantoum"
        (folder / "rain.txt").write_text(TEXT)

    def pantoum(self, *arguments: str) -> Any:
        return json.loads(run(self.command, *arguments, "--json", cwd=self.folder, env=surroundings()))


@pytest.fixture
def install(tmp_path: Path) -> Callable[[Path], Installed]:
    return lambda wheel: Installed(wheel, tmp_path)
