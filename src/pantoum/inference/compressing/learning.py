"""Bytes to bits and back without a model: by counted contexts, which learn from nothing as they read.

The learner (``network.mixers.contexts``) gives the distribution of the next byte, then reads the byte that
came. It takes the same memory however long the text is.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pantoum.inference.compressing.coding import Decoding, Encoding, frequencies_of
from pantoum.kernels import Array

__all__ = ["MEMORY", "Learner", "decode", "encode", "new_learner", "read"]

MEMORY = 26
"""2^26 bytes: 64 MB."""


class Learner(Protocol):
    """What learns as it reads."""

    def distribution(self, logits_V: Array | None = None) -> Array:
        """The probabilities of the next symbol [V]."""
        ...

    def read(self, tokens_T: Array, logits_TV: Array | None = None) -> Array:
        """Learn from symbols; the nats of each before."""
        ...


def new_learner(memory: int) -> Learner:
    """A learner of bytes that has read nothing, and takes about 2^``memory`` bytes."""
    from pantoum.network.mixers.contexts import ContextMixer

    learner: Learner = ContextMixer(256, None, 1 << memory)
    return learner


def encode(learner: Learner, data: bytes) -> bytes:
    """The bits of some bytes, from which the learner learns."""
    unit = Encoding(np.frombuffer(data, np.uint8))
    _read(learner, unit)
    return unit.bits()


def decode(learner: Learner, bits: bytes, count: int) -> bytes:
    """The bytes of ``encode``'s bits; the learner must have read the same as then."""
    unit = Decoding(bits, count)
    _read(learner, unit)
    return unit.checked().astype(np.uint8).tobytes()


def read(learner: Learner, data: bytes) -> None:
    """Let the learner read bytes that are stored as they are."""
    learner.read(np.frombuffer(data, np.uint8).astype(np.int32), None)


def _read(learner: Learner, unit: Encoding | Decoding) -> None:
    for step in range(unit.steps):
        frequencies_V = frequencies_of(learner.distribution(None))
        learner.read(unit.code(step, frequencies_V[None]), None)
