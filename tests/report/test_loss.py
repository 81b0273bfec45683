"""What a loss curve shows: the whole story by tokens, the end of it by time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import given
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
