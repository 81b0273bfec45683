"""Two distributions of each row as one: logarithms of a weighted sum.

Shapes: N rows, V symbols.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.types import Array

__all__ = ["LEAST_PROBABILITY", "mix_rows", "normalise_rows"]

LEAST_PROBABILITY = np.float32(np.finfo(np.float32).tiny)
"""Added to every probability, so that the logarithm of one that float32 cannot hold is finite."""


def normalise_rows(logits_NV: Array) -> None:
    """The logits become logarithms of their softmax."""
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    logits_NV -= np.log(np.exp(logits_NV).sum(axis=1, keepdims=True))


def mix_rows(logits_NV: Array, p_NV: Array, weights_N: Array) -> None:
    """The logits become logarithms of ``v softmax(logits) + (1 - v) p``; ``p_NV`` is overwritten, too."""
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    np.exp(logits_NV, out=logits_NV)
    logits_NV *= (weights_N / logits_NV.sum(axis=1))[:, None]
    p_NV *= (1 - weights_N)[:, None]
    logits_NV += p_NV
    logits_NV += LEAST_PROBABILITY
    np.log(logits_NV, out=logits_NV)
