"""Curves as SVG: well-formed, accessible, the same bytes for the same records, never NaN."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from html import unescape
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.report.loss import Reference, by_time, by_tokens
from pantoum.report.story import Note, RunHistory
from pantoum.report.svg import curve, small, spread_apart

Make = Callable[..., list[dict[str, Any]]]
VALUE = st.one_of(st.none(), st.floats(), st.floats(0, 20), st.integers(0, 10**12))
RECORD = st.fixed_dictionaries({"step": st.integers(0, 99), "tokens": VALUE, "seconds": VALUE, "loss": VALUE,
                                "valid": VALUE})  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def parts(picture: str, tag: str, kind: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(picture)
    return [e for e in root.iter(f"{SVG}{tag}") if kind in (e.get("class") or "").split()]


@pytest.mark.parametrize("view", [by_tokens, by_time])
def test_both_lines_their_labels_and_their_words(make_records: Make, view: Any) -> None:
    picture = curve(view(RunHistory.of(make_records()), (Reference("bz2", 1.6),)), standalone=True)
    assert len(parts(picture, "path", "line")) == 2
    assert len(parts(picture, "circle", "best")) == 1 and len(parts(picture, "circle", "dot")) == 9
    assert {e.text for e in parts(picture, "text", "name")} == {"training", "validation"}
    root = ElementTree.fromstring(picture)
    assert root.get("role") == "img"
    words = root.findtext(f"{SVG}desc") or ""
    assert "Training loss goes from" in words and "The lowest validation loss is" in words
    assert {f"by-{view.__name__[3:].replace('time', 'seconds')}-title"} == {
        e.get("id") for e in root.iter(f"{SVG}title") if e.get("id")}  # fmt: skip


@settings(max_examples=60)
@given(st.lists(RECORD, max_size=8))
def test_whatever_the_records_hold_no_picture_breaks(records: list[dict[str, Any]]) -> None:
    for view in (by_tokens, by_time):
        picture = curve(view(RunHistory.of(records)), standalone=True)
        ElementTree.fromstring(picture)
        assert not re.search(r"\b(nan|inf|NaN|None)\b", picture)


def test_the_same_records_give_the_same_bytes(make_records: Make) -> None:
    first, second = (curve(by_time(RunHistory.of(make_records()))) for _ in range(2))
    assert first == second


def test_no_records_are_said_so() -> None:
    picture = curve(by_tokens(RunHistory()), standalone=True)
    assert "no reports yet" in picture and "No reports yet." in picture


def test_one_record_is_a_dot(make_records: Make) -> None:
    picture = curve(by_time(RunHistory.of(make_records(60, upto=1))), standalone=True)
    assert len(parts(picture, "circle", "training")) == 1 and not parts(picture, "path", "line")


def test_labels_at_the_ends_do_not_touch(make_records: Make) -> None:
    records = make_records()
    records[-1]["valid"] = records[-1]["loss"] + 1e-4
    heights = [
        float(e.get("y", "nan"))
        for e in parts(curve(by_time(RunHistory.of(records)), standalone=True), "text", "name")
    ]
    assert abs(heights[0] - heights[1]) >= 30


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(-500, 900), st.sampled_from([17.0, 35.0])), max_size=4), st.floats(0, 50))
def test_labels_never_overlap_and_stay_inside(wanted: list[tuple[float, float]], least: float) -> None:
    wanted.sort()
    tops = spread_apart(wanted, least, least + 300.0)
    ends = [top + height for top, (_, height) in zip(tops, wanted, strict=True)]
    assert all(end <= top + 1e-9 for end, top in zip(ends, tops[1:], strict=False))
    assert all(least <= top for top in tops) and all(end <= least + 300.0 + 1e-9 for end in ends)


def test_labels_stand_in_the_order_of_what_they_name(make_records: Make) -> None:
    history = RunHistory.of(make_records())
    end = by_tokens(history).lines["validation"][-1][1]
    references = (Reference("xz", end + 0.001), Reference("bz2", end - 0.001))
    picture = curve(by_tokens(history, references), standalone=True)
    labels = [*parts(picture, "text", "aside"), *parts(picture, "text", "name")]
    heights = {str(e.text).split()[0]: float(e.get("y", "nan")) for e in labels}
    assert heights["xz"] < heights["validation"] < heights["bz2"]


def test_references_that_lie_together_have_labels_apart(make_records: Make) -> None:
    references = (Reference("bz2", 1.6), Reference("xz", 1.601))
    picture = curve(by_tokens(RunHistory.of(make_records()), references), standalone=True)
    labels = [*parts(picture, "text", "aside"), *parts(picture, "text", "name")]
    heights = sorted(float(e.get("y", "nan")) for e in labels)
    assert len(heights) == 4 and all(b - a >= 16.9 for a, b in pairwise(heights))
    assert {e.text for e in parts(picture, "text", "aside")} == {"bz2 1.600", "xz 1.601"}


def test_notes_are_marks_on_the_axis_that_tell_their_words(make_records: Make, hostile: str) -> None:
    notes = [Note(hostile, 5, 32_000, 2.5), Note("before it began", 0, None, None)]
    picture = curve(by_tokens(RunHistory.of(make_records())), notes, standalone=True)
    (mark,) = parts(picture, "path", "event")
    assert "</script>" in (mark.findtext(f"{SVG}title") or "") and "</script>" not in picture


def test_many_evaluations_lose_their_dots_but_not_the_best(make_records: Make) -> None:
    records = [{**r, "valid": 2.0 + math.sin(r["step"])} for r in make_records(300)]
    picture = curve(by_time(RunHistory.of(records)), standalone=True)
    assert not parts(picture, "circle", "dot") and len(parts(picture, "circle", "best")) == 1


def test_the_readout_holds_every_point_drawn(make_records: Make) -> None:
    text = re.search(r'data-readout="([^"]*)"', curve(by_tokens(RunHistory.of(make_records()))))
    assert text is not None
    lines = json.loads(unescape(text.group(1)))
    assert set(lines) == {"training", "validation"} and len(lines["validation"]) == 10
    assert lines["validation"][-1][2] == "384 k"


def test_small_multiples_keep_the_shape_only() -> None:
    assert "M0.0,38.0L80.0,21.0L160.0,4.0" in small([(0, 1.0), (1, 2.0), (2, 3.0)], "it rises")
    assert 'aria-label="flat &amp; still"' in small([(0, 1.0), (1, 1.0)], "flat & still")
    assert "<path" not in small([(1, 1.0)], "one point") and "<path" not in small(
        [(1, 1.0), (1, 2.0)], "no span"
    )
