"""Adapting's operations against their equations in float64."""

import numpy as np
import pytest

from pantoum.kernels import reference


@pytest.mark.parametrize(("R", "C"), [(1, 1), (5, 3), (300, 130)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_squared_into_a_running_sum(R, C, dtype):
    draw = np.random.default_rng(R)
    gradient_RC, squares_R = draw.standard_normal((R, C)).astype(dtype), draw.random(R).astype(dtype)
    want_R = 0.25 * squares_R + 2.0 * (gradient_RC.astype(np.float64) ** 2).sum(axis=1)
    reference.row_squares(gradient_RC, squares_R, 0.25, 2.0)
    assert squares_R.dtype == dtype and np.allclose(squares_R, want_R, rtol=1e-5)


@pytest.mark.parametrize(("R", "C"), [(1, 1), (5, 3), (300, 130), (1, 40000)])
def test_a_step_goes_along_the_gradient_and_back_to_the_trained_weights(R, C):
    draw = np.random.default_rng(R)
    parameter_RC, gradient_RC, trained_RC = draw.standard_normal((3, R, C))
    speed_R, back_R = draw.random((2, R))
    want_RC = parameter_RC + back_R[:, None] * (trained_RC - parameter_RC) - speed_R[:, None] * gradient_RC
    reference.adapt(parameter_RC, gradient_RC, trained_RC, speed_R, back_R)
    assert np.allclose(parameter_RC, want_RC)
