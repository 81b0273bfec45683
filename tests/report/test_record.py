"""A record survives JSON, and says nothing that JSON cannot."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import types
from dataclasses import fields
from pathlib import Path

import pytest

import pantoum
from pantoum.report.record import Report

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
