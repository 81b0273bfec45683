"""Muon in the core against NumPy: every path, blocks high, wide and square, one and more threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.errors import CoreError
from pantoum.kernels import native, reference

SHAPES = [(3, 1, 1), (1, 7, 5), (3, 5, 7), (3, 33, 33), (2, 70, 40), (4, 24, 90)]


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(kernels: Any, precision: str = "float32") -> list[Any]:
    """Two steps over matrices of all shapes: parameters and momenta."""
    parameters = [normal(blocks * H, K, seed=k) for k, (blocks, H, K) in enumerate(SHAPES)]
    momenta = [0.1 * normal(*p.shape, seed=50 + k) for k, p in enumerate(parameters)]
    for step in range(2):
        gradients = [normal(*p.shape, seed=100 + 10 * step + k) for k, p in enumerate(parameters)]
        kernels.muon(
            parameters,
            gradients,
            momenta,
            [blocks for blocks, *_ in SHAPES],
            rate=0.1,
            momentum=0.9,
            weight_decay=0.1,
            factor=0.5,
            precision=precision,
        )
    return [*parameters, *momenta]


def test_the_core_does_what_numpy_does(path: str) -> None:
    for ours, theirs in zip(run(native), run(reference), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_threads_and_paths_change_no_bit(library: native.Library) -> None:
    found = []
    for isa in library.paths():
        for threads in (1, 2, 3):
            library.set_isa(isa)
            library.set_threads(threads)
            found.append(b"".join(array.tobytes() for array in run(native)))
    assert len(set(found)) == 1


@pytest.mark.usefixtures("bf16_path")
def test_bf16_is_near_and_threads_change_no_bit(library: native.Library) -> None:
    found = []
    for threads in (1, 2):
        library.set_threads(threads)
        found.append(run(native, "bf16"))
    for one, two, exact in zip(*found, run(reference), strict=True):
        assert np.array_equal(one, two)
        np.testing.assert_allclose(one, exact, atol=0.02)


def test_what_is_not_finite_stays_so(path: str) -> None:
    parameter, gradient = normal(4, 4), normal(4, 4, seed=1)
    gradient[1, 2] = np.nan
    native.muon([parameter], [gradient], [np.zeros_like(parameter)], [1], rate=0.1)
    assert np.isnan(parameter).all()


def test_nothing_to_do_and_arrays_that_do_not_fit(library: native.Library) -> None:
    native.muon([], [], [], [], rate=0.1)
    with pytest.raises(CoreError, match="arrays of one shape"):
        native.muon([normal(4, 4)], [normal(4, 3)], [normal(4, 4)], [1], rate=0.1)
