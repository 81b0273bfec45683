"""The update: PyTorch's AdamW from a golden file, Muon, clipping, the average, and adapting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.kernels import reference
from pantoum.kernels.reference.update import NEWTON_SCHULZ, orthogonal

GOLDEN = Path(__file__).parents[2] / "golden" / "adamw.npz"


def test_adamw_is_pytorchs() -> None:
    with np.load(GOLDEN) as golden:
        parameter = golden["start"].copy()
        first, second = np.zeros_like(parameter), np.zeros_like(parameter)
        for step in range(5):
            reference.adamw(
                parameter,
                golden[f"gradient{step}"],
                first,
                second,
                step=step + 1,
                rate=0.01,
                betas=(0.9, 0.95),
                epsilon=1e-8,
                weight_decay=0.1,
            )
            np.testing.assert_allclose(parameter, golden[f"parameter{step}"], rtol=1e-12)


def test_a_factor_is_a_scaled_gradient_and_large_arrays_go_in_blocks() -> None:
    random = np.random.default_rng(0)
    start, gradient = random.standard_normal((2, 3, 20_000))
    one, other = start.copy(), start.copy()
    for parameter, factor, given in ((one, 0.25, gradient), (other, 1.0, gradient * 0.25)):
        moments = np.zeros_like(start), np.zeros_like(start)
        reference.adamw(parameter, given, *moments, step=1, rate=0.1, factor=factor)
    np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(abs(one - start), 0.1, rtol=0.1)  # a first step is the rate in each direction


def test_without_gradient_only_the_decay_moves_a_weight() -> None:
    parameter = np.ones(3, np.float32)
    zeros = [np.zeros(3, np.float32) for _ in range(3)]
    reference.adamw(parameter, *zeros, step=1, rate=0.5, weight_decay=0.1)
    np.testing.assert_allclose(parameter, 0.95)


def test_the_norm_is_of_all_arrays_together() -> None:
    assert reference.global_norm([np.full((2, 2), 2.0), np.array([3.0])]) == 5.0
    assert np.isnan(reference.global_norm([np.array([np.nan])]))


def test_the_average_follows() -> None:
    averaged = np.zeros(40_000)
    for _ in range(3):
        reference.average(averaged, np.ones(40_000), 0.5)
    np.testing.assert_allclose(averaged, 0.875)


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (12, 5), (5, 12), (40, 40)])
@pytest.mark.parametrize(("rounds", "least"), [(3, 0.5), (4, 0.6)])
def test_singular_values_go_towards_one_and_singular_vectors_stay(
    shape: tuple[int, int], rounds: int, least: float
) -> None:
    u = np.random.default_rng(1).standard_normal(shape)
    left, values, right = np.linalg.svd(u, full_matrices=False)
    made = left.T @ orthogonal(u, NEWTON_SCHULZ[:1] * rounds) @ right.T
    large = np.diag(made)[values > 0.05 * values[0]]
    assert np.all((large > least) & (large < 1.3))
    np.testing.assert_allclose(made, np.diag(np.diag(made)), atol=1e-9)


def test_the_length_of_the_gradient_has_no_say() -> None:
    u = np.random.default_rng(2).standard_normal((6, 4))
    np.testing.assert_allclose(orthogonal(u), orthogonal(1e-3 * u), rtol=1e-9)
    assert not orthogonal(np.zeros((3, 2))).any()


def test_gates_are_matrices_of_their_own() -> None:
    random = np.random.default_rng(3)
    whole, gradient = random.standard_normal((2, 6, 4))
    parts = [whole[:3].copy(), whole[3:].copy()]
    reference.muon([whole], [gradient], [np.zeros_like(whole)], [2], rate=0.1)
    reference.muon(parts, [gradient[:3], gradient[3:]], [np.zeros((3, 4)) for _ in parts], [1, 1], rate=0.1)
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-12)


def test_momentum_decay_clipping_and_the_scale_rule() -> None:
    random = np.random.default_rng(4)
    start, one, two = random.standard_normal((3, 8, 2))
    parameter, m = start.copy(), np.zeros_like(start)
    for gradient in (one, two):
        reference.muon(
            [parameter], [gradient], [m], [1], rate=0.1, momentum=0.9, weight_decay=0.5, factor=0.5
        )
    first, second = 0.05 * one, 0.9 * 0.05 * one + 0.05 * two
    np.testing.assert_allclose(m, second, rtol=1e-12)
    expected = start * 0.95 - 0.2 * orthogonal(0.9 * first + 0.05 * one)  # sqrt(8 / 2) is 2
    expected = expected * 0.95 - 0.2 * orthogonal(0.9 * second + 0.05 * two)
    np.testing.assert_allclose(parameter, expected, rtol=1e-12)


def test_other_precisions_are_the_native_cores() -> None:
    with pytest.raises(SettingError, match="precision is 'bf16': it needs the native core"):
        reference.muon([], [], [], [], rate=0.1, precision="bf16")


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
