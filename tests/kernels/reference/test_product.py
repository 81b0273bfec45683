"""Products: the same numbers whichever way the matrix lies."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.kernels import reference


@pytest.mark.parametrize("rows", [1, 7, 8, 100, 1025])
def test_products_and_their_transposes(rows: int) -> None:
    random = np.random.default_rng(rows)
    weight, x, d = (random.standard_normal(shape) for shape in ((19, 33), (rows, 33), (rows, 19)))
    matrix = reference.pack(weight)
    assert matrix.shape == (19, 33)
    np.testing.assert_allclose(matrix.product(x), x @ weight.T)
    np.testing.assert_allclose(matrix.product_transposed(d), d @ weight)
    out = np.empty((rows, 19))
    assert reference.linear(x, matrix, np.arange(19.0), out=out) is out
    np.testing.assert_allclose(out, x @ weight.T + np.arange(19))
    np.testing.assert_allclose(reference.linear(x, matrix), x @ weight.T)
    np.testing.assert_allclose(reference.linear_weight_gradient(d, x), d.T @ x)
    np.testing.assert_allclose(reference.bias_gradient(d), d.sum(axis=0))


def test_a_matrix_for_reading_has_a_copy() -> None:
    weight, x = np.ones((3, 2)), np.ones((10, 2))
    matrix, other = reference.pack(weight, packs="for reading"), reference.pack(weight)
    weight *= 2
    np.testing.assert_array_equal(matrix.product(x), 2)
    np.testing.assert_array_equal(other.product(x), 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: reference.pack(np.ones((2, 2)), "bf16"),
        lambda: reference.linear_weight_gradient(np.ones((2, 2)), np.ones((2, 2)), precision="bf16"),
    ],
)
def test_numpy_has_float32_only(call: object) -> None:
    with pytest.raises(SettingError, match=r"precision is 'bf16': it needs the native core .*; use float32"):
        call()  # type: ignore[operator]
