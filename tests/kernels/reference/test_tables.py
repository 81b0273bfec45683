"""Sums of rows of a table, sums into rows, codes of rows, and the update of rows in use, by their
equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pantoum.kernels import RowCodes, reference

SIZES = [(1, 1, 1, 1), (5, 2, 7, 3), (40, 3, 9, 17), (300, 4, 1000, 65)]
"""N tokens, O rows each, R rows of the table, V columns."""


@pytest.mark.parametrize(("N", "each", "R", "V"), SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_token_has_the_sum_of_its_rows(N: int, each: int, R: int, V: int, dtype: type) -> None:
    draw = np.random.default_rng(N)
    table_RV = draw.standard_normal((R, V)).astype(dtype)
    before_RV, rows_NO = table_RV.copy(), draw.integers(0, R, (N, each)).astype(np.int32)
    found_NV = reference.lookup_sum(table_RV, rows_NO)
    expected = [[sum(float(table_RV[row, v]) for row in rows) for v in range(V)] for rows in rows_NO]
    assert found_NV.dtype == dtype
    np.testing.assert_allclose(found_NV, expected, rtol=1e-5, atol=1e-5 if dtype is np.float32 else 1e-12)
    found_NV[...] = 0  # a fresh array: the table stays
    assert np.array_equal(table_RV, before_RV)


@pytest.mark.parametrize(("N", "each", "R", "V"), SIZES)
def test_a_row_has_the_sum_of_its_tokens(N: int, each: int, R: int, V: int) -> None:
    draw = np.random.default_rng(N)
    d_NV, rows_NO = draw.standard_normal((N, V)), draw.integers(0, R, (N, each)).astype(np.int32)
    rows_NO[:, -1] = rows_NO[0, 0]  # one that all share
    expected_RV = np.zeros((R, V))
    for place in range(each):
        np.add.at(expected_RV, rows_NO[:, place], d_NV)
    rows_U, values_UV = reference.lookup_sum_gradient(d_NV, rows_NO)
    assert rows_U.dtype == np.int64 and rows_U.tolist() == sorted(set(rows_NO.flat))
    np.testing.assert_allclose(values_UV, expected_RV[rows_U], atol=1e-12)


@pytest.mark.parametrize(("U", "R", "V"), [(1, 1, 1), (3, 7, 5), (130, 300, 65)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_in_use_move_and_the_others_stay(U: int, R: int, V: int, dtype: type) -> None:
    draw = np.random.default_rng(U)
    table_RV = draw.standard_normal((R, V)).astype(dtype)
    squares_RV = draw.random((R, V)).astype(dtype)
    rows_U = np.sort(draw.permutation(R)[:U]).astype(np.int64)
    expected_RV, expected_squares_RV = table_RV.astype(np.float64), squares_RV.astype(np.float64)
    for _ in range(2):
        gradient_UV = draw.standard_normal((U, V)).astype(dtype)
        kept_UV = gradient_UV.copy()
        for place, row in enumerate(rows_U):
            for v in range(V):
                g = 0.5 * float(gradient_UV[place, v])
                expected_squares_RV[row, v] = 0.9 * expected_squares_RV[row, v] + 0.1 * g * g
                expected_RV[row, v] -= 0.02 * g / (expected_squares_RV[row, v] ** 0.5 + 1e-3)
        reference.rms_rows(
            table_RV, rows_U, gradient_UV, squares_RV, rate=0.02, keep=0.9, epsilon=1e-3, factor=0.5
        )
        assert np.array_equal(gradient_UV, kept_UV)
    close = {"rtol": 1e-4, "atol": 1e-6} if dtype is np.float32 else {"rtol": 1e-12}
    np.testing.assert_allclose(table_RV, expected_RV, **close)
    np.testing.assert_allclose(squares_RV, expected_squares_RV, **close)
    assert table_RV.dtype == squares_RV.dtype == dtype


def test_the_first_use_of_a_row_is_its_longest_step() -> None:
    """Squares begin at nothing and are not corrected: a row that comes once must learn from it."""
    table_RV, squares_RV, gradient_UV = np.zeros((2, 2)), np.zeros((2, 2)), np.array([[3.0, -1e-4]])
    settings = {"rate": 0.01, "keep": 0.99, "epsilon": 1e-12}
    reference.rms_rows(table_RV, np.array([1]), gradient_UV, squares_RV, **settings)
    np.testing.assert_allclose(table_RV, [[0, 0], [-0.1, 0.1]], rtol=1e-6)
    reference.rms_rows(table_RV, np.array([1]), gradient_UV, squares_RV, **settings)
    np.testing.assert_allclose(table_RV[1], np.array([-0.1, 0.1]) * (1 + 1.99**-0.5), rtol=1e-6)


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


def test_rows_by_number() -> None:
    table = np.arange(12.0).reshape(4, 3)
    out = np.empty((3, 3))
    assert reference.lookup(table, np.array([2, 0, 2]), out=out) is out
    np.testing.assert_array_equal(out, table[[2, 0, 2]])


@pytest.mark.parametrize("vocab_size", [3, 128, 129, 3000])
@pytest.mark.parametrize("into", [True, False])
def test_the_gradient_is_each_symbols_sum(vocab_size: int, into: bool) -> None:
    random = np.random.default_rng(0)
    tokens, d = random.integers(0, vocab_size, 200), random.standard_normal((200, 5))
    expected = np.zeros((vocab_size, 5))
    np.add.at(expected, tokens, d)
    out = np.full((vocab_size, 5), np.nan) if into else None
    found = reference.lookup_gradient(d, tokens, vocab_size, out=out)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert out is None or found is out
