"""What follows from a run's settings and figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.report.story import RunHistory, Story


def test_settings_are_found_wherever_they_stand(config: dict[str, Any]) -> None:
    story = Story("book", {**config, "settings": {**config["settings"], "num_layers": "auto"},
                           "chosen": {"model": {"num_layers": 2}}})  # fmt: skip
    assert story.get("cores") == 2 and story.get("num_layers") == 2
    assert story.get("nowhere", 7) == 7
    assert story.about == "GRU 2 × 512, 4.14 M parameters"
    beside = Story("book", {**config, "chosen": {"model": {"ngrams": [2, 3]}}})
    assert beside.about == "GRU 3 × 512 and n-grams, 4.14 M parameters"
    three = Story("book", {**config, "chosen": {"members": 3}})
    assert three.members == 3 and "3 members" in three.about and story.members == 1


@pytest.mark.parametrize(("settings", "unit"), [
    ({"tokens": "characters"}, "character"), ({"tokens": "auto", "kind": "bytes"}, "byte"),
    ({"tokens": "words:whitespace"}, "word"), ({"tokens": "bpe:500"}, "token"), ({}, "token"),
])  # fmt: skip
def test_what_a_token_is(settings: dict[str, Any], unit: str) -> None:
    assert Story("book", {"settings": settings}).unit == unit


def test_references_are_in_nats_a_token(evaluation: dict[str, Any]) -> None:
    found = Story("book", evaluation={**evaluation, "tokens": 5_000}).references
    assert [r.name for r in found] == ["bz2", "xz"]
    assert found[0].loss == pytest.approx(2.58 * math.log(2) * 2)


def test_nothing_known_nothing_told() -> None:
    story = Story("book")
    assert (story.about, story.references, story.cell) == ("", [], "")
    assert Story("book", evaluation={"tokens": math.nan}).score("tokens") is None


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
def test_records_stand_in_the_order_of_their_steps_and_no_note_is_lost(steps: list[int]) -> None:
    history = RunHistory.of({"step": s, "tokens": s, "notes": [str(s)]} for s in steps)
    assert [r["step"] for r in history.records] == sorted(r["step"] for r in history.records)
    assert [note.text for note in history.notes] == list(map(str, steps)) and history.last.get("step") == (
        steps[-1] if steps else None
    )


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
