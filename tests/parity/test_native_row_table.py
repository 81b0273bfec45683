"""Tables of which a batch uses few rows: the core against NumPy, on every path, at odd widths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.errors import CoreError
from pantoum.kernels import RowCodes, native, reference

SHAPES = [(1, 1, 16, 1), (3, 2, 16, 7), (300, 3, 40, 98), (700, 1, 512, 33)]
"""Tokens, rows for each, rows of the table, columns."""


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rows_of(N: int, each: int, R: int) -> Any:
    return np.random.default_rng(2).integers(0, R, (N, each)).astype(np.int32)


def near(ours: Any, theirs: Any, terms: int = 1) -> None:
    """Equal but for the rounding of sums of so many terms in another order."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * max(1.0, terms / 4))


def moved(kernels: Any, N: int, each: int, R: int, V: int) -> list[Any]:
    """Two updates of the rows in use: table and squares."""
    table_RV, squares_RV = normal(R, V), np.square(normal(R, V, seed=1))
    for seed in (3, 4):
        rows_U, gradient_UV = reference.lookup_sum_gradient(normal(N, V, seed=seed), rows_of(N, each, R))
        kernels.rms_rows(
            table_RV, rows_U, gradient_UV, squares_RV, rate=0.1, keep=0.9, epsilon=1e-8, factor=0.5
        )
    return [table_RV, squares_RV]


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_sums_of_rows_have_numpys_bits(path: str, N: int, each: int, R: int, V: int) -> None:
    table_RV, rows_NO = normal(R, V), rows_of(N, each, R)
    assert np.array_equal(native.lookup_sum(table_RV, rows_NO), reference.lookup_sum(table_RV, rows_NO))


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_sums_of_coded_rows_have_numpys_bits_and_those_of_their_floats(
    path: str, N: int, each: int, R: int, V: int
) -> None:
    table_RV, rows_NO = normal(R, V), rows_of(N, each, R)
    table_RV[::3] = 0
    coded = RowCodes.of(table_RV)
    found = native.lookup_sum(coded, rows_NO)
    assert np.array_equal(found, reference.lookup_sum(coded, rows_NO))
    assert np.array_equal(found, native.lookup_sum(coded.floats(), rows_NO))


def test_scales_of_any_size_and_codes_at_the_ends_have_numpys_bits(path: str) -> None:
    random = np.random.default_rng(6)
    codes_RV = random.choice(np.array([-127, -1, 0, 1, 127], np.int8), (40, 37))
    scales_R = random.standard_normal(40).astype(np.float32) * np.float32(10) ** random.integers(-30, 30, 40)
    table, rows_NO = RowCodes.whole(codes_RV, scales_R.astype(np.float32)), rows_of(50, 3, 40)
    assert np.array_equal(native.lookup_sum(table, rows_NO), reference.lookup_sum(table, rows_NO))


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_sums_into_rows_are_numpys(path: str, N: int, each: int, R: int, V: int) -> None:
    d_NV, rows_NO = normal(N, V), rows_of(N, each, R)
    (rows_U, sums_UV), (expected_U, expected_UV) = (
        kernels.lookup_sum_gradient(d_NV, rows_NO) for kernels in (native, reference)
    )
    assert np.array_equal(rows_U, expected_U) and rows_U.dtype == np.int64
    near(sums_UV, expected_UV, N * each // R)
    exact_RV = np.zeros((R, V))
    np.add.at(exact_RV, rows_NO.reshape(-1), np.repeat(d_NV, each, axis=0))
    np.testing.assert_allclose(sums_UV, exact_RV[rows_U], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_the_update_is_numpys_and_of_these_rows_alone(path: str, N: int, each: int, R: int, V: int) -> None:
    ours, theirs = moved(native, N, each, R, V), moved(reference, N, each, R, V)
    for one, other in zip(ours, theirs, strict=True):
        near(one, other)
    others_R = np.setdiff1d(np.arange(R), rows_of(N, each, R))
    assert np.array_equal(ours[0][others_R], normal(R, V)[others_R])


def test_paths_and_threads_change_no_bit(library: native.Library) -> None:
    found = set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2, 3):
            library.set_threads(threads)
            arrays = [
                array
                for N, each, R, V in SHAPES
                for array in (
                    *moved(native, N, each, R, V),
                    native.lookup_sum(normal(R, V), rows_of(N, each, R)),
                    native.lookup_sum_gradient(normal(N, V), rows_of(N, each, R))[1],
                )
            ]
            found.add(b"".join(array.tobytes() for array in arrays))
    assert len(found) == 1


@pytest.mark.parametrize("kernels", [native, reference])
def test_no_tokens_use_no_rows(library: native.Library, kernels: Any) -> None:
    table_RV, none_NO = normal(16, 5), np.zeros((0, 2), np.int32)
    assert kernels.lookup_sum(table_RV, none_NO).shape == (0, 5)
    rows_U, sums_UV = kernels.lookup_sum_gradient(np.zeros((0, 5), np.float32), none_NO)
    assert rows_U.shape == (0,) and sums_UV.shape == (0, 5)
    kernels.rms_rows(table_RV, rows_U, sums_UV, np.zeros_like(table_RV), rate=0.1, keep=0.9, epsilon=1e-8)
    assert np.array_equal(table_RV, normal(16, 5))


def test_what_is_not_there_is_refused(library: native.Library) -> None:
    table_RV, rows_NO = normal(16, 5), rows_of(3, 2, 16)
    for wrong in (rows_NO + 16, rows_NO - 16, rows_NO.astype(np.float32), rows_NO[:, :0]):
        with pytest.raises(CoreError, match="rows are"):
            native.lookup_sum(table_RV, wrong)
    with pytest.raises(CoreError, match="rows is"):
        native.lookup_sum(table_RV.T, rows_NO % 5)
    with pytest.raises(CoreError, match="sum_uses: d is"):
        native.lookup_sum_gradient(normal(5, 3).T, rows_NO)

    def update(rows_U: Any, U: int = 2, R: int = 16) -> None:
        native.rms_rows(table_RV, rows_U, normal(U, 5), normal(R, 5), rate=0.1, keep=0.9, epsilon=1e-8)

    for rows_U, message in (
        (np.array([3, 16]), "rows are"),
        (np.array([-1, 3]), "rows are"),
        (np.array([3, 3]), "not ascending"),
        (np.array([4, 3]), "not ascending"),
    ):
        with pytest.raises(CoreError, match=message):
            update(rows_U)
    with pytest.raises(CoreError, match="gradient is"):
        update(np.array([1, 3]), U=3)
    with pytest.raises(CoreError, match="squares is"):
        update(np.array([1, 3]), R=15)
