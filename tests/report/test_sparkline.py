"""A curve in one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pantoum.report.plot import BARS, sparkline


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
