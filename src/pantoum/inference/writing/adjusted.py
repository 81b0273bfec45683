"""What few streams ask of the draw beyond the kernels' sampler: biased logits, penalties on what was written,
the alternatives of each token.

These rows' logits are changed in NumPy between the network's step and the draw, so that a batch without such
streams pays nothing. The log-probabilities stay those of the model itself: they are computed from the logits
before the change. Everything here belongs to the writing, not to the state.

The penalties are those of OpenAI's interface: a token that this text has written c times loses
``c * frequency_penalty + (c > 0) * presence_penalty``.

Shapes: N rows, V symbols, K alternatives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pantoum.config import SamplingConfig, require
from pantoum.kernels import Array

SORTED = 512
"""Vocabularies of so many tokens are sorted whole."""


class Drawn(NamedTuple):
    """A token that was written, with what the model itself gave it."""

    token: int
    log_probability: float
    """In nats, 0 or less."""
    alternatives: tuple[tuple[int, float], ...] = ()
    """The most probable tokens in its place with their log-probabilities, best first."""


class Adjusted:
    """The changes of one stream's logits, and the record of its tokens."""

    def __init__(self, sampling: SamplingConfig, vocab_size: int, alternatives: int | None) -> None:
        """``alternatives``: record each token with so many; ``None``: record nothing."""
        bias = sampling.logit_bias or {}
        for token in bias:
            rule = f"must be tokens from 0 to {vocab_size - 1}"
            require(0 <= token < vocab_size, "logit_bias", token, rule, "give this model's own tokens")
        self._bias_V: Array | None = None
        if bias:
            self._bias_V = np.zeros(vocab_size, np.float32)
            self._bias_V[list(bias)] = list(bias.values())
        self._frequency = sampling.frequency_penalty or 0.0
        self._presence = sampling.presence_penalty or 0.0
        self._counts: dict[int, int] = {}
        self._alternatives = alternatives
        self._own_V: Array | None = None
        self.drawn: list[Drawn] = []
        """What was recorded and not taken yet."""

    @staticmethod
    def needed(sampling: SamplingConfig, alternatives: int | None) -> bool:
        """Whether the kernels' sampler alone would not do."""
        return bool(
            sampling.logit_bias
            or sampling.frequency_penalty
            or sampling.presence_penalty
            or alternatives is not None
        )

    @property
    def _changes(self) -> bool:
        return self._bias_V is not None or bool(self._frequency or self._presence)

    def before(self, logits_V: Array) -> None:
        """The draw comes next: change these logits in place, and keep what is needed afterwards."""
        if self._changes or self._alternatives:
            self._own_V = log_probabilities(logits_V)
        if self._bias_V is not None:
            logits_V += self._bias_V
        if self._counts and (self._frequency or self._presence):
            tokens = list(self._counts)
            counts = np.array(list(self._counts.values()), np.float32)
            logits_V[tokens] -= np.float32(self._frequency) * counts + np.float32(self._presence)

    def after(self, token: int, log_probability: float) -> float:
        """The draw took this token; its log-probability in the model's own distribution."""
        own_V = self._own_V
        if self._changes and own_V is not None:
            log_probability = float(own_V[token])
            self._counts[token] = self._counts.get(token, 0) + 1
        if self._alternatives is not None:
            found = () if own_V is None else most_probable(own_V[None], self._alternatives)[0]
            exact = tuple((one, log_probability if one == token else nats) for one, nats in found)
            self.drawn.append(Drawn(token, log_probability, exact))
        return log_probability

    def take(self) -> list[Drawn]:
        """What was recorded since the last call."""
        drawn, self.drawn = self.drawn, []
        return drawn


def log_probabilities(logits: Array) -> Array:
    """The logarithm of the softmax over the last axis, in float64."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    return wide


def most_probable(own_NV: Array, count: int) -> list[tuple[tuple[int, float], ...]]:
    """For each row the ``count`` most probable tokens with their log-probabilities, best first; among equals
    the smaller token comes first."""
    N, V = own_NV.shape
    K = min(count, V)
    if K == 0:
        return [()] * N
    if K == 1:  # what evaluation harnesses ask of every token
        best_N = own_NV.argmax(axis=1)
        nats_N = own_NV[np.arange(N), best_N]
        return [((token, nats),) for token, nats in zip(best_N.tolist(), nats_N.tolist(), strict=True)]
    order_NV = np.argsort(-own_NV, axis=1, kind="stable") if V <= SORTED else _partitioned(own_NV, K)
    order_NK = order_NV[:, :K]
    nats_NK = np.take_along_axis(own_NV, order_NK, axis=1)
    rows = zip(order_NK.tolist(), nats_NK.tolist(), strict=True)
    return [tuple(zip(tokens, nats, strict=True)) for tokens, nats in rows]


def _partitioned(own_NV: Array, K: int) -> Array:
    """The tokens [N,K] of the K largest values of each row, in order; a whole vocabulary is not sorted."""
    floor_N1 = -np.partition(-own_NV, K - 1, axis=1)[:, K - 1 : K]
    found = []
    for own_V, floor in zip(own_NV, floor_N1[:, 0].tolist(), strict=True):
        among = np.flatnonzero(own_V >= floor)
        found.append(among[np.argsort(-own_V[among], kind="stable")][:K])
    return np.array(found)
