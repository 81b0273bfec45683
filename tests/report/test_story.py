"""What follows from a run's settings and figures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import sys
import types
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pantoum
from pantoum.formats import plain_json
from pantoum.report.record import Report
from pantoum.report.story import RunHistory, Story
from pantoum.training.begin import learned_text


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


SPEC: dict[str, Any] = {"kind": "bytes", "documents": "lines"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_text_has_its_own_hash_and_several_that_of_their_list(count: int) -> None:
    hashes = [f"{n:064x}" for n in range(count)]
    facts = {
        "texts": [{"name": f"a/{n}.txt", "sha256": sha256} for n, sha256 in enumerate(hashes)],
        "valid_text": {"name": "v.txt", "sha256": "aa"},
        "valid_fraction": 0.0,
    }
    of_list = hashlib.sha256(plain_json.encode(hashes)).hexdigest()
    found = learned_text(facts, SPEC)
    assert found["sha256"] == (None if not count else hashes[0] if count == 1 else of_list)
    assert (found["valid_sha256"], found["valid_fraction"], found["documents"]) == ("aa", 0.0, "lines")


def test_where_one_hash_is_not_known_that_of_all_is_not() -> None:
    found = learned_text({"texts": [{"sha256": "aa"}, {"name": "b"}], "valid_text": None}, SPEC)
    assert found["sha256"] is None and found["valid_sha256"] is None


def test_tokenizers_that_differ_in_anything_have_other_fingerprints() -> None:
    specs = [SPEC, {**SPEC, "documents": None}, {**SPEC, "kind": "characters", "pieces": ["a"]}]
    assert len({str(learned_text({}, spec)["tokenizer"]) for spec in specs}) == 3


RECORD = Report(
    step=3,
    tokens=96,
    seconds=1.5,
    loss=2.5,
    accuracy=0.25,
    gradient_norm=0.7,
    learning_rate=4e-3,
    tokens_per_second=64.0,
    epoch=0.5,
    progress=0.1,
)


def test_goes_through_json_unchanged():
    before = dataclasses.replace(
        RECORD, valid=1.25, sample="ab\n", phases={"training": 1.0}, notes=("skipped",), ended="finished"
    )
    assert Report.from_dict(json.loads(json.dumps(before.to_dict(), allow_nan=False))) == before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_null(value):
    plain = dataclasses.replace(RECORD, loss=value, gradient_norm=value).to_dict()
    assert plain["loss"] is None and plain["gradient_norm"] is None
    json.dumps(plain, allow_nan=False)


def test_keys_of_a_newer_version_are_passed_over():
    assert Report.from_dict({**RECORD.to_dict(), "colour": "blue"}) == RECORD


def test_is_frozen():
    with pytest.raises(AttributeError):
        RECORD.step = 4


def test_figures_are_what_has_a_curve():
    figures = dataclasses.replace(RECORD, valid=1.25, gradient_norm=math.nan, sampled=True).figures
    assert figures["valid"] == 1.25 and figures["loss"] == 2.5 and figures["tokens"] == 96
    assert not {"step", "sampled", "gradient_norm", "sample", "phases"} & set(figures)


DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


def test_every_field_of_a_record_is_documented() -> None:
    section = re.split(r"^## ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (metrics,) = [part for part in section if part.startswith("Metrics:")]
    assert re.findall(r"^\| `(\w+)` \|", metrics, re.MULTILINE) == [each.name for each in fields(Report)]


def test_the_example_for_tensorboard_draws_every_figure_and_the_samples(monkeypatch: pytest.MonkeyPatch):
    drawn: list[tuple[object, ...]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            drawn.append((folder,))

        def __enter__(self) -> SummaryWriter:
            return self

        def __exit__(self, *problem: object) -> None:
            drawn.append(("closed",))

        def add_scalar(self, *figure: object) -> None:
            drawn.append(figure)

        add_text = add_scalar

    board = types.ModuleType("tensorboardX")
    board.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorboardX", board)
    report = dataclasses.replace(RECORD, sample="Once")
    monkeypatch.setattr(pantoum, "train", lambda *text, on_report, **settings: on_report(report))
    guide = (DOCS.parent / "how-to" / "elsewhere.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```text\n(import pantoum\nfrom tensorboardX.*?\n)```", guide, re.DOTALL)
    exec(code, {})
    assert {name for name, *_ in drawn[1:-2]} == set(report.figures) and drawn[-1] == ("closed",)
    assert drawn[-2] == ("sample", "```\nOnce\n```", 3)
