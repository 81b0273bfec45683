"""The initial embedding of a large vocabulary, from co-occurrence counts of the training text.

Words of like meaning have like neighbours (Harris 1954). Counting neighbours takes seconds; a network needs
epochs to learn the same. The vectors are made much as in Levy and Goldberg (2014). Let n(w, c) be how often
the word w and the context c stand within ``window`` tokens of each other, each time divided by their
distance, and e(w, c) what is expected of it if contexts do not depend on words. Their positive pointwise
mutual information is

    M[w, c] = max(0, log(n(w, c) / e(w, c)))

where e weighs contexts by a power of their frequency, so that rare ones do not dominate. The vector of a word
is its row of M, projected on the leading right singular vectors of M and scaled to length 1. These directions
X are found by subspace iteration, X <- orthogonal(X M^T M), from random ones. A rare word has few neighbours:
the rarer a word is, the more it takes after words of like spelling (``update.spelling``).

Only the most frequent symbols are contexts, and M is computed again for each product, a block of words at a
time, so it takes little memory. All products are those of the kernels, so the vectors do not depend on the
number of threads.

Shapes: N tokens, V symbols, O parts of a symbol at most, C contexts, E directions, the units of the
embedding; W words of a block, P places where these stand, D distances.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pantoum.kernels import Array, backend
from pantoum.network import LanguageModel
from pantoum.network.parameters import generator
from pantoum.network.spec import declared, named

CONTEXTS = 2048
POWER = 0.75
"""The exponent of the frequencies of contexts."""
ITERATIONS = 1
"""Steps of subspace iteration; three gave no lower loss than one (docs/log/words.md)."""
MOST_COUNTED = 1 << 22
"""Tokens that are counted at most, those of the beginning."""
OF_PARTS = 5.0
"""The weight of words of like spelling, as so many occurrences of the word itself."""
BLOCK, MOST_PLACES = 1 << 10, 1 << 17
"""Words of a block at most, and places where they stand, unless it is one word."""


class Neighbours:
    """The co-occurrence counts of a text."""

    def __init__(self, tokens_N: Array, vocab_size: int, window: int) -> None:
        self._tokens_N = tokens_N = tokens_N[:MOST_COUNTED].astype(np.int64)
        self.counts_V = np.bincount(tokens_N, minlength=vocab_size)
        """How often each occurs."""
        self._ends_V, self._order_N = np.cumsum(self.counts_V), np.argsort(tokens_N, kind="stable")
        frequent_C = np.argsort(-self.counts_V, kind="stable")[:CONTEXTS]
        self.contexts = len(frequent_C)
        """How many there are, C."""
        number_V = np.full(vocab_size, self.contexts)
        number_V[frequent_C] = np.arange(self.contexts)
        self._context_N = np.pad(number_V[tokens_N], window, constant_values=self.contexts)
        """The context at each place, C where there is none; it begins ``window`` places before the text."""
        self._places_D = np.delete(np.arange(2 * window + 1), window)
        self._shares_D = 1.0 / np.abs(self._places_D - window)
        power_V = self.counts_V**POWER
        self._expected_C = self._shares_D.sum() * power_V[frequent_C] / power_V.sum()

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """All words in order, and their rows of M [W,C], float32."""
        start, size = 0, len(self._ends_V)
        while start < size:
            before = self._ends_V[start] - self.counts_V[start]
            end = int(np.searchsorted(self._ends_V, before + MOST_PLACES, "right"))
            words = slice(start, min(max(end, start + 1), start + BLOCK, size))
            yield words, self._rows(words)
            start = words.stop

    def _rows(self, words: slice) -> Array:
        counts_W, C = self.counts_V[words], self.contexts
        end = self._ends_V[words.stop - 1]
        places_P = self._order_N[end - counts_W.sum() : end]
        contexts_PD = self._context_N[places_P[:, None] + self._places_D]
        entries_PD = (self._tokens_N[places_P, None] - words.start) * (C + 1) + contexts_PD
        shares_PD = np.broadcast_to(self._shares_D, entries_PD.shape)
        found = np.bincount(entries_PD.reshape(-1), shares_PD.reshape(-1), len(counts_W) * (C + 1))
        found_WC = found.reshape(-1, C + 1)[:, :C]
        words_M, contexts_M = np.nonzero(found_WC)
        expected_M = counts_W[words_M] * self._expected_C[contexts_M]
        rows_WC: Array = np.zeros((len(counts_W), C), np.float32)
        # To hundredths: the last bits of a logarithm are not the same on every machine.
        information_M = np.round(np.log(found_WC[words_M, contexts_M] / expected_M), 2)
        rows_WC[words_M, contexts_M] = np.maximum(information_M, 0.0)
        return rows_WC


def initialise(model: LanguageModel, vectors_VE: Array) -> None:
    """Put vectors of length 1, where they are not 0, in place of the random rows of the embedding, scaled as
    these are."""
    (name,) = named(model.config, "input")
    embedding_VE, known_V = model.parameters[name], vectors_VE.any(axis=1)
    spread = declared(model.config, model.vocab_size)[name].spread
    embedding_VE[known_V] = vectors_VE[known_V] * (spread * math.sqrt(embedding_VE.shape[1]))


def initial_vectors(
    tokens_N: Array, vocab_size: int, size: int, window: int, seed: int, parts_VO: Array | None = None
) -> Array:
    """The vectors [V,E] of all symbols, float32, of length 1; 0 where nothing is known of one. ``parts_VO``:
    of the spelling (``spelling.parts_of``)."""
    neighbours, kernels = Neighbours(tokens_N, vocab_size, window), backend(np.float32)
    shape = min(size, neighbours.contexts), neighbours.contexts
    directions_EC = generator(seed, 4).standard_normal(shape, np.float32)
    for _ in range(ITERATIONS):
        packed, sum_EC = kernels.pack(directions_EC), np.zeros(shape, np.float32)
        for _, rows_WC in neighbours.blocks():
            sum_EC += kernels.linear_weight_gradient(packed.product(rows_WC), rows_WC)
        directions_EC = np.zeros(shape, np.float32)
        kernels.muon([directions_EC], [sum_EC], [np.zeros(shape, np.float32)], [1], rate=-1.0, momentum=0.0)
    packed, vectors_VE = kernels.pack(directions_EC), np.zeros((vocab_size, size), np.float32)
    for words, rows_WC in neighbours.blocks():
        vectors_VE[words, : shape[0]] = packed.product(rows_WC)
    vectors_VE = _normalised(vectors_VE)
    return vectors_VE if parts_VO is None else _with_parts(vectors_VE, neighbours.counts_V, parts_VO)


def _with_parts(vectors_VE: Array, counts_V: Array, parts_VO: Array) -> Array:
    """Each vector by its count, and ``OF_PARTS`` times the sum of those of its parts; the vector of a part is
    the sum of those of its words, each by the root of its count."""
    kernels, counts_V1 = backend(np.float32), counts_V[:, None].astype(np.float32)
    parts_U, sums_UE = kernels.lookup_sum_gradient(vectors_VE * np.sqrt(counts_V1), parts_VO)
    of_parts = np.zeros((int(parts_VO.max()) + 1, vectors_VE.shape[1]), np.float32)
    of_parts[parts_U] = _normalised(sums_UE)
    of_parts[-1] = 0.0  # no part
    alike_VE = _normalised(kernels.lookup_sum(of_parts, parts_VO))
    return _normalised(vectors_VE * counts_V1 + np.float32(OF_PARTS) * alike_VE)


def _normalised(vectors: Array) -> Array:
    lengths = np.sqrt(np.einsum("ve,ve->v", vectors, vectors))[:, None]
    found: Array = vectors / np.where(lengths > 0, lengths, 1.0)
    return found
