"""The live view takes the terminal, shows the run, and gives everything back, however it ends."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from pantoum.report import live
from pantoum.report.live import LiveView, possible, restore_terminal
from pantoum.report.record import Report
from pantoum.report.run_history import RunHistory

Make = Callable[..., list[dict[str, Any]]]
ENTERS, LEAVES, SHOWS_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


class Screen(io.TextIOWrapper):
    """What a terminal was told."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def said(self) -> str:
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def console(screen: Screen) -> Console:
    return Console(
        file=screen, force_terminal=True, width=80, height=24, color_system=None, legacy_windows=False
    )


def test_the_screen_is_taken_and_given_back_with_the_last_frame(
    make_records: Make, screen: Screen, console: Console
) -> None:
    with LiveView("book", about="GRU", unit="character", console=console) as view:
        for record in make_records():
            view(record)
    before, after = screen.said.split(LEAVES)
    assert before.startswith(ENTERS) and SHOWS_CURSOR in screen.said
    assert "finished" in after and "validation" in after and "A line written at step 60." in after


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_gives_the_screen_back_too(make_records: Make, screen: Screen, console: Console,
                                            error: type[BaseException]) -> None:  # fmt: skip
    stderr = sys.stderr
    with pytest.raises(error), LiveView("book", console=console) as view:
        view(make_records()[0])
        raise error
    assert sys.stderr is stderr and screen.said.count(LEAVES) == 1
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_ctrl_c_while_the_first_frame_is_drawn(
    screen: Screen, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    view, stderr = LiveView("book", console=console), sys.stderr
    monkeypatch.setattr(view, "_own", interrupted)
    with pytest.raises(KeyboardInterrupt), view:
        raise AssertionError("never inside")
    assert screen.said.count(ENTERS) == screen.said.count(LEAVES) == 1 and sys.stderr is stderr


def test_reports_are_taken_as_the_loop_makes_them(console: Console, make_records: Make) -> None:
    view = LiveView("book", console=console)
    view(Report.from_dict(make_records()[0]))
    assert view.history.last["step"] == 1


def test_what_is_said_on_stderr_is_kept_shown_and_said_afterwards(screen: Screen, console: Console) -> None:
    with LiveView("book", console=console):
        print("the disk is full", file=sys.stderr)
        sys.stderr.write("no end of line")
    assert "the disk is full\nno end of line" in screen.said.split(LEAVES)[1].replace("\r", "")


def test_a_sample_streams_in_by_the_clock(console: Console, make_records: Make) -> None:
    now = [100.0]
    view = LiveView("book", console=console, clock=lambda: now[0])
    view({"step": 1, "sample": "a text of twenty-nine letters"})
    assert view.scene(view.history).shown == 0
    now[0] += 0.2
    assert view.scene(view.history).shown == 9
    assert view.scene(view.history, finished=True).shown is None


def test_a_history_taken_whole_streams_only_what_is_new(console: Console) -> None:
    records = [{"step": i, "sample": f"sample {i}"} for i in (1, 2)]
    view = LiveView("book", console=console, clock=lambda: 50.0)
    view.take(RunHistory.of(records[:1]))
    assert view.scene(view.history).shown == 1_000_000
    view.take(RunHistory.of(records))
    assert view.scene(view.history).shown == 0


def test_a_slow_picture_is_drawn_seldom(screen: Screen, console: Console, make_records: Make,
                                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    now = [0.0]
    drawn: list[int] = []

    def slow(scene: Any, *_: Any) -> list[Any]:
        drawn.append(len(scene.history))
        now[0] += 1.0
        return []

    monkeypatch.setattr(live, "frame", slow)
    view = LiveView("book", console=console, clock=lambda: now[0])
    for record in make_records()[:3]:
        view(record)
        console.print(view)
    now[0] += 60.0
    console.print(view)
    assert drawn == [1, 1, 1, 3]


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, True), ({"force_terminal": False}, False), ({"width": 12}, False), ({"height": 3}, False),
    ({"legacy_windows": True}, False),
])  # fmt: skip
def test_where_it_is_possible(screen: Screen, changes: dict[str, Any], expected: bool) -> None:
    options: dict[str, Any] = {
        "file": screen,
        "force_terminal": True,
        "width": 80,
        "height": 24,
        "legacy_windows": False,
    }
    assert possible(Console(**{**options, **changes})) is expected


def test_neither_on_a_dumb_terminal_nor_without_utf8(monkeypatch: pytest.MonkeyPatch, screen: Screen) -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert not possible(Console(file=latin, force_terminal=True, width=80, height=24))
    monkeypatch.setenv("TERM", "dumb")
    assert not possible(Console(file=screen, force_terminal=True, width=80, height=24))


def test_a_file_is_no_screen_where_colours_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = Console(file=io.StringIO(), width=80, height=24)
    assert console.is_terminal and not possible(console)


def test_no_color_is_honoured(make_records: Make, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with LiveView("book", console=Console(file=screen, force_terminal=True, width=80, height=24)) as view:
        view(make_records()[9])
    colours = [
        part for part in screen.said.split("\x1b[")[1:] if part.split("m")[0].startswith(("3", "38", "9"))
    ]
    assert not colours and max(screen.said) >= "⠁"


def test_the_terminal_is_restored_at_once_where_nothing_else_can_run() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb") as told:
        console = Console(file=stream, force_terminal=True, width=80, height=24)
        with LiveView("book", console=console):
            restore_terminal()
        restore_terminal()
        stream.flush()
        assert os.read(told.fileno(), 100_000).count(live.LEAVE) == 1


def test_stopping_by_the_keyboard_gives_the_screen_back_until_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stops: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: stops.append(number))
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb") as told:
        with LiveView("book", console=Console(file=stream, force_terminal=True, width=80, height=24)):
            signal.raise_signal(signal.SIGTSTP)
        stream.flush()
        said = os.read(told.fileno(), 100_000)
    assert stops == [signal.SIGTSTP]
    assert said.index(live.LEAVE) < said.rindex(live.ENTER)
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_a_terminal_that_is_gone_does_not_end_the_run(make_records: Make, monkeypatch: pytest.MonkeyPatch,
                                                      screen: Screen, console: Console) -> None:  # fmt: skip
    def gone(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with LiveView("book", console=console) as view:
        monkeypatch.setattr(screen, "write", gone)
        view(make_records()[0])
        view._live.refresh()
    assert sys.stderr is not None
