"""Progress on stderr in plain lines, never a failure; a counter that rewrites its line."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from pantoum.report import terminal
from pantoum.report.record import Report
from pantoum.report.terminal import Counter, Progress, line, watched

FIRST = Report(
    step=1,
    tokens=4096,
    seconds=1.0,
    loss=4.5,
    accuracy=0.1,
    gradient_norm=1.0,
    learning_rate=0.001,
    tokens_per_second=12_345.0,
    epoch=0.1,
    progress=0.1,
    time_left=75.0,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def shown(*reports: Report, stream: io.StringIO | None = None) -> str:
    stream = io.StringIO() if stream is None else stream
    progress = Progress(stream)
    for report in reports:
        progress(report)
    return stream.getvalue()


def test_a_line_says_what_matters() -> None:
    assert line(FIRST) == "   0:01  step 1  loss 4.500  12.3 k tokens/s  1:15 left"
    assert "validation 2.000 (segments:64, best 1.900)" in line(replace(FIRST, valid=2.0), best=1.9)
    assert "validation 1.900" in line(FIRST, best=1.9) and "left" not in line(replace(FIRST, time_left=None))


def test_a_file_gets_a_line_every_few_seconds_and_the_last_one() -> None:
    text = shown(
        FIRST,
        replace(FIRST, step=2, seconds=2.0),
        replace(FIRST, step=3, seconds=6.5),
        replace(FIRST, step=4, seconds=7.0, loss=None, tokens_per_second=0.0, ended="finished"),
    )
    assert [row.split()[2] for row in text.splitlines()] == ["1", "3", "4"]
    assert "loss 4.500" in text.splitlines()[-1]


def test_the_best_held_out_loss_is_remembered() -> None:
    text = shown(
        replace(FIRST, valid=2.0), replace(FIRST, seconds=9.0, valid=2.5), replace(FIRST, seconds=20.0)
    )
    assert (
        "validation 2.500 (segments:64, best 2.000)" in text.splitlines()[1]
        and "validation 2.000" in text.splitlines()[2]
    )


def test_notes_and_samples_are_shown_safely() -> None:
    text = shown(
        replace(FIRST, seconds=30.0, notes=("the disk\x1b[2J is full",), sample="one\x07\ntwo\n" * 9)
    )
    assert "note: the disk␛[2J is full" in text and "  | one␇" in text and "\x07" not in text
    assert text.count("  | ") == 8


def test_the_first_sample_comes_early_and_not_every_one_is_shown() -> None:
    records = [replace(FIRST, seconds=float(s), sample=f"at {s}") for s in range(0, 60, 5)]
    assert [row[4:] for row in shown(*records).splitlines() if "  | " in row] == ["at 10", "at 30", "at 50"]


def test_a_stream_that_fails_ends_the_view_and_nothing_else() -> None:
    assert shown(FIRST, replace(FIRST, seconds=20.0), stream=Broken()) == ""


def test_a_closed_stream_is_no_terminal() -> None:
    closed = io.StringIO()
    closed.close()
    assert not watched(closed) and not watched(None)


def test_a_counter_rewrites_its_share_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counter, "EVERY", 0.0)
    terminal = Terminal()
    with Counter("scoring", terminal) as count:
        count(1, 4)
        count(2_000, 4_000)
    assert "scoring 1 of 4 (25 %)" in terminal.getvalue() and terminal.getvalue().endswith("\r")
    silent = io.StringIO()
    with Counter("scoring", silent) as count:
        count(1, 4)
    assert silent.getvalue() == ""


def test_a_run_on_words_says_its_perplexity() -> None:
    report = replace(FIRST, valid=5.0)
    assert "validation 5.000 (segments:64)  perplexity 148.4 with unknown words  " in line(
        report, best=5.0, unit="word"
    )
    assert "perplexity" not in line(report, best=5.0, unit="character")
    stream = io.StringIO()
    progress = Progress(stream)
    progress.unit = "word"
    progress(report)
    assert "perplexity 148.4" in stream.getvalue()


def test_in_a_notebook_a_line_is_written_over_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(terminal, "in_notebook", lambda: True)
    monkeypatch.setattr("sys.stdout", stream)
    progress = terminal.Progress()
    progress(FIRST)
    progress(replace(FIRST, step=2, seconds=1.5, notes=("a note",)))
    progress(replace(FIRST, step=3, seconds=2.0, ended="finished"))
    first, note, last, end = stream.getvalue().split("\n")
    assert "step 1" in first and note == "note: a note" and end == ""
    _, second, third = last.split("\r")  # each as wide as the one that it covers
    assert "step 2" in second and "step 3" in third and len(second) == len(third) == terminal.WIDE
