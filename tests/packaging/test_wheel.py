"""The sdist is complete. Without a compiler it gives one wheel for every Python, with the core or without."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pantoum.kernels import without_core

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


def test_the_sdist_holds_every_tracked_file(sdist: Path) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tarfile.open(sdist) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    bases = {name for name in listed.splitlines() if name.startswith("bases/")}  # packages of their own
    assert set(listed.splitlines()) - held == bases != set()


def test_one_small_wheel_for_every_python(wheel: Path) -> None:
    assert "-py3-none-" in wheel.name and not wheel.name.endswith("any.whl")
    if sys.platform == "linux":
        assert wheel.name.endswith(f"-py3-none-linux_{platform.machine()}.whl")
    names = zipfile.ZipFile(wheel).namelist()
    modules = [name for name in names if name.endswith(".wasm")]  # for browsers; releases have them
    assert wheel.stat().st_size < (2_500_000 if modules else 2_000_000)
    assert sum("libpantoum_core" in name for name in names) == 1
    assert not [name for name in names if not name.startswith(("pantoum/", "pantoum-"))]


def test_installed_into_an_empty_environment_it_trains_on_its_core(
    wheel: Path, install: Any, tmp_path: Path
) -> None:
    place = install(wheel)
    trained = place.pantoum(*TRAIN)
    assert trained["steps"] == 4
    if without_core() is None:  # ours, of another compiler, has the same bits
        ours = tmp_path / "ours"
        ours.mkdir()
        shutil.copy(tmp_path / "rain.txt", ours)
        subprocess.run([sys.executable, "-m", "pantoum", *TRAIN, "--quiet"], cwd=ours, check=True)
        (model,) = ours.glob("runs/*/model.safetensors")
        assert model.read_bytes() == Path(place.folder, trained["model"]).read_bytes()
    assert place.pantoum("doctor")["native_core"] is True
    assert place.pantoum("generate", trained["model"], "--length", "5", "--seed", "1")["texts"]


def test_without_a_compiler_it_trains_on_numpy_and_doctor_says_so(pure_wheel: Path, install: Any) -> None:
    assert pure_wheel.name.endswith("-py3-none-any.whl")
    place = install(pure_wheel)
    assert place.pantoum(*TRAIN)["steps"] == 4
    doctor = place.pantoum("doctor")
    assert doctor["native_core"] is False and doctor["isa"] == "numpy"
    assert any("native core is not in use" in line for line in doctor["advice"])


def test_its_core_needs_the_c_library_alone(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lief", reason="SKIP SKIP SKIP  lief is missing: no library is read")
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    import wheel_checks

    zipfile.ZipFile(wheel).extractall(tmp_path)
    (library,) = (tmp_path / "pantoum" / "kernels" / "native").glob("libpantoum_core.*")
    assert wheel_checks.of_the_library(library, f"manylinux_2_17_{platform.machine()}") == []
