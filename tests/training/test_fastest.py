"""What --minutes chooses, precision and path, is what was measured to be the fastest, in turns."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pantoum import kernels
from pantoum.kernels import measured
from pantoum.kernels.measured import cache_file, cache_folder, least_times
from pantoum.training.fastest import Fastest, fastest_precision


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

            return SimpleNamespace(product=product)

        core = SimpleNamespace(isa="bf16", set_own_threads=lambda count: None)
        monkeypatch.setattr(kernels, "precisions", lambda: tuple(seconds))
        monkeypatch.setattr(kernels, "backend", lambda dtype: SimpleNamespace(pack=pack))
        monkeypatch.setattr(kernels.native, "core", lambda: core)

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
    "content",
    ["", "[]", '{"KEY": 5}', '{"KEY": {"a": 1}}', '{"KEY": {"a": NaN, "b": 1}}', "\0", "[" * 99_999],
)
def test_a_cache_of_something_else_is_measured_again(content: str) -> None:
    ways = {"a": lambda: None, "b": lambda: None}
    least_times("which", ways)
    (key,) = json.loads(cache_file().read_text())
    cache_file().write_text(content.replace("KEY", key.replace("\\", "\\\\")))
    found = least_times("which", ways)
    assert set(found) == {"a", "b"} and json.loads(cache_file().read_text()) == {key: found}


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine(monkeypatch, {"float32": [1.0], "bf16": [0.4]})
    (tmp_path / "pantoum").write_text("a file where the folder would be")
    assert fastest_precision(17, 50, 3, machine.clock).precision == "bf16"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(measured.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    assert fastest_precision(17, 50, 3, machine.clock).precision == "bf16"


def test_the_cache_lies_where_the_system_has_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder("win32") == tmp_path / "pantoum"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(measured.Path, "home", lambda: tmp_path)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "AppData"))
    assert cache_folder("linux") == tmp_path / ".cache" / "pantoum"
    assert cache_folder("darwin") == tmp_path / "Library" / "Caches" / "pantoum"
    assert cache_folder("win32") == tmp_path / "AppData" / "pantoum" / "Cache"


def test_where_there_is_one_precision_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "precisions", lambda: ("float32",))
    assert fastest_precision(17, 50, 3) == Fastest("float32", {})
    assert not cache_file().exists() and Fastest("float32", {}).reason() is None


def test_where_the_least_times_do_not_come_again_more_is_measured() -> None:
    """A machine that is at rest for a moment now and then, in which one way alone was lucky at first."""
    now, calls = [0.0], {"slow": 0, "fast": 0}

    def work(name: str, quiet: float, lucky: int) -> None:
        calls[name] += 1
        now[0] += quiet if calls[name] % 20 == lucky else 5e-3

    ways = {"slow": lambda: work("slow", 2e-3, 1), "fast": lambda: work("fast", 1e-3, 15)}
    found = least_times("which", ways, lambda: now[0])
    assert found == pytest.approx({"slow": 2e-3, "fast": 1e-3}) and calls["fast"] >= 2 * 20
