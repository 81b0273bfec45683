"""Bytes to bits and back by counted contexts, which learn as they read: without a model, and beside one.

A byte is a path of decisions (``network.mixers.contexts``), each with a chance in parts of 2^22, whose
arithmetic is the same on every machine. To encode, a block is read at once and its decisions are coded at
once. To decode, each decision must be known before the next one has a chance.

Beside a model (``MixingReader``) it is one stream, token by token: slower than lanes, and smaller, most of
all where a text repeats itself. Encoder and decoder take the same step of the model, and give its logits to
the same contexts.

Shapes: N networks, V symbols, Q decisions, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pantoum.apps.archive import payloads
from pantoum.apps.archive.archive import Frame, Kind, refusal
from pantoum.apps.archive.coding import PRECISION, code_bytes, coder, require_core, total_of, words_of
from pantoum.seams import MOST_SYMBOLS, Array, ContextMixer, LoadedModel, backend, require, stepper

__all__ = ["SLOTS", "Learner", "MixingReader", "memory"]

SLOTS = 22
"""The base-2 logarithm of the pairs of slots of the contexts: 78 MB."""
AT_ONCE = 1 << 14
"""Bytes whose decisions are coded at once."""
LOGITS_AT_ONCE = 256
"""Tokens whose logits exist at once."""
PARTS = 22
"""The base-2 logarithm of the parts in which a chance is told."""
WHOLE, SCALE = 1 << PRECISION, 1 << PRECISION - PARTS


def memory() -> int:
    """The bytes that contexts take."""
    return 10 * (1 << SLOTS) + 36_000_000


class Learner:
    """Contexts of bytes, and where they stand in a text."""

    kinds = Kind.BEGUN, Kind.CONTINUED, Kind.LEARNED
    """Of the first frame, of those after it, and of one that holds plain bytes."""

    def __init__(self) -> None:
        self._contexts = ContextMixer([bytes([byte]) for byte in range(256)], slot_bits=SLOTS)

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

    def decode(self, frame: Frame) -> bytes:
        """The next bytes, of a frame of these kinds."""
        if frame.kind == Kind.LEARNED:
            self.read(frame.payload)
            return frame.payload
        queue, family = coder()
        decoder, decider = queue.RangeDecoder(words_of(frame.payload)), self._contexts.decider()
        return bytes(decided(decoder, family, decider) for _ in range(frame.plain))


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
            raise refusal("a frame has bits that no encoder writes") from None
        chance, symbol = decider.decide(way)
    return int(symbol)


class MixingReader:
    """A model and contexts beside it, and where they stand in a text."""

    kinds = Kind.ADAPTED_BEGUN, Kind.ADAPTED, Kind.STORED
    """As those of ``Learner``; from plain bytes it learns nothing."""

    def __init__(self, model: LoadedModel) -> None:
        program, V = model.program, model.vocab_size
        require_core()
        rule, advice = f"is for vocabularies of at most {MOST_SYMBOLS:,}", "leave it out"
        require(V <= MOST_SYMBOLS, "adapt", True, rule, advice)
        self._state, self._token_1 = program.initial_state(1), np.full(1, model.border, np.int32)
        self._logits_1V = np.empty((1, V), np.float32)
        self._step = stepper(program, self._token_1, self._state, self._logits_1V)
        self._tokenizer, self._eos = model.tokenizer, model.eos
        # About as often as the head expects each token before it knows anything.
        counts_1V = program.head.bias_V[None].astype(np.float32)
        backend(np.float32).frequencies(counts_1V, total_of(V))
        pieces = [model.tokenizer.decode_bytes([number]) for number in range(V)]
        self._contexts = ContextMixer(pieces, counts_1V[0].astype(np.int64), beside=1, slot_bits=SLOTS)

    def encode(self, data: bytes) -> bytes | None:
        """The payload of the next bytes; ``None`` where the tokenizer cannot express them."""
        found = payloads.encoded(self._tokenizer, data)
        if found is None:
            return None
        tokens_T, literals = found
        queue, family = coder()
        encoder = queue.RangeEncoder()
        for begin in range(0, len(tokens_T), LOGITS_AT_ONCE):
            part_T = tokens_T[begin : begin + LOGITS_AT_ONCE]
            logits_TV = np.stack([logits_V.copy() for logits_V in self._before(part_T)])
            code(encoder, family, self._contexts.chances(part_T, logits_TV[:, None]))
        return payloads.text_payload(len(tokens_T), min(1, len(tokens_T)), literals, code_bytes(encoder))

    def decode(self, frame: Frame) -> bytes:
        """The next bytes, of a frame of these kinds."""
        count, _, literals, bits = payloads.text_parts(frame)
        queue, family = coder()
        decoder, decider = queue.RangeDecoder(words_of(bits)), self._contexts.decider()
        tokens_T = np.empty(count, np.int32)
        for place, logits_V in enumerate(self._before(tokens_T)):
            tokens_T[place] = decided(decoder, family, decider, logits_V[None])
        return payloads.decoded(self._tokenizer, tokens_T, literals, frame.plain)

    def _before(self, tokens_T: Array) -> Iterator[Array]:
        """The logits [V] before each token, which is looked at after they were given."""
        for place in range(len(tokens_T)):
            self._step(0, 1)
            yield self._logits_1V[0]
            self._token_1[0] = tokens_T[place]
            if self._token_1[0] == self._eos:
                for array in self._state.arrays:
                    array[...] = 0
