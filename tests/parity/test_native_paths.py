"""The path that a process takes is the fastest of those that can do the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pantoum.kernels import measured, native
from pantoum.kernels.native import library as choice
from pantoum.kernels.native.library import fastest_path

SHOW = "from pantoum import kernels; kernels.backend('f4'); print(kernels.native.core().isa)"


class Paths:
    """The paths of some machine; the last is in use."""

    def __init__(self, *names: str) -> None:
        self.names, self.isa, self.has_bf16 = names, names[-1], names[-1] in ("bf16", "amx")

    def paths(self) -> tuple[str, ...]:
        return self.names

    def set_isa(self, name: str) -> None:
        self.isa = name

    def set_own_threads(self, count: int) -> None:
        pass


@pytest.mark.parametrize(
    ("paths", "seconds", "best"),
    [
        ("generic avx2 avx512", {"avx2": 1.0, "avx512": 1.3}, "avx2"),
        ("generic avx2 avx512", {"avx2": 1.0, "avx512": 1.01}, "avx512"),
        ("generic avx2 avx512", {"avx2": 1.0, "avx512": 0.5}, "avx512"),
        ("generic avx2 avx512 bf16 amx", {"bf16": 1.0, "amx": 1.3}, "bf16"),
        ("generic avx2 avx512 bf16 amx", {"bf16": 1.0, "amx": 0.2}, "amx"),
    ],
)
def test_the_clearly_faster_path_is_taken(
    monkeypatch: pytest.MonkeyPatch, paths: str, seconds: dict[str, float], best: str
) -> None:
    def least_times(question: str, ways: dict[str, object]) -> dict[str, float]:
        assert set(ways) == set(seconds)
        return seconds

    monkeypatch.setattr(measured, "least_times", least_times)
    machine = Paths(*paths.split())
    before = machine.isa
    assert fastest_path(machine) == best  # type: ignore[arg-type]
    assert machine.isa == before


@pytest.mark.parametrize("paths", ["generic", "generic neon", "generic avx2", "generic avx2 avx512 bf16"])
def test_where_no_other_path_can_do_the_same_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, paths: str
) -> None:
    monkeypatch.setattr(measured, "least_times", None)
    assert fastest_path(Paths(*paths.split())) == paths.split()[-1]  # type: ignore[arg-type]


@pytest.mark.usefixtures("core")
def test_products_are_measured_on_each_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On the real core: what was packed for one path is used on that path alone."""
    library = native.core()
    before, seen = library.isa, {}

    def least_times(question: str, ways) -> dict[str, float]:
        seen.update({name: work() for _ in range(2) for name, work in ways.items()})
        return dict.fromkeys(ways, 1.0)

    monkeypatch.setattr(measured, "least_times", least_times)
    monkeypatch.setattr(choice, "ALIKE", (library.paths(),))
    monkeypatch.setattr(native.Library, "has_bf16", False)
    assert fastest_path(library) == before == library.isa and set(seen) == set(library.paths())
    for found in seen.values():
        assert np.array_equal(found, seen["generic"])


def test_the_environment_overrules_what_is_fastest(tmp_path: Path) -> None:
    paths = native.core().paths()
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    for path in paths:
        environment["PANTOUM_ISA"] = path
        command = [sys.executable, "-c", SHOW]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == path
    assert not list(tmp_path.iterdir())
