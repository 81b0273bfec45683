"""Tokens to bits and back by a model with counted contexts beside it, which learn from the text as it is
read.

One stream from the first block to the last, token by token: slower than lanes, and smaller, most of all where
a text repeats itself. Encoder and decoder take the same step of the model, and give its logits to the same
contexts.

Shapes: T tokens, V symbols.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pantoum.apps.archive import block_texts, learning
from pantoum.apps.archive.archive_parts import Frame
from pantoum.apps.archive.coding import code_bytes, coder, require_core, total_of, words_of
from pantoum.apps.archive.frames import text_parts, text_payload
from pantoum.seams import MOST_SYMBOLS, Array, ContextMixer, LoadedModel, backend, require, stepper

__all__ = ["MixingReader"]

AT_ONCE = 256
"""Tokens whose logits exist at once."""


class MixingReader:
    """A model and contexts beside it, and where they stand in a text."""

    def __init__(self, model: LoadedModel, slots: int) -> None:
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
        self._contexts = ContextMixer(pieces, counts_1V[0].astype(np.int64), beside=1, slot_bits=slots)

    def encode(self, data: bytes) -> bytes | None:
        """The payload of the next bytes; ``None`` where the tokenizer cannot express them."""
        found = block_texts.encoded(self._tokenizer, data)
        if found is None:
            return None
        tokens_T, literals = found
        queue, family = coder()
        encoder = queue.RangeEncoder()
        for begin in range(0, len(tokens_T), AT_ONCE):
            part_T = tokens_T[begin : begin + AT_ONCE]
            logits_TV = np.stack([logits_V.copy() for logits_V in self._before(part_T)])
            learning.code(encoder, family, self._contexts.chances(part_T, logits_TV[:, None]))
        return text_payload(len(tokens_T), min(1, len(tokens_T)), literals, code_bytes(encoder))

    def decode(self, frame: Frame) -> bytes:
        """The next bytes, of a frame with such a payload."""
        count, _, literals, bits = text_parts(frame)
        queue, family = coder()
        decoder, decider = queue.RangeDecoder(words_of(bits)), self._contexts.decider()
        tokens_T = np.empty(count, np.int32)
        for place, logits_V in enumerate(self._before(tokens_T)):
            tokens_T[place] = learning.decided(decoder, family, decider, logits_V[None])
        return block_texts.decoded(self._tokenizer, tokens_T, literals, frame.plain)

    def _before(self, tokens_T: Array) -> Iterator[Array]:
        """The logits [V] before each token, which is looked at after they were given."""
        for place in range(len(tokens_T)):
            self._step(0, 1)
            yield self._logits_1V[0]
            self._token_1[0] = tokens_T[place]
            if self._token_1[0] == self._eos:
                for array in self._state.arrays:
                    array[...] = 0
