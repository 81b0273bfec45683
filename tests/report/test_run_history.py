"""Records become columns: gaps are left out, steps written again replace those they repeat."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pantoum.report.run_history import RunHistory

Make = Callable[..., list[dict[str, Any]]]


def test_points_leave_out_what_is_missing_or_not_finite() -> None:
    records = [
        {"step": 1, "tokens": 10, "loss": 3.0},
        {"step": 2, "tokens": 20, "loss": None},
        {"step": 3, "tokens": 30, "loss": math.nan},
        {"step": 4, "tokens": 40, "loss": 2.0},
        {},
    ]
    assert RunHistory.of(records).points("loss") == [(10, 3.0), (40, 2.0)]


def test_a_resumed_run_replaces_later_steps_and_keeps_the_notes() -> None:
    records = [{"step": s, "tokens": s, "loss": 3.0, "notes": [f"at {s}"]} for s in (1, 2, 3, 4)]
    history = RunHistory.of([*records, {"step": 3, "tokens": 3, "loss": 1.0, "notes": ["again"]}])
    assert history.points("loss") == [(1, 3.0), (2, 3.0), (3, 3.0), (3, 1.0)]
    assert [note.text for note in history.notes] == ["at 1", "at 2", "at 3", "at 4", "again"]


@given(st.lists(st.integers(1, 9), max_size=12))
def test_adding_one_by_one_is_the_same_as_all_at_once(steps: list[int]) -> None:
    records = [{"step": s, "tokens": s, "notes": str(s)} for s in steps]
    history = RunHistory(())
    for each in records:
        history = history.plus(each)
    whole = RunHistory.of(records)
    assert (history.records, history.notes) == (whole.records, whole.notes)
    assert [r["step"] for r in whole.records] == sorted(r["step"] for r in whole.records)


def test_best_last_and_how_it_ended(make_records: Make) -> None:
    history = RunHistory.of(make_records(60))
    assert history.best is not None and history.best["step"] == min(
        (r for r in history.records if r["valid"] is not None), key=lambda r: r["valid"])["step"]  # fmt: skip
    assert history.ended == "finished" and len(history) == 60
    assert history.newest("valid") == history.records[-1]["valid"]


def test_samples_carry_the_held_out_loss_of_their_time(make_records: Make) -> None:
    records = [
        {"step": 1, "loss": 3.0, "sample": "early"},
        {"step": 2, "valid": 2.5},
        {"step": 3, "sample": "later"},
    ]
    assert [(s.text, s.loss) for s in RunHistory.of(records).samples] == [("early", 3.0), ("later", 2.5)]


def test_nothing_at_all() -> None:
    history = RunHistory.of([])
    assert history.last == {} and history.best is None and history.samples == [] and history.phases == {}
    assert history.ended is None and history.newest("loss") is None


def test_phases_are_those_of_the_newest_record_known_ones_first() -> None:
    records = [
        {"step": 1, "phases": {"other": 1.0, "saving": 2.0, "training": 3.0, "bad": None}},
        {"step": 2},
    ]
    assert RunHistory.of(records).phases == {"training": 3.0, "saving": 2.0, "other": 1.0}
    assert next(iter(RunHistory.of(records).phases)) == "training"
