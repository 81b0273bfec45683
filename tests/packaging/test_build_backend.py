"""Nothing is compiled to learn a name and a version; a compiler is asked of the index only where none is."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def zig(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    import zig

    return zig


@pytest.mark.skipif(sys.platform != "linux", reason="a compiler is a script here")
@pytest.mark.parametrize(
    ("compiler", "setting", "wanted"),
    [
        (None, {}, True),
        ("exit 1", {}, True),  # it is there and makes no program
        ("exit 0", {}, False),
        (None, {"CXX": "/opt/my-clang"}, False),
        (None, {"PANTOUM_CORE": "numpy"}, False),
    ],
)
def test_zig_is_wanted_only_where_nothing_else_compiles(
    zig: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compiler: str | None,
    setting: dict[str, str],
    wanted: bool,
) -> None:
    if compiler is not None:
        (tmp_path / "c++").write_text(f"#!/bin/sh\n{compiler}\n")
        (tmp_path / "c++").chmod(0o755)
    for name in ("CXX", "PANTOUM_CORE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PATH": str(tmp_path), **setting}.items():
        monkeypatch.setenv(name, value)
    target = zig.target_here()
    assert (target is not None) == wanted
    assert target is None or target.startswith(f"{platform.machine()}-linux-")


def test_a_link_takes_no_library_of_cpp_and_one_kind_of_processor(zig: Any) -> None:
    always = ["c++", "-target", "x86_64-linux-musl", "-O2"]
    assert zig.arguments("x86_64-linux-musl", "-mavx2", "-c", "a.cpp") == [*always, "-mavx2", "-c", "a.cpp"]
    linked = zig.arguments("x86_64-linux-musl", "-mavx2", "a.o", "-o", "a.so")
    assert linked == [*always, "a.o", "-o", "a.so", "-nostdlib++", "-s"]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_the_metadata_need_no_compiler_and_say_which_pythons_fit(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("scikit_build_core", reason="SKIP SKIP SKIP  scikit-build-core is missing")
    script = (
        "import sys; sys.path.insert(0, 'packaging'); import pantoum_build as backend; "
        f"print(backend.prepare_metadata_for_build_{kind}(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        env={"PATH": "", "CXX": "/bin/false", "CMAKE_EXECUTABLE": "/bin/false"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    told = (tmp_path / done.stdout.split()[-1] / "METADATA").read_text()
    assert (
        "Name: pantoum\n" in told and "Requires-Python: >=3.10\n" in told and "Requires-Dist: numpy" in told
    )
