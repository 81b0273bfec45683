"""The rate's shapes: where they rise, stay, fall, and that they end exactly with the budget."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.errors import SettingError
from pantoum.training.run.budget import Schedule

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
