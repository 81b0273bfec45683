"""Sums of a table's rows, sums into rows, and the update of the rows in use, against their equations."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.kernels import reference

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
