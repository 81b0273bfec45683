"""Adapting's operations in the core against NumPy, on every path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.errors import CoreError
from pantoum.kernels import native, reference

SHAPES = [(1, 1), (7, 1), (5, 33), (40, 512), (3, 40000)]


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("R", "C"), SHAPES)
def test_squares_of_rows(path: str, R: int, C: int) -> None:
    ours_R, theirs_R = normal(R, seed=1) ** 2, normal(R, seed=1) ** 2
    for kernels, squares_R in ((native, ours_R), (reference, theirs_R)):
        kernels.row_squares(normal(R, C), squares_R, 0.75, 0.5)
    np.testing.assert_allclose(ours_R, theirs_R, rtol=1e-5)


@pytest.mark.parametrize(("R", "C"), SHAPES)
def test_a_step(path: str, R: int, C: int) -> None:
    found = []
    for kernels in (native, reference):
        parameter_RC = normal(R, C)
        kernels.adapt(
            parameter_RC, normal(R, C, seed=1), normal(R, C, seed=2), normal(R, seed=3), normal(R, seed=4)
        )
        found.append(parameter_RC)
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("C", [1, 33])
@pytest.mark.parametrize("kernels", [native, reference], ids=["native", "reference"])
def test_a_step_of_some_rows_is_that_of_all_with_no_gradient_and_no_way_back_elsewhere(
    path: str, kernels: Any, C: int
) -> None:
    rows_U = np.array([0, 3, 4, 30])
    some_RC, all_RC, gradient_RC = normal(31, C), normal(31, C), np.zeros((31, C), np.float32)
    gradient_RC[rows_U] = normal(4, C, seed=1)
    back_R = np.zeros(31, np.float32)
    back_R[rows_U] = normal(4, seed=3)
    given = normal(31, C, seed=2), normal(31, seed=4)
    kernels.adapt(some_RC, normal(4, C, seed=1), *given, back_R, rows_U)
    kernels.adapt(all_RC, gradient_RC, *given, back_R)
    np.testing.assert_array_equal(some_RC, all_RC)


def test_the_same_bits_on_every_path_and_any_threads(library: native.Library) -> None:
    found = set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2, 3):
            library.set_threads(threads)
            squares_R, parameter_RC = normal(90, seed=1) ** 2, normal(90, 700)
            native.row_squares(normal(90, 700, seed=2), squares_R, 0.5, 0.1)
            native.adapt(parameter_RC, normal(90, 700, seed=2), normal(90, 700, seed=3), squares_R, squares_R)
            found.add(squares_R.tobytes() + parameter_RC.tobytes())
    assert len(found) == 1


def test_arrays_that_do_not_fit_are_refused(library: native.Library) -> None:
    with pytest.raises(CoreError, match="squares is float32 of shape"):
        native.row_squares(normal(3, 4), normal(4), 0.5, 0.5)
    with pytest.raises(CoreError, match="trained is float64"):
        native.adapt(normal(3, 4), normal(3, 4), normal(3, 4).astype(np.float64), normal(3), normal(3))
    with pytest.raises(CoreError, match="rows_U is not ascending"):
        native.adapt(normal(3, 4), normal(2, 4), normal(3, 4), normal(3), normal(3), np.array([1, 1]))
    with pytest.raises(CoreError, match="rows is int64 of shape"):
        native.adapt(normal(3, 4), normal(3, 4), normal(3, 4), normal(3), normal(3), np.array([0, 1]))
    with pytest.raises(CoreError, match="out of range"):
        native.row_squares(normal(3, 0), normal(3), 0.5, 0.5)
    with pytest.raises(CoreError, match="out of range"):
        native.adapt(normal(3, 0), normal(3, 0), normal(3, 0), normal(3), normal(3))
