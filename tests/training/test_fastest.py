"""The precision that --minutes chooses is the one whose products were the fastest, measured in turns."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from pantoum import kernels
from pantoum.training import fastest
from pantoum.training.fastest import Fastest, cache_file, fastest_precision


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Machine:
    """A core whose products take the seconds that a table says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, list[float]]) -> None:
        self.now, self.calls = 0.0, 0
        turns = {name: itertools.cycle(each) for name, each in seconds.items()}

        def pack(weight, precision):
            def product(x):
                self.now += next(turns[precision]) * len(x)
                self.calls += 1

            return type("Packed", (), {"product": staticmethod(product)})

        monkeypatch.setattr(kernels, "precisions", lambda: tuple(seconds))
        monkeypatch.setattr(kernels, "backend", lambda dtype: type("Core", (), {"pack": staticmethod(pack)}))
        monkeypatch.setattr(fastest, "_key", lambda *sizes: "here|" + str(sizes))

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(("float32", "bf16", "best"), [(1.0, 2.1, "float32"), (2.0, 1.1, "bf16")])
def test_the_faster_one_is_chosen(monkeypatch: pytest.MonkeyPatch, float32, bf16, best) -> None:
    machine = Machine(monkeypatch, {"float32": [float32], "bf16": [bf16]})
    found = fastest_precision(17, 50, 3, machine.clock)
    assert found.precision == best
    assert found.gflops["float32"] / found.gflops["bf16"] == pytest.approx(bf16 / float32, rel=0.1)
    assert best in str(found.reason())


def test_a_busy_machine_does_not_choose_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of its products take far longer than they should, whatever their precision."""
    busy = [30.0, 9.0, 1.0, 50.0, 7.0]
    machine = Machine(monkeypatch, {"float32": busy, "bf16": [2.0 * t for t in busy[::-1]]})
    assert fastest_precision(17, 50, 3, machine.clock).precision == "float32"


def test_what_was_measured_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {"float32": [1.0], "bf16": [2.0]})
    first = fastest_precision(17, 50, 3, machine.clock)
    calls = machine.calls
    assert fastest_precision(17, 50, 3, machine.clock) == first and machine.calls == calls
    fastest_precision(18, 50, 3, machine.clock)  # of other sizes
    assert machine.calls == 2 * calls


@pytest.mark.parametrize(
    "content", ["", "[]", '{"here|(17, 50, 3)": 5}', '{"here|(17, 50, 3)": {"bf16": 1}}', "\0"]
)
def test_a_cache_of_something_else_is_measured_again(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    machine = Machine(monkeypatch, {"float32": [1.0], "bf16": [2.0]})
    cache_file().parent.mkdir(parents=True)
    cache_file().write_text(content)
    assert fastest_precision(17, 50, 3, machine.clock).precision == "float32"
    assert set(json.loads(cache_file().read_text())["here|(17, 50, 3)"]) == {"float32", "bf16"}


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine(monkeypatch, {"float32": [1.0], "bf16": [0.4]})
    (tmp_path / "pantoum").write_text("a file where the folder would be")
    assert fastest_precision(17, 50, 3, machine.clock).precision == "bf16"


def test_where_there_is_one_precision_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "precisions", lambda: ("float32",))
    assert fastest_precision(17, 50, 3) == Fastest("float32", {})
    assert not cache_file().exists() and Fastest("float32", {}).reason() is None
