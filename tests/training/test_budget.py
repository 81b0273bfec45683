"""Budgets in three units, spans that end exactly, and a clock that remembers earlier sessions."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import TrainSettings
from pantoum.errors import SettingError
from pantoum.training.run.budget import Budget, Clock, Schedule, Span


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (TrainSettings(), None),
        (TrainSettings(minutes=2), Budget("minutes", 2.0)),
        (TrainSettings(steps=7), Budget("steps", 7.0)),
        (TrainSettings(epochs=0.5), Budget("epochs", 0.5)),
    ],
)
def test_reads_what_was_asked(settings, expected):
    assert Budget.asked(settings) == expected


@pytest.mark.parametrize(
    ("budget", "size"),
    [
        (Budget("steps", 7), 7),
        (Budget("epochs", 2), 20),
        (Budget("epochs", 0.25), 3),
        (Budget("epochs", 0.01), 1),
        (Budget("epochs", 0.3), 3),
        (Budget("minutes", 1.5), 90),
    ],
)
def test_size_in_steps_or_seconds(budget, size):
    assert budget.size(steps_per_epoch=10) == size


def test_is_spelled_as_a_person_would():
    assert [str(Budget("steps", 1)), str(Budget("minutes", 2.5))] == ["1 step", "2.5 minutes"]


@given(st.integers(1, 200), st.integers(0, 50))
def test_a_span_of_steps_is_walked_in_equal_strides_by_their_middles(length, begin):
    span = Span(False, begin, begin + length)
    walked = [span.progress(begin + step, 0.0) for step in range(length)]
    assert walked == pytest.approx([(step + 0.5) / length for step in range(length)])
    assert not span.over(begin + length - 1, 1e9) and span.over(begin + length, 0.0)


@given(st.floats(0.01, 2.0), st.floats(0.0, 5.0))
def test_a_span_of_seconds_ends_within_half_a_step_of_its_end_less_the_reserve(stride, reserve):
    span, now, last = Span(True, 1.0, 30.0), 1.0, 0.0
    while not span.over(0, now, step_seconds=stride, reserve=reserve):
        at = span.progress(0, now, step_seconds=stride, reserve=reserve)
        assert last <= at <= 1.0
        now, last = now + stride, at
    assert abs(now - (30.0 - reserve)) <= 0.5 * stride + 1e-9


def test_a_span_without_length_is_over():
    span = Span(True, 10.0, 5.0)
    assert span.over(0, 10.0) and span.progress(0, 10.0) == 1.0 and span.used(0, 10.0) == 1.0


def test_used_goes_from_none_to_all():
    assert [Span(False, 4, 8).used(step, 0.0) for step in (4, 5, 8, 9)] == [0.0, 0.25, 1.0, 1.0]
    assert Span(True, 0.0, 60.0).used(0, 15.0) == 0.25


def test_a_span_goes_through_json():
    span = Span(True, 1.5, 30.25, warm_up=False)
    assert Span(**json.loads(json.dumps(span.spec()))) == span


def test_the_clock_counts_from_the_commands_start_and_adds_earlier_sessions():
    time = iter([107.0, 109.5])
    clock = Clock(started=100.0, used=30.0, now=lambda: next(time))
    assert [clock.seconds, clock.seconds] == [37.0, 39.5]
    assert 0.0 <= Clock().seconds < 5.0


progress = st.floats(0.0, 1.0)


def test_trapezoid_rises_stays_and_falls_to_zero_over_the_last_two_fifths():
    schedule = Schedule("trapezoid", warm_up=0.1)
    points = {0.0: 0.0, 0.05: 0.5, 0.1: 1.0, 0.5: 1.0, 0.6: 1.0, 0.8: 0.5, 1.0: 0.0}
    assert {at: round(schedule.factor(at), 12) for at in points} == points
    assert schedule.prolonged_from == 0.6 and not schedule.rises_again


def test_linear_rises_and_falls_all_along():
    schedule = Schedule("linear", warm_up=0.2)
    points = {0.0: 0.0, 0.1: 0.5, 0.2: 1.0, 0.6: 0.5, 0.8: 0.25, 1.0: 0.0}
    assert {at: round(schedule.factor(at), 12) for at in points} == points
    assert schedule.prolonged_from == 1.0 and schedule.rises_again


def test_cosine_is_half_way_down_in_the_middle():
    schedule = Schedule("cosine", warm_up=0.2)
    assert schedule.factor(0.1) == 0.5 and schedule.factor(0.2) == 1.0
    assert math.isclose(schedule.factor(0.6), 0.5) and schedule.factor(1.0) == 0.0
    assert schedule.prolonged_from == 1.0 and schedule.rises_again


@given(progress)
def test_constant_is_constant(at):
    assert Schedule("constant", warm_up=0.1).factor(at) == 1.0


@given(st.sampled_from(["linear", "trapezoid", "cosine"]), st.floats(0.0, 0.3), progress, progress)
def test_falls_and_never_rises_after_the_warm_up(kind, warm_up, one, other):
    schedule = Schedule(kind, warm_up)
    low, high = sorted((one, other))
    assert 0.0 <= schedule.factor(low) <= 1.0
    if low >= warm_up:
        assert schedule.factor(low) >= schedule.factor(high)
    assert schedule.factor(1.0) == 0.0


@given(st.floats(-5.0, 5.0))
def test_outside_of_the_budget_it_holds_its_ends(at):
    schedule = Schedule("trapezoid", 0.1)
    assert schedule.factor(at) == schedule.factor(min(max(at, 0.0), 1.0))


def test_an_unknown_shape_is_refused():
    with pytest.raises(SettingError, match="schedule is 'steps': it must be one of linear"):
        Schedule("steps")
