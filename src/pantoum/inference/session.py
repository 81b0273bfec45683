"""One stream of text with a model: it reads, it writes, and its state can be taken, forked and rewound.

A session holds a ``State`` and the model, nothing else. Text is read in chunks, so a prompt of any length
needs the same memory. The last token stays unread until something follows it, because the network's answer to
it (the distribution of the next token) is only needed then; this makes a state one value, whether its last
token came from a person or from the model.

With documents the state is zeroed before ``<eos>`` is read, as in training: what precedes the last border of
a text has no influence, so it is not read at all.

A session stands after what an open stream (a generator that is not read to its end) has given. The next
call that moves the session goes on from there, and that stream is on its own: whether it writes on, is closed
or is collected, the session stays where later calls have put it.

A call that fails leaves the session where it was. One thread at a time may use a session.

Shape letters: T tokens, H hidden size.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from pantoum.config import SamplingConfig, require, truth, whole
from pantoum.config.calls import made, public
from pantoum.inference.finite import require_finite
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.inference.writing.generate import Generation, draw_seed
from pantoum.kernels import Array
from pantoum.network.state import NetworkState
from pantoum.text.prompt import encode_prompt, space_held

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.config.keywords import Sampling

__all__ = ["CHUNK", "Prediction", "Session"]

CHUNK = 1024
"""Tokens that the network reads at once."""
Feed = str | bytes | Sequence[int] | Array


class Prediction(NamedTuple):
    """A token that may come next."""

    token: int
    text: str
    """What it decodes to by itself; U+FFFD where its bytes are no whole character."""
    probability: float


class Session:
    """A stream of text with a model."""

    @public
    def __init__(self, model: LoadedModel, state: State | None = None) -> None:
        fits = isinstance(model, LoadedModel)
        require(fits, "model", model, "must be a loaded model", "use pantoum.load(path).session()")
        self.model = model
        self._last: int | None = None
        self._seen = 0
        self._pending = b""
        self._open: Generation | None = None
        """What an open stream writes; the session stands after it."""
        self.rewind(State.start(model) if state is None else state)

    def __repr__(self) -> str:
        return f"<Session after {self.state.tokens_seen:,} tokens>"

    def __copy__(self) -> Session:
        return self.fork()

    def __deepcopy__(self, memo: dict[int, object]) -> Session:
        return self.fork()

    def __reduce__(self) -> tuple[type[Session], tuple[LoadedModel, State]]:
        return type(self), (self.model, self.state)

    @property
    def state(self) -> State:
        """Where the session stands now, as a value."""
        if self._open is not None and not self._open.failed:
            return self._open.state()
        return State.of(self.model, self._network, self._last, self._seen, self._pending)

    @public
    def rewind(self, state: State) -> None:
        """Go back (or on) to a state of this model."""
        self._network = State.required(state).for_model(self.model)
        self._last, self._seen, self._pending = state.last_token, state.tokens_seen, state.pending
        self._open = None

    @public
    def fork(self) -> Session:
        """A second session with the same past; from here on the two are independent."""
        return type(self)(self.model, self.state)

    @overload
    def feed(self, text: Feed, hidden: Literal[False] = False) -> None: ...
    @overload
    def feed(self, text: Feed, hidden: Literal[True]) -> NDArray[np.float32]: ...

    @public
    def feed(self, text: Feed, hidden: bool = False) -> NDArray[np.float32] | None:
        """Read a text (or its tokens). ``hidden=True``: also the last layer's outputs [T,H], one row per
        token. With a model of words or BPE a space at the end waits for the word that brings it.

        The row of a token is the output after reading it.
        """
        hidden, held = truth(hidden, "hidden"), None
        self._leave_stream()
        if isinstance(text, str):
            text, held = space_held(self.model.tokenizer, text, self._pending)
        elif isinstance(text, (bytes, bytearray)):
            text, held = space_held(self.model.tokenizer, bytes(text), self._pending)
        ids_T = self._encode(text)
        if len(ids_T) == 0:
            self._pending = self._pending if held is None else held
            return np.zeros((0, self.model.program.model.hidden_size), np.float32) if hidden else None
        first = [] if self._last is None else [self._last]
        inputs = np.concatenate([np.array(first, np.int64), ids_T.astype(np.int64)])
        rows, network = self._read(inputs[:-1], self._network, keep=hidden)
        if hidden:
            # The last token is read too, for its row, and then forgotten: the session reads it again later.
            rows += self._read(inputs[-1:], network, keep=True)[0]
        pending = self._undecoded(ids_T) if held is None else held
        self._network, self._last, self._pending = network, int(inputs[-1]), pending
        self._seen += len(ids_T)
        return np.concatenate(rows)[len(first) :] if hidden else None

    @public
    def predict(self, k: int = 10) -> list[Prediction]:
        """The ``k`` most probable next tokens under the model itself, most probable first. Nothing is read or
        written: the session stays where it is."""
        k = whole(k, "k")
        here = self if self._open is None else self.fork()
        last = self.model.border if here._last is None else here._last
        program, network = self.model.program, here._network
        if last == self.model.eos:
            network = program.initial_state(1)
        logits_BV, _, _ = program.last_logits(np.array([[last]]), network)
        require_finite([logits_BV])
        logits_V = logits_BV[0].astype(np.float64)
        probabilities_V = np.exp(logits_V - logits_V.max())
        probabilities_V /= probabilities_V.sum()
        best_K = np.argsort(-probabilities_V, kind="stable")[:k].tolist()
        decode = self.model.tokenizer.decode
        return [Prediction(token, decode([token]), float(probabilities_V[token])) for token in best_K]

    @public
    def stream(
        self, length: int = 500, *, seed: int | None = None, **sampling: Unpack[Sampling]
    ) -> Iterator[str]:
        """Write on, a piece of text at a time; the session stands after the pieces that were taken.

        Feed the session, rewind it or let it write anew, and a stream that is still open has no more to do
        with it: closing the stream, or reading it on, changes nothing of the session."""
        length = whole(length, "length", least=0)
        chosen = draw_seed() if seed is None else whole(seed, "seed", least=0, most=2**63 - 1)
        settings = made(SamplingConfig, sampling, "Session.stream", ("length", "seed"))
        return self._written(settings, length, chosen)

    @public
    def generate(self, length: int = 500, *, seed: int | None = None, **sampling: Unpack[Sampling]) -> str:
        """Write on and return the continuation."""
        return "".join(self.stream(length, seed=seed, **sampling))

    def _written(self, sampling: SamplingConfig, length: int, seed: int) -> Iterator[str]:
        self._leave_stream()
        self._open = generation = Generation(self.model, self.state, sampling, length, seed)
        try:
            for piece in generation:
                yield piece.text
        finally:
            if self._open is generation:
                self._leave_stream()

    def _leave_stream(self) -> None:
        """Go where an open stream has come to; from here on it is on its own. After one that failed the
        session is where that began."""
        if self._open is not None:
            self.rewind(self.state)

    def _encode(self, text: Feed) -> Array:
        if isinstance(text, bytes):
            return self.model.tokenizer.encode(text)
        if isinstance(text, str):
            ids_T, notes = encode_prompt(self.model.tokenizer, text)
            for note in notes:
                warnings.warn(note, UserWarning, stacklevel=4)
            return ids_T
        size = self.model.vocab_size
        rule = f"must be a text, or whole numbers from 0 to {size - 1}"
        advice = "give a text, or this model's own tokens"
        require(isinstance(text, (Sequence, np.ndarray)), "text", text, rule, advice)
        try:
            ids_T = np.asarray(text).reshape(-1)
        except (ValueError, TypeError, OverflowError):
            ids_T = np.array([np.nan])
        whole = ids_T.size == 0 or np.issubdtype(ids_T.dtype, np.integer)
        outside = [] if not whole else ids_T[(ids_T < 0) | (ids_T >= size)][:1].tolist()
        require(whole and not outside, "tokens", outside[0] if outside else text, rule, advice)
        return ids_T

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def _read(
        self, inputs_T: NDArray[np.int64], network: NetworkState, keep: bool
    ) -> tuple[list[NDArray[np.float32]], NetworkState]:
        """The network reads tokens, a chunk at a time: the last layer's outputs if they are kept, and the
        state of the network after them."""
        program, eos = self.model.program, self.model.eos
        borders = np.flatnonzero(inputs_T == eos) if eos is not None else np.zeros(0, np.int64)
        if borders.size and not keep:
            inputs_T = inputs_T[borders[-1] :]
        rows = []
        for start in range(0, len(inputs_T), CHUNK):
            chunk_BT = inputs_T[None, start : start + CHUNK]
            reset_BT = None if eos is None else chunk_BT == eos
            hidden_BTH, network = program.hidden(chunk_BT, network, reset_BT=reset_BT)
            require_finite(network.arrays)
            if keep:
                rows.append(np.array(hidden_BTH[0], np.float32))
        return rows, network

    def _undecoded(self, ids_T: Array) -> bytes:
        """The bytes at the end that do not make a whole character; four tokens back is far enough."""
        pending = self._pending if len(ids_T) < 4 else b""
        decoder = self.model.tokenizer.decoder(pending=pending)
        for token in ids_T[-4:].tolist():
            decoder.push(token)
        return decoder.pending
