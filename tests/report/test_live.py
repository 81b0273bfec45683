"""The live view: a frame fits whatever the size; the terminal is taken and given back, however the view ends;
a run is watched from another terminal to its end."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pantoum.formats import metrics_file
from pantoum.formats.run_lock import RunLock
from pantoum.report import live
from pantoum.report.live import LiveView, Scene, frame, possible, watch
from pantoum.report.record import Report
from pantoum.report.story import RunHistory

Make = Callable[..., list[dict[str, Any]]]


def lines_of(scene: Scene, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
    rows = console.render_lines(frame(scene, width, height))
    return ["".join(segment.text for segment in row) for row in rows]


def text(scene: Scene, width: int = 100, height: int = 30) -> list[str]:
    return [line.rstrip() for line in lines_of(scene, width, height)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(10, 160), height=st.integers(2, 60), upto=st.integers(0, 30), wide=st.booleans())
def test_no_frame_is_larger_than_asked(
    make_records: Make, width: int, height: int, upto: int, wide: bool
) -> None:
    sample = "日本語のテキスト" * 30 if wide else "words and words\n" * 30
    records = make_records(30, sample=sample, notes=["a note " * 20])[:upto]
    lines = lines_of(Scene("名前" * 30 if wide else "book", RunHistory.of(records), "GRU"), width, height)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)


def test_all_is_there_where_there_is_room(make_records: Make) -> None:
    scene = Scene("book", RunHistory.of(make_records(60, 40, notes=["a note"])), "GRU 3 × 512", "character")
    lines = text(scene)
    whole = "\n".join(lines)
    assert lines[0].startswith("book  GRU 3 × 512") and lines[0].endswith("training")
    assert "67 %  0:20 used  0:10 left" in lines[1]
    for words in (
        "┤",
        "training 1.531   validation (segments:64) 1.713   best 1.713 at 230 k",
        "tokens/s 12.8 k   step 40",
        "rate 0.00133",
        "training 94.0 %   evaluation 4.0 %   saving 2.0 %",
        "the model writes after 230 k characters",
        "A line written at step 36.",
        "! a note",
    ):
        assert words in whole, words


def test_a_low_window_keeps_the_picture_and_the_losses(make_records: Make) -> None:
    whole = "\n".join(text(Scene("book", RunHistory.of(make_records())), 60, 18))
    assert "┤" in whole and "validation" in whole and "gradient" not in whole


def test_before_the_first_report() -> None:
    lines = text(Scene("book"))
    assert "waiting for the first report" in "\n".join(lines)


def test_how_it_ended_is_said(make_records: Make) -> None:
    assert text(Scene("book", RunHistory.of(make_records())))[0].endswith("finished")
    assert text(Scene("book", RunHistory.of(make_records(60, 9)), state="no longer running"))[0].endswith(
        "no longer running"
    )
    assert "left" not in text(Scene("book", RunHistory.of(make_records())))[1]


@pytest.mark.parametrize(("shown", "seen"), [(0, "▌"), (6, "A line▌"), (None, "A line written at step 60.")])
def test_the_newest_sample_streams_in(make_records: Make, shown: int | None, seen: str) -> None:
    lines = text(Scene("book", RunHistory.of(make_records()), shown=shown))
    assert seen in lines


def test_a_hostile_sample_is_shown_not_obeyed(make_records: Make, hostile: str) -> None:
    records = make_records(sample=hostile, notes=[hostile])
    whole = "\n".join(text(Scene(hostile, RunHistory.of(records), messages=(hostile,))))
    assert "\x1b" not in whole and "␛[2J" in whole and "\u202e" not in whole
    whole.encode()


def test_the_last_lines_of_a_long_sample_are_seen(make_records: Make) -> None:
    sample = "\n".join(f"line {i}" for i in range(100))
    lines = text(Scene("book", RunHistory.of(make_records(sample=sample))))
    assert "line 99" in lines and "line 0" not in lines


def test_only_the_newest_notes_are_seen(make_records: Make) -> None:
    records = make_records()
    records[3]["notes"] = [f"note {i}" for i in range(9)]
    lines = text(Scene("book", RunHistory.of(records), messages=("said on stderr",)))
    assert [line for line in lines if line.startswith("! ")] == ["! note 7", "! note 8", "! said on stderr"]


def test_of_words_the_best_perplexity_is_shown(make_records: Make) -> None:
    history = RunHistory.of(make_records(60, 40))
    shown = " ".join("\n".join(text(Scene("book", history, unit="word"))).split())
    assert "best 1.713 at 230 k perplexity with unknown words 5.55" in shown
    assert "perplexity" not in "\n".join(text(Scene("book", history, unit="character")))


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


def said(stream: io.StringIO | Screen) -> str:
    return stream.said if isinstance(stream, Screen) else stream.getvalue()


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
    with LiveView(Scene("book", about="GRU", unit="character"), console=console) as view:
        for record in make_records():
            view(record)
    before, after = screen.said.split(LEAVES)
    assert before.startswith(ENTERS) and SHOWS_CURSOR in screen.said
    assert "finished" in after and "validation" in after and "A line written at step 60." in after


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_gives_the_screen_back_too(make_records: Make, screen: Screen, console: Console,
                                            error: type[BaseException]) -> None:  # fmt: skip
    stderr = sys.stderr
    with pytest.raises(error), LiveView(Scene("book"), console=console) as view:
        view(make_records()[0])
        raise error
    assert sys.stderr is stderr and screen.said.count(LEAVES) == 1
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_ctrl_c_while_the_first_frame_is_drawn(
    screen: Screen, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    view, stderr = LiveView(Scene("book"), console=console), sys.stderr
    monkeypatch.setattr(view._screen, "refresh", interrupted)
    with pytest.raises(KeyboardInterrupt), view:
        raise AssertionError("never inside")
    assert screen.said.count(ENTERS) == screen.said.count(LEAVES) == 1 and sys.stderr is stderr


def test_reports_are_taken_as_the_loop_makes_them(console: Console, make_records: Make) -> None:
    view = LiveView(Scene("book"), console=console)
    view(Report.from_dict(make_records()[0]))
    assert view.scene.history.last["step"] == 1


def test_what_is_said_on_stderr_is_kept_shown_and_said_afterwards(screen: Screen, console: Console) -> None:
    with LiveView(Scene("book"), console=console):
        print("the disk is full", file=sys.stderr)
        sys.stderr.write("no end of line")
    assert "the disk is full\nno end of line" in screen.said.split(LEAVES)[1].replace("\r", "")


def test_a_sample_streams_in_by_the_clock(console: Console, make_records: Make) -> None:
    now = [100.0]
    view = LiveView(Scene("book"), console=console, clock=lambda: now[0])
    view({"step": 1, "sample": "a text of twenty-nine letters"})
    assert view.now().shown == 0
    now[0] += 0.2
    assert view.now().shown == 9


def test_a_history_taken_whole_streams_only_what_is_new(console: Console) -> None:
    records = [{"step": i, "sample": f"sample {i}"} for i in (1, 2)]
    view = LiveView(Scene("book"), console=console, clock=lambda: 50.0)
    view.take(RunHistory.of(records[:1]))
    assert view.now().shown == 1_000_000
    view.take(RunHistory.of(records))
    assert view.now().shown == 0


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
    with LiveView(
        Scene("book"), console=Console(file=screen, force_terminal=True, width=80, height=24)
    ) as view:
        view(make_records()[9])
    colours = [
        part for part in screen.said.split("\x1b[")[1:] if part.split("m")[0].startswith(("3", "38", "9"))
    ]
    assert not colours and max(screen.said) >= "⠁"


def test_stopping_by_the_keyboard_gives_the_screen_back_until_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stops: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: stops.append(number))
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb") as told:
        with LiveView(Scene("book"), console=Console(file=stream, force_terminal=True, width=80, height=24)):
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

    with LiveView(Scene("book"), console=console) as view:
        monkeypatch.setattr(screen, "write", gone)
        view(make_records()[0])
        view._screen.refresh()
    assert sys.stderr is not None


@pytest.fixture
def folder(tmp_path: Path, make_records: Make) -> Path:
    path = tmp_path / "book"
    path.mkdir()
    for each in make_records(20, notes=["a note\x1b[2J"]):
        metrics_file.append(path / "metrics.jsonl", each)
    return path


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


def test_a_finished_run_elsewhere_is_lines(folder: Path) -> None:
    stream = io.StringIO()
    assert watch(folder, stream) == "finished"
    lines = said(stream).splitlines()
    assert len(lines) == 44 and lines[-1] == "finished"
    assert "step 20" in lines[-2] and "validation" in lines[-2] and lines[-3] == "note: a note␛[2J"
    assert lines.count("  | And one more.") == 1


def test_a_finished_run_on_a_terminal_is_one_frame_that_stays(folder: Path) -> None:
    stream = Screen()
    assert watch(folder, stream) == "finished"
    assert "\x1b[?1049h" not in said(stream)
    assert "validation" in said(stream) and "finished" in said(stream)


@pytest.mark.parametrize("kind", [io.StringIO, Screen])
def test_a_running_run_is_followed_to_its_end(
    folder: Path, make_records: Make, kind: type[io.StringIO | Screen]
) -> None:
    metrics_file.truncate_after(folder / "metrics.jsonl", 10)
    stream, lock = kind(), RunLock(folder)
    lock.acquire()

    def sleep(seconds: float) -> None:
        for each in make_records(20)[10:]:
            metrics_file.append(folder / "metrics.jsonl", each)
        lock.release()

    assert watch(folder, stream, sleep=sleep) == "finished"
    assert "step 20" in said(stream).split(LEAVES)[-1]


def test_a_killed_run_is_said_to_be_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.report.story.PATIENCE", 0.0)
    metrics_file.truncate_after(folder / "metrics.jsonl", 10)
    screen, stream = Screen(), io.StringIO()
    assert watch(folder, screen, sleep=lambda _: None) == "no longer running"
    assert "no longer running" in said(screen).split("\x1b[?1049l")[-1]
    assert watch(folder, stream, sleep=lambda _: None) == "no longer running"
    assert said(stream).endswith("no longer running\n")


def test_a_foreign_record_is_passed_over(folder: Path) -> None:
    metrics_file.append(folder / "metrics.jsonl", {"step": "x", "ended": "finished"})
    stream = io.StringIO()
    watch(folder, stream)
    assert said(stream).count("  step ") == 20
