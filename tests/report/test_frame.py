"""A frame of the live view: fits whatever the size, the picture before lesser figures, samples shown not
obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.report.frame import Scene, frame
from pantoum.report.run_history import RunHistory

Make = Callable[..., list[dict[str, Any]]]


def text(scene: Scene, width: int = 100, height: int = 30) -> list[str]:
    return [line.plain for line in frame(scene, width, height)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(10, 160), height=st.integers(2, 60), upto=st.integers(0, 30), wide=st.booleans())
def test_no_frame_is_larger_than_asked(
    make_records: Make, width: int, height: int, upto: int, wide: bool
) -> None:
    sample = "日本語のテキスト" * 30 if wide else "words and words\n" * 30
    records = make_records(30, sample=sample, notes=["a note " * 20])[:upto]
    lines = frame(Scene("名前" * 30 if wide else "book", RunHistory.of(records), "GRU"), width, height)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)


def test_all_is_there_where_there_is_room(make_records: Make) -> None:
    scene = Scene("book", RunHistory.of(make_records(60, 40, notes=["a note"])), "GRU 3 × 512", "character")
    lines = text(scene)
    whole = "\n".join(lines)
    assert lines[0].startswith("book  GRU 3 × 512") and lines[0].endswith("training")
    assert "67 %  0:20 used  0:10 left" in lines[1]
    for words in (
        "┤",
        "training 1.531   validation 1.713   best 1.713 at 230 k",
        "tokens/s 12.8 k   step 40",
        "rate 0.00133",
        "training 94.0 %   evaluation 4.0 %   saving 2.0 %",
        "it writes after 230 k characters",
        "A line written at step 36.",
        "! a note",
    ):
        assert words in whole, words


def test_a_low_window_keeps_the_picture_and_the_losses(make_records: Make) -> None:
    whole = "\n".join(text(Scene("book", RunHistory.of(make_records())), 60, 18))
    assert "┤" in whole and "validation" in whole and "gradient" not in whole


def test_before_the_first_report() -> None:
    lines = text(Scene("book", RunHistory(())))
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
    assert "best 1.713 at 230 k   perplexity 5.55" in "\n".join(text(Scene("book", history, unit="word")))
    assert "perplexity" not in "\n".join(text(Scene("book", history, unit="character")))
