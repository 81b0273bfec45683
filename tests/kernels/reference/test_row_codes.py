"""Rows as codes: how far from the table they may be, what coding them again gives, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pantoum.kernels import RowCodes

TABLES = arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 7)),
    elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 31.0, -15.5, 2.0**-99, 1e-38]),
)


GREATEST = st.sampled_from([1, 31, 100, 127])


@given(TABLES, GREATEST)
@example(np.array([[805.0]], np.float32), 100)
def test_a_number_is_off_by_half_a_scale_and_a_row_that_is_not_used_is_zero(
    table_RV: Any, greatest: int
) -> None:
    coded = RowCodes.of(table_RV, greatest)
    assert np.abs(coded.codes_UV).max(initial=0) <= greatest
    greatest_R = np.abs(table_RV).max(axis=1)
    unused_R = greatest_R < 2.0**-100
    step_R = coded.scales_U[coded.places_R]
    # Doubled codes (the form that coding again gives) are all even, and their step was halved.
    doubled_R = (coded.codes_UV % 2 == 0).all(axis=1)[coded.places_R]
    most_R = np.where(unused_R, greatest_R, np.where(doubled_R, step_R, step_R / 2))
    assert (np.abs(coded.floats() - table_RV).max(axis=1) <= most_R).all()
    assert (coded.places_R[unused_R] == 0).all() and not coded.floats()[unused_R].any()
    assert (step_R[~unused_R] < 2 * greatest_R[~unused_R] / greatest * 1.0001).all()  # no wider than need be


@given(TABLES, GREATEST)
def test_coding_again_gives_the_same(table_RV: Any, greatest: int) -> None:
    once = RowCodes.of(table_RV, greatest)
    again = RowCodes.of(once.floats(), greatest)
    for first, second in zip(vars(once).values(), vars(again).values(), strict=True):
        assert np.array_equal(first, second)
