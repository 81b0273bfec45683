"""One stream of text with a model: it reads, it writes, and its state can be taken, forked and rewound.

A session holds a ``State`` and the model, nothing else. What is fed is read in chunks, so a prompt of any
length needs the same memory. The last token stays unread until something follows it, because the
network's answer to it (the next token's distribution) is only needed then; this is what makes a state
one value, whether its last token came from a person or from the model.

With documents the state is zeroed before ``<eos>`` is read, here as in training: what stands before the last
border of a text has no influence, so it is not read at all.

Shape letters: T tokens, H hidden size.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from pantoum.config import SamplingConfig, require, whole
from pantoum.inference.generate import Generation, draw_seed
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.text.prompt import encode_prompt

__all__ = ["CHUNK", "Session"]

CHUNK = 1024
"""Tokens that the network reads at once."""
Feed = str | bytes | Sequence[int] | NDArray[Any]


class Session:
    """A stream of text with a model."""

    def __init__(self, model: LoadedModel, state: State | None = None) -> None:
        self.model = model
        self._layers: Any = None
        self._last: int | None = None
        self._seen = 0
        self._pending = b""
        self.rewind(State.start(model) if state is None else state)

    @property
    def state(self) -> State:
        """Where the session stands now, as a value."""
        return State.of(self.model, self._layers, self._last, self._seen, self._pending)

    def rewind(self, state: State) -> None:
        """Go back (or on) to a state of this model."""
        self._layers = state.layers_for(self.model)
        self._last, self._seen, self._pending = state.last_token, state.tokens_seen, state.pending

    def fork(self) -> Session:
        """A second session that stands where this one does; from here on the two go their own ways."""
        return Session(self.model, self.state)

    @overload
    def feed(self, text: Feed, hidden: Literal[False] = False) -> None: ...
    @overload
    def feed(self, text: Feed, hidden: Literal[True]) -> NDArray[np.float32]: ...

    def feed(self, text: Feed, hidden: bool = False) -> NDArray[np.float32] | None:
        """Read a text (or its tokens). ``hidden=True``: also the last layer's outputs, one row a token.

        The row of a token is what the network holds after reading it.
        """
        ids_T = self._encode(text)
        if len(ids_T) == 0:
            return np.zeros((0, self.model.network.config.hidden_size), np.float32) if hidden else None
        first = [] if self._last is None else [self._last]
        inputs = np.concatenate([np.array(first, np.int64), ids_T.astype(np.int64)])
        rows = self._read(inputs[:-1], keep=hidden)
        if hidden:
            # The last token is read too, for its row, and then forgotten: the session reads it again later.
            before = self._layers
            rows += self._read(inputs[-1:], keep=True)
            self._layers = before
        self._last = int(inputs[-1])
        self._seen += len(ids_T)
        self._pending = self._undecoded(ids_T)
        return np.concatenate(rows)[len(first) :] if hidden else None

    def stream(self, length: int = 500, *, seed: int | None = None, **sampling: Any) -> Iterator[str]:
        """Write on, a piece of text at a time; the session stands after the pieces that were taken."""
        whole(length, "length", least=0)
        chosen = draw_seed() if seed is None else seed
        generation = Generation(self.model, self.state, SamplingConfig(**sampling), length, chosen)
        try:
            for piece in generation:
                yield piece.text
        finally:
            self.rewind(generation.state())

    def generate(self, length: int = 500, *, seed: int | None = None, **sampling: Any) -> str:
        """Write on and return the continuation."""
        return "".join(self.stream(length, seed=seed, **sampling))

    def _encode(self, text: Feed) -> NDArray[Any]:
        if isinstance(text, bytes):
            return self.model.tokenizer.encode(text)
        if isinstance(text, str):
            ids_T, notes = encode_prompt(self.model.tokenizer, text)
            for note in notes:
                warnings.warn(note, UserWarning, stacklevel=3)
            return ids_T
        ids_T = np.asarray(text).reshape(-1)
        size = self.model.network.vocab_size
        whole = ids_T.size == 0 or np.issubdtype(ids_T.dtype, np.integer)
        outside = [] if not whole else ids_T[(ids_T < 0) | (ids_T >= size)][:1].tolist()
        require(
            whole and not outside,
            "tokens",
            outside[0] if outside else str(ids_T.dtype),
            f"must be whole numbers from 0 to {size - 1}",
            "give this model's own tokens, or a text",
        )
        return ids_T

    def _read(self, inputs_T: NDArray[np.int64], keep: bool) -> list[NDArray[np.float32]]:
        """Let the network read tokens, a chunk at a time; the last layer's outputs are kept if asked for."""
        packed, eos = self.model.packed, self.model.eos
        borders = np.flatnonzero(inputs_T == eos) if eos is not None else np.zeros(0, np.int64)
        if borders.size and not keep:
            inputs_T = inputs_T[borders[-1] :]
        rows = []
        for start in range(0, len(inputs_T), CHUNK):
            chunk_BT = inputs_T[None, start : start + CHUNK]
            reset_BT = None if eos is None else chunk_BT == eos
            hidden_BTH, self._layers = packed.hidden(chunk_BT, self._layers, reset_BT=reset_BT)
            if keep:
                rows.append(np.array(hidden_BTH[0], np.float32))
        return rows

    def _undecoded(self, ids_T: NDArray[Any]) -> bytes:
        """The bytes at the end that do not make a whole character; four tokens back is far enough."""
        pending = self._pending if len(ids_T) < 4 else b""
        decoder = self.model.tokenizer.decoder(pending=pending)
        for token in ids_T[-4:].tolist():
            decoder.push(token)
        return decoder.pending
