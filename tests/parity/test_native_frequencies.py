"""The frequencies of the coder in the core: those of their reference, whole, with an exact sum."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.errors import CoreError, PantoumError
from pantoum.kernels import native, reference
from pantoum.kernels.reference.sample import with_sum


@pytest.mark.parametrize("V", [1, 2, 98, 257, 1000, 5003])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_the_core_counts_as_its_reference(path: str, V: int, scale: float) -> None:
    draw, total = np.random.default_rng(V), (1 << 24) - V
    logits_NV = (draw.standard_normal((13, V)) * scale).astype(np.float32)
    logits_NV[3, V // 2] = -np.inf if V > 1 else 0
    expected_NV = logits_NV.astype(np.float64)
    native.frequencies(logits_NV, total)
    reference.frequencies(expected_NV, total)
    assert (logits_NV == np.floor(logits_NV)).all() and (logits_NV >= 0).all()
    assert (logits_NV.astype(np.int64).sum(axis=1) == total).all()
    assert (expected_NV.sum(axis=1) == total).all()
    np.testing.assert_allclose(logits_NV, expected_NV, rtol=2e-5, atol=V + 1)


def test_a_row_depends_on_nothing_else(library: native.Library) -> None:
    """The same bits on every path, with any threads, alone or among others."""
    draw = np.random.default_rng(2)
    logits_NV = (draw.standard_normal((200, 301)) * 4).astype(np.float32)
    found = set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2, 3):
            library.set_threads(threads)
            together_NV, alone_NV = logits_NV.copy(), logits_NV.copy()
            native.frequencies(together_NV, 1 << 20)
            for row in range(0, 200, 7):
                native.frequencies(alone_NV[row : row + 1], 1 << 20)
                assert (alone_NV[row] == together_NV[row]).all()
            found.add(together_NV.tobytes())
    assert len(found) == 1


def test_logits_that_are_not_finite_are_refused(path: str) -> None:
    for odd in (np.nan, np.inf):
        logits_NV = np.zeros((3, 40), np.float32)
        logits_NV[1, 39] = odd
        for kernels in (native, reference):
            with np.errstate(invalid="ignore"), pytest.raises(PantoumError, match="not finite"):
                kernels.frequencies(logits_NV.copy(), 1000)
    with pytest.raises(CoreError, match="refused"):
        native.frequencies(np.zeros((1, 3), np.float32), 1 << 25)


def test_a_sum_that_is_too_large_is_taken_from_the_largest_on() -> None:
    whole_NV = np.array([[3.0, 5.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    with_sum(whole_NV, 2)
    assert whole_NV.tolist() == [[2, 0, 0, 0], [0, 0, 1, 1]]
