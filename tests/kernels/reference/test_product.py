"""Products and losses: the same numbers whichever way the matrix lies, and in whatever chunks."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.kernels import Workspace, reference


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


def plain(hidden: np.ndarray, weight: np.ndarray, bias: np.ndarray, targets: np.ndarray) -> np.ndarray:
    logits = hidden @ weight.T + bias
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(targets)), targets]


@pytest.fixture(params=[600, 256, 1])
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    return (
        random.standard_normal((request.param, 5)),
        random.standard_normal((2500, 5)),
        random.standard_normal(2500),
        random.integers(0, 2500, request.param),
    )


def test_losses_and_predictions(case: tuple[np.ndarray, ...]) -> None:
    hidden, weight, bias, targets = case
    nats, predictions = reference.cross_entropy(hidden, reference.pack(weight), bias, targets)
    np.testing.assert_allclose(nats, plain(*case))
    np.testing.assert_array_equal(predictions, (hidden @ weight.T + bias).argmax(axis=1))


def test_the_gradient_of_the_mean_is_the_central_difference(case: tuple[np.ndarray, ...]) -> None:
    hidden, weight, bias, targets = case
    random, workspace = np.random.default_rng(1), Workspace()
    for _ in range(2):
        nats, _, *gradients, d_given = reference.cross_entropy_gradient(
            hidden, reference.pack(weight), bias, targets, workspace
        )
    assert d_given is None
    np.testing.assert_allclose(nats, plain(*case))
    for place, gradient in enumerate(gradients):
        direction = random.standard_normal(gradient.shape)
        moved = [
            [array + e * direction if k == place else array for k, array in enumerate(case)]
            for e in (1e-6, -1e-6)
        ]
        expected = (plain(*moved[0]).mean() - plain(*moved[1]).mean()) / 2e-6
        assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_huge_logits_are_no_trouble() -> None:
    weight = np.array([[1e4], [-1e4]], np.float32)
    nats, _, d_hidden, *_ = reference.cross_entropy_gradient(
        np.ones((2, 1), np.float32), reference.pack(weight), np.zeros(2, np.float32), np.array([0, 1])
    )
    assert nats.tolist() == [0, 2e4]
    assert np.isfinite(d_hidden).all()
