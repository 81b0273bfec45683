"""Bytes to bits and back without a model: by counted contexts, which learn from nothing as they read.

A byte is a path of decisions (``network.mixers.contexts``), each with a chance in parts of 2^22, whose
arithmetic is the same on every machine. To encode, a block is read at once and its decisions are coded at
once. To decode, each decision must be known before the next one has a chance.

Shapes: Q decisions.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pantoum.formats.archive import refusal
from pantoum.inference.compressing.coding import PRECISION, code_bytes, coder, words_of
from pantoum.kernels import Array

__all__ = ["MEMORY", "Learner", "decode", "encode", "new_learner"]

MEMORY = 26
"""2^26 bytes: 64 MB."""
SLOT = 4
"""The base-2 logarithm of the bytes that the learner has for each slot of its largest table."""
AT_ONCE = 1 << 14
"""Bytes whose decisions are coded at once."""
PARTS = 22
"""The base-2 logarithm of the parts in which a chance is told."""


class Decider(Protocol):
    """Gives the chance of each decision when those before it are known."""

    def begin(self, given_V: Array | None = None, /) -> int:
        """That the first decision of the next byte is 1."""
        ...

    def decide(self, outcome: int, /) -> tuple[int, int]:
        """(that the next one is 1, -1) after the last one, or where there is none, (anything, the byte)."""
        ...


class Learner(Protocol):
    """What learns as it reads."""

    def chances(self, tokens_T: Array, /) -> Array:
        """Learn from bytes; of each decision twice the chance of the way that was taken, and 1 if that is 1
        [Q]."""
        ...

    def decider(self) -> Decider:
        """What learns from bytes that are decoded."""
        ...


def new_learner(memory: int) -> Learner:
    """A learner of bytes that has read nothing, and takes about 2^``memory`` bytes."""
    from pantoum.network.mixers.contexts import ContextMixer

    learner: Learner = ContextMixer([bytes([byte]) for byte in range(256)], slot_bits=max(1, memory - SLOT))
    return learner


def read(learner: Learner, data: bytes) -> Array:
    """Let the learner read some bytes; its chances."""
    return learner.chances(np.frombuffer(data, np.uint8).astype(np.int32))


def encode(learner: Learner, data: bytes) -> bytes:
    """The bits of some bytes, from which the learner learns."""
    queue, family = coder()
    encoder = queue.RangeEncoder()
    for begin in range(0, len(data), AT_ONCE):
        chances_Q = read(learner, data[begin : begin + AT_ONCE])
        ones_Q, taken_Q = (chances_Q & 1).astype(np.int32), (chances_Q >> 1).astype(np.int64)
        encoder.encode(ones_Q, family, _two(np.where(ones_Q, taken_Q, (1 << PARTS) - taken_Q)))
    return code_bytes(encoder)


def decode(learner: Learner, bits: bytes, count: int) -> bytes:
    """The bytes of ``encode``'s bits; the learner must have read the same as then."""
    queue, family = coder()
    decoder, decider, found = queue.RangeDecoder(words_of(bits)), learner.decider(), bytearray()
    row_12 = np.empty((1, 2), np.float32)
    whole, scale = (1 << PRECISION) - 1, 1 << PRECISION - PARTS
    try:
        for _ in range(count):
            chance, byte = decider.begin(None), -1
            while byte < 0:
                row_12[0, 0], row_12[0, 1] = whole - scale * chance, scale * chance - 1
                chance, byte = decider.decide(int(decoder.decode(family, row_12)[0]))
            found.append(byte)
    except (AssertionError, ValueError):
        raise refusal("a frame has bits that nobody has encoded") from None
    return bytes(found)


def _two(ones_Q: Array) -> Array:
    """The frequencies of 0 and 1 for chances of 1, as ``coding`` has them: less the 1 that the coder adds."""
    scaled_Q = ones_Q << PRECISION - PARTS
    return np.stack([(1 << PRECISION) - scaled_Q - 1, scaled_Q - 1], axis=1).astype(np.float32)
