"""Muon in NumPy: the momentum made orthogonal, block by block."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.kernels import reference
from pantoum.kernels.reference.update import NEWTON_SCHULZ, orthogonal


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
