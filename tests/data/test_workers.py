"""Other processes work on a text: the results of ``map``, the errors of ``map``, and nothing left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pantoum.data import workers
from pantoum.data.workers import Workers, worth
from pantoum.errors import PantoumError

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


def square(text: str) -> tuple[int, int]:
    return os.getpid(), int(text) ** 2


def refuse(text: str) -> str:
    raise MemoryError(text)


def end_at_three(text: str) -> str:
    if text == "3":
        os.kill(os.getpid(), signal.SIGKILL)
    return text


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sys.modules.setdefault("test_workers", sys.modules[__name__])
    for function in (square, refuse, end_at_three):
        monkeypatch.setattr(function, "__module__", "test_workers")
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pantoum-workers")]


def test_the_results_are_those_of_map_in_order_by_a_few_processes() -> None:
    with Workers(2) as several:
        found = list(several.across(square, map(str, range(23))))
        again = list(several.across(len, ["a", "bcd"]))
    assert [result for _, result in found] == [n * n for n in range(23)] and again == [1, 3]
    processes = {process for process, _ in found}
    assert os.getpid() not in processes and 1 <= len(processes) <= 2
    assert not any(map(alive, processes))


def test_no_more_items_are_taken_than_are_on_their_way() -> None:
    taken = []

    def items() -> Iterator[str]:
        for number in range(50):
            taken.append(number)
            yield str(number)

    with Workers(2) as several:
        found = several.across(square, items())
        next(found)
        assert len(taken) <= workers.AHEAD * 2
        found.close()


def test_no_worker_is_started_for_an_item_that_there_is_not() -> None:
    with Workers(9) as several:
        assert list(several.across(len, ["ab"])) == [2] and len(several._processes) == 1
        assert list(several.across(len, [])) == []


def test_an_error_of_the_function_is_raised_here() -> None:
    with Workers(2) as several, pytest.raises(MemoryError, match="2"):
        list(several.across(refuse, ["2", "3"]))


@posix
def test_a_worker_that_is_killed_is_one_line() -> None:
    with Workers(2) as several:
        with pytest.raises(
            PantoumError, match=r"process \d+, .* has ended by SIGKILL.*--processes 1"
        ) as told:
            list(several.across(end_at_three, map(str, range(9))))
        assert "\n" not in str(told.value)
        assert list(several.across(len, ["ab", "c"])) == [2, 1]  # new ones are started


def test_an_error_while_items_are_made_ends_the_workers() -> None:
    def items() -> Iterator[str]:
        yield from "123"
        raise KeyboardInterrupt

    several = Workers(2)
    with pytest.raises(KeyboardInterrupt), several:
        list(several.across(square, items()))
    assert several._processes == []


@posix
def test_workers_whose_parent_is_killed_end_by_themselves(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\nfrom pantoum.data.workers import Workers\n"
        "several = Workers(2)\nlist(several.across(len, ['a'] * 4))\n"
        "print(*(each.pid for each in several._processes), flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    processes = list(map(int, parent.stdout.readline().split()))
    assert len(processes) == 2 and all(map(alive, processes))
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 120
    while any(map(alive, processes)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(alive, processes))


def test_a_process_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with (
        Workers(2) as several,
        pytest.raises(PantoumError, match="cannot start another process: No such file"),
    ):
        list(several.across(len, ["a"]))


def test_a_file_of_the_user_is_not_taken_for_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('a pickle of the user')")
    monkeypatch.chdir(tmp_path)
    with Workers(1) as several:
        assert list(several.across(len, ["abc"])) == [3]


@pytest.mark.parametrize(
    ("threads", "omp", "size", "count"),
    [
        ("3", "", 1 << 30, 3),
        ("", "2,1", 1 << 30, 2),
        ("64", "", 20 << 20, 2),
        ("", "", 10, 1),
        ("8", "1", 64 << 20, 8),
    ],
)
def test_as_many_workers_as_threads_and_as_the_text_is_worth(
    monkeypatch: pytest.MonkeyPatch, threads: str, omp: str, size: int, count: int
) -> None:
    monkeypatch.setattr("pantoum.config.processors.usable_processors", lambda: 16)
    monkeypatch.setenv("PANTOUM_THREADS", threads)
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert worth(size) == count
    monkeypatch.setenv("PANTOUM_THREADS", "999")
    assert worth(1 << 40) == workers.MOST
    for name, value in (("executable", "/usr/bin/uwsgi"), ("executable", None), ("frozen", True)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, value, raising=False)
            assert worth(size) == 1
