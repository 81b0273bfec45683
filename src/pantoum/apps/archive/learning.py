"""Bytes to bits and back without a model: by counted contexts, which learn from nothing as they read.

A byte is a path of decisions (``network.mixers.contexts``), each with a chance in parts of 2^22, whose
arithmetic is the same on every machine. To encode, a block is read at once and its decisions are coded at
once. To decode, each decision must be known before the next one has a chance.

Shapes: N networks, V symbols, Q decisions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pantoum.apps.archive.archive_parts import refusal
from pantoum.apps.archive.coding import PRECISION, code_bytes, coder, words_of
from pantoum.seams import Array, ContextMixer

__all__ = ["SLOTS", "Learner", "code", "decided", "memory_of"]

SLOTS = 22
"""The base-2 logarithm of the pairs of slots of the contexts: 78 MB."""
AT_ONCE = 1 << 14
"""Bytes whose decisions are coded at once."""
PARTS = 22
"""The base-2 logarithm of the parts in which a chance is told."""
WHOLE, SCALE = 1 << PRECISION, 1 << PRECISION - PARTS


def memory_of(slots: int) -> int:
    """The bytes that contexts of 2^``slots`` pairs of slots take."""
    return 10 * (1 << slots) + 36_000_000


class Learner:
    """Contexts of bytes, and where they stand in a text."""

    def __init__(self, slots: int) -> None:
        self._contexts = ContextMixer([bytes([byte]) for byte in range(256)], slot_bits=slots)

    def read(self, data: bytes) -> Array:
        """Learn from some bytes; the chances of their decisions [Q]."""
        return self._contexts.chances(np.frombuffer(data, np.uint8).astype(np.int32))

    def encode(self, data: bytes) -> bytes:
        """The bits of the next bytes."""
        queue, family = coder()
        encoder = queue.RangeEncoder()
        for begin in range(0, len(data), AT_ONCE):
            code(encoder, family, self.read(data[begin : begin + AT_ONCE]))
        return code_bytes(encoder)

    def decode(self, bits: bytes, count: int) -> bytes:
        """The next bytes, from their bits."""
        queue, family = coder()
        decoder, decider = queue.RangeDecoder(words_of(bits)), self._contexts.decider()
        return bytes(decided(decoder, family, decider) for _ in range(count))


def code(encoder: Any, family: Any, chances_Q: Array) -> None:
    """Encode decisions: twice the chance of the way that was taken, plus the way."""
    ones_Q, taken_Q = (chances_Q & 1).astype(np.int32), (chances_Q >> 1).astype(np.int64)
    scaled_Q = np.where(ones_Q, taken_Q, (1 << PARTS) - taken_Q) << PRECISION - PARTS
    # As frequencies of tokens: less the 1 that the coder adds to each.
    two_Q2 = np.stack([(1 << PRECISION) - scaled_Q - 1, scaled_Q - 1], axis=1).astype(np.float32)
    encoder.encode(ones_Q, family, two_Q2)


def decided(decoder: Any, family: Any, decider: Any, given_NV: Array | None = None) -> int:
    """Decode the decisions of the next symbol; what networks give for it is ``given_NV``."""
    two_12 = np.empty((1, 2), np.float32)
    chance, symbol = decider.begin(given_NV), -1
    while symbol < 0:
        two_12[0, 0], two_12[0, 1] = WHOLE - SCALE * chance - 1, SCALE * chance - 1
        try:
            way = int(decoder.decode(family, two_12)[0])
        except (AssertionError, ValueError):
            raise refusal("a frame has bits that nobody has encoded") from None
        chance, symbol = decider.decide(way)
    return int(symbol)
