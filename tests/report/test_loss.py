"""What a loss curve shows: the whole story by tokens, the end of it by time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.report.loss import (
    Axis,
    Reference,
    bucketed,
    by_time,
    by_tokens,
    clock_axis,
    count_axis,
    loss_axis,
)
from pantoum.report.plot import BARS, plot, sparkline
from pantoum.report.story import RunHistory

Make = Callable[..., list[dict[str, Any]]]
REFERENCES = (Reference("bz2", 1.5), Reference("xz", 5.0))


def test_by_tokens_shows_every_loss_and_every_reference(make_records: Make) -> None:
    view = by_tokens(RunHistory.of(make_records()), REFERENCES, "character")
    losses = [loss for points in view.lines.values() for _, loss in points]
    assert all(0 <= view.y.place(loss) <= 1 for loss in [*losses, 1.5, 5.0])
    assert view.x.log and view.x_title == "characters trained on, log scale"


def test_by_time_is_as_high_as_the_later_losses(make_records: Make) -> None:
    view = by_time(RunHistory.of(make_records()), REFERENCES)
    first = view.lines["training"][0][1]
    assert view.y.most < first
    assert [r.name for r in view.references] == ["bz2"]


def test_a_run_without_held_out_text_has_one_line(make_records: Make) -> None:
    assert list(by_time(RunHistory.of(make_records(valid=None))).lines) == ["training"]


def test_no_records_no_lines() -> None:
    for view in (by_tokens, by_time):
        assert view(RunHistory(())).lines == {}


LOSSES = st.lists(st.floats(-100, 1000), min_size=1, max_size=9)
COUNTS = st.lists(st.floats(1, 1e13), min_size=1, max_size=9)


@given(LOSSES)
def test_a_loss_axis_holds_all_values_and_few_ticks(values: list[float]) -> None:
    axis = loss_axis(values)
    assert all(0.0 <= axis.place(v) <= 1.0 for v in values)
    assert 1 <= len(axis.ticks) <= 8
    assert all(-1e-6 <= axis.place(v) <= 1 + 1e-6 for v, _ in axis.ticks)
    assert len({label for _, label in axis.ticks}) == len(axis.ticks)


@given(COUNTS)
def test_a_count_axis_does_too(values: list[float]) -> None:
    axis = count_axis(values)
    assert all(-1e-9 <= axis.place(v) <= 1 + 1e-9 for v in values)
    assert len(axis.ticks) <= 7
    assert all(math.isfinite(axis.place(v)) for v, _ in axis.ticks)


@given(st.floats(0, 1e7))
def test_a_clock_axis_has_ticks_that_clocks_have(most: float) -> None:
    axis = clock_axis([most])
    assert 1 <= len(axis.ticks) <= 7 and axis.ticks[0] == (0.0, "0:00")


def test_the_ticks_people_expect() -> None:
    assert [label for _, label in loss_axis([1.1, 3.0]).ticks] == ["1.0", "1.5", "2.0", "2.5", "3.0"]
    assert [label for _, label in clock_axis([300]).ticks] == ["0:00", "1:00", "2:00", "3:00", "4:00", "5:00"]
    tokens = count_axis([1e5, 3.6e7])
    assert [label for _, label in tokens.ticks] == ["100 k", "300 k", "1 M", "3 M", "10 M", "30 M"]


def test_a_bucket_is_the_mean_with_its_least_and_greatest() -> None:
    found = bucketed([(0, 1.0), (1, 3.0), (9, 5.0)], Axis(0.0, 10.0), parts=2)
    assert [(b.x, b.mean, b.least, b.most) for b in found] == [(0.5, 2.0, 1.0, 3.0), (9, 5.0, 5.0, 5.0)]


@given(st.lists(st.floats(0, 10), max_size=50).map(sorted))
def test_no_more_buckets_than_parts_and_none_is_lost(xs: list[float]) -> None:
    found = bucketed([(x, x) for x in xs], Axis(0.0, 10.0), parts=7)
    assert len(found) <= 7 and bool(found) == bool(xs)
    assert all(b.least <= b.mean + 1e-9 and b.mean <= b.most + 1e-9 for b in found)


def lines(view: Any, width: int, height: int) -> list[str]:
    return ["".join(text for text, _ in row) for row in plot(view, width, height)]


@settings(max_examples=40)
@given(width=st.integers(0, 120), height=st.integers(0, 40), upto=st.integers(0, 20))
def test_every_row_has_the_width_that_was_asked(width: int, height: int, upto: int) -> None:
    records = [
        {"step": i, "tokens": 10 * i, "seconds": i, "loss": 5 / i, "valid": 6 / i} for i in range(1, upto + 1)
    ]
    for view in (by_time, by_tokens):
        rows = lines(view(RunHistory.of(records)), width, height)
        assert len(rows) == (height if width >= 16 and height >= 3 else 0)
        assert all(len(row) == width for row in rows)


def test_a_falling_line_goes_from_the_top_left_to_the_bottom_right() -> None:
    records = [{"step": i, "tokens": i, "seconds": i, "loss": 100 - i} for i in range(1, 101)]
    rows = [row[7:] for row in lines(by_time(RunHistory.of(records)), 47, 12)[:-2]]
    places = [row.find(row.strip()[0]) for row in rows if row.strip()]
    assert places == sorted(places) and rows[-1].rstrip() and len(places) >= 8


def test_the_lines_differ_without_colour(make_records: Make) -> None:
    rows = plot(by_time(RunHistory.of(make_records())), 80, 20)
    dots = {kind: sum(bin(ord(c) - 0x2800).count("1") for row in rows for text, k in row if k == kind
                      for c in text if c >= "\u2800") for kind in ("training", "validation")}  # fmt: skip
    assert 0 < dots["validation"] < 0.6 * dots["training"]


def test_ticks_name_both_axes(make_records: Make) -> None:
    rows = lines(by_time(RunHistory.of(make_records())), 60, 16)
    assert sum("┤" in row for row in rows) >= 3
    assert rows[-1].split()[0] == "0:00" and "┬" in rows[-2]
    assert "0:00" not in "".join(lines(by_time(RunHistory(())), 60, 16))


def test_one_record_is_one_dot() -> None:
    history = RunHistory.of([{"step": 1, "tokens": 5, "seconds": 5.0, "loss": 2.0}])
    assert sum("\u2801" <= c <= "\u28ff" for row in lines(by_time(history), 40, 10) for c in row) == 1


def test_the_least_is_lowest_and_the_most_highest() -> None:
    assert sparkline([1.0, 2.0, 3.0]) == "▁▅█" or sparkline([1.0, 2.0, 3.0]) == "▁▄█"


def test_gaps_flat_curves_and_nothing() -> None:
    assert sparkline([]) == sparkline([None, float("nan")]) == ""
    assert sparkline([1.0, None, float("inf"), 2.0]) == "▁  █"
    assert sparkline([5.0, 5.0]) == BARS[4] * 2
    assert sparkline([0.0, 5e-324]) == "▁█"


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=300), st.integers(1, 80))
def test_never_wider_than_asked(values: list[float | None], width: int) -> None:
    assert len(sparkline(values, width)) <= width
