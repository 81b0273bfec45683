"""The update: PyTorch's AdamW from a golden file, clipping, and the average."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pantoum.kernels import reference

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
