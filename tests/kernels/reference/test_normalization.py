"""Layer normalisation and its gradient."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.kernels import reference


def test_rows_have_mean_zero_and_variance_one() -> None:
    x = np.random.default_rng(0).standard_normal((6, 50)) * 7 + 3
    y, _ = reference.layer_norm(x, np.ones(50), np.zeros(50))
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-5)


def test_a_constant_row_becomes_the_bias() -> None:
    y, _ = reference.layer_norm(np.full((1, 4), 3.0), np.ones(4), np.arange(4.0))
    np.testing.assert_array_equal(y[0], np.arange(4))


@pytest.mark.parametrize("name", ["x", "weight", "bias"])
def test_the_gradient_is_the_central_difference(name: str) -> None:
    random = np.random.default_rng(1)
    arrays = {
        "x": random.standard_normal((5, 7)),
        "weight": random.standard_normal(7),
        "bias": random.standard_normal(7),
    }
    d_y, direction = random.standard_normal((5, 7)), random.standard_normal(arrays[name].shape)
    _, tape = reference.layer_norm(arrays["x"], arrays["weight"], arrays["bias"])
    gradients = dict(zip(arrays, reference.layer_norm_vjp(tape, arrays["weight"], d_y), strict=True))

    def loss(step: float) -> float:
        moved = {**arrays, name: arrays[name] + step * direction}
        return float((reference.layer_norm(moved["x"], moved["weight"], moved["bias"])[0] * d_y).sum())

    assert (gradients[name] * direction).sum() == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6)
