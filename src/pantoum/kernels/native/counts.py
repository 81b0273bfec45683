"""Counted n-grams in the core: ``reference.counts``.

The tree's numbers are trusted: ``network.mixers.counted_ngrams`` has checked them.

Shapes: N rows, V symbols, K tokens of context at most.
"""

from __future__ import annotations

import ctypes

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.count_tree import SIZES, CountTree
from pantoum.kernels.native.library import core
from pantoum.kernels.types import Array

__all__ = ["counts_struct", "mix_counts"]


def mix_counts(tree: CountTree, nodes_KN: Array, weights_N: Array, logits_NV: Array) -> None:
    """Logits become logarithms of the probabilities of the mixture, in place."""
    N, V = logits_NV.shape
    sizes = [len(length.left_M) for length in tree.lengths]
    fits = nodes_KN.shape == (len(sizes), N) and len(tree.unigrams_V) == V
    if not fits or any(nodes_N.max(initial=-1) >= M for nodes_N, M in zip(nodes_KN, sizes, strict=True)):
        raise CoreError(
            f"nodes_KN is {nodes_KN.shape} for {N} rows of {V} symbols: counts of {len(tree.unigrams_V)} "
            f"symbols have contexts of {len(sizes)} lengths, {sizes} of them; take nodes from Counts.find"
        )
    struct, _kept = counts_struct(tree, np.zeros(SIZES * (len(sizes) + 1), np.float32))
    core().call(
        "mix_counts",
        counts=struct,
        nodes=np.ascontiguousarray(nodes_KN, np.int64),
        weights=np.ascontiguousarray(weights_N, np.float32),
        logits=logits_NV,
    )


def counts_struct(tree: CountTree, weights_C: Array) -> tuple[ctypes.Structure, object]:
    """Counts and the weights of their classes as the core takes them, and what must live as long as they are
    used."""
    contexts = [
        core().struct(
            "contexts",
            starts=length.starts,
            tokens=length.tokens_C,
            shares=length.shares_C,
            left=length.left_M,
            sizes=length.sizes_M,
        )
        for length in tree.lengths
    ]
    lengths = core().structs("contexts", contexts)
    struct = core().struct(
        "counts",
        lengths=lengths,
        unigrams=tree.unigrams_V,
        weights=weights_C,
        kept=len(lengths),
        shortest=tree.shortest,
    )
    return struct, (lengths, tree, weights_C)
