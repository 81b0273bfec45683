"""Counted n-grams in the core: ``reference.counts``.

The tree's numbers are trusted: ``network.mixers.counts`` has checked them.

Shapes: N rows, V symbols, K tokens of context at most, M contexts of one length, C continuations.
"""

from __future__ import annotations

import ctypes

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.array import Array
from pantoum.kernels.count_tree import SIZES, CountTree
from pantoum.kernels.native.arguments import ARGUMENTS
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import floats, given

__all__ = ["counts_struct", "mix_counts"]

INT64 = np.dtype(np.int64)


def mix_counts(tree: CountTree, nodes_KN: Array, weights_N: Array, logits_NV: Array) -> None:
    """Logits become logarithms of the probabilities of the mixture, in place."""
    N, V = logits_NV.shape
    nodes_KN = np.ascontiguousarray(nodes_KN, np.int64)
    weights_N = np.ascontiguousarray(weights_N, np.float32)
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
        ctypes.addressof(struct),
        given(nodes_KN, "nodes_KN", (len(sizes), N), INT64),
        given(weights_N, "weights_N", (N,)),
        floats(logits_NV, "logits_NV", (N, V)),
        N,
        V,
    )


def counts_struct(tree: CountTree, weights_C: Array) -> tuple[ctypes.Structure, object]:
    """Counts and the weights of their classes as the core takes them, and what must live as long as they are
    used."""
    kept = len(tree.lengths)
    lengths = (ARGUMENTS["contexts"] * kept)()
    for place, length in enumerate(tree.lengths):
        M, C = len(length.left_M), len(length.tokens_C)
        lengths[place] = ARGUMENTS["contexts"](
            starts=given(length.starts, "starts", (M + 1,), np.dtype(np.int32)),
            tokens=given(length.tokens_C, "tokens_C", (C,), np.dtype(np.uint32)),
            shares=given(length.shares_C, "shares_C", (C,)),
            left=given(length.left_M, "left_M", (M,)),
            sizes=given(length.sizes_M, "sizes_M", (M,), np.dtype(np.int8)),
        )
    struct = ARGUMENTS["counts"](
        lengths=ctypes.addressof(lengths),
        unigrams=given(tree.unigrams_V, "unigrams_V", (len(tree.unigrams_V),)),
        weights=given(weights_C, "weights_C", (SIZES * (kept + 1),)),
        kept=kept,
        shortest=tree.shortest,
    )
    return struct, (lengths, tree, weights_C)
