"""One stream of text with a model: it reads, it writes, and its state can be taken, forked and rewound.

A session holds a ``State`` and the model, nothing else. ``inference.reading`` reads its text in chunks, so a
prompt of any length needs the same memory. The last token stays unread until something follows it, because
the network's answer to it (the distribution of the next token) is only needed then; this makes a state one
value, whether its last token came from a person or from the model.

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
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from pantoum.config import GenerationConfig, SamplingConfig, require, truth, whole
from pantoum.config.calls import public, taking
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.reading import Reading, read_all
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Generation, draw_seed
from pantoum.kernels import Array
from pantoum.network.checks import require_finite
from pantoum.text.prompt import encode_prompt, space_held

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.config.keywords import Sampling
    from pantoum.inference.next_word import Suggester, Suggestion

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
        self._suggester: Suggester | None = None
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
        """The state of the session now, as a value."""
        if self._open is not None and not self._open.failed:
            return self._open.state()
        return self._state

    @public
    def rewind(self, state: State) -> None:
        """Go back (or forward) to a state of this model."""
        State.required(state).for_model(self.model)
        self._state = state
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
        token. With a model of words or BPE a space at the end is read with the next word.

        The row of a token is the output after reading it.
        """
        hidden, held = truth(hidden, "hidden"), None
        self._leave_stream()
        if isinstance(text, str):
            text, held = space_held(self.model.tokenizer, text, self._state.pending)
        elif isinstance(text, (bytes, bytearray)):
            text, held = space_held(self.model.tokenizer, bytes(text), self._state.pending)
        ids_T = self._encode(text)
        rows: list[Array] = []
        reading = Reading(self.model, self._state, ids_T, held=held, rows=rows if hidden else None)
        read_all(reading)
        state = reading.state
        if hidden and len(ids_T):
            # The last token is read too, for its row, and then forgotten: the session reads it again later.
            read_all(Reading(self.model, state, ids_T[:0], hidden=True, rows=rows))
        self._state = state
        if not hidden:
            return None
        H = self.model.program.model.hidden_size
        return np.concatenate([np.zeros((0, H), np.float32), *rows])[-len(ids_T) or None :]

    @public
    def predict(self, k: int = 10) -> list[Prediction]:
        """The ``k`` most probable next tokens under the model itself, most probable first. Nothing is read or
        written: the session stays where it is."""
        k = whole(k, "k")
        state, program = self.state, self.model.program
        last = self.model.border if state.last_token is None else state.last_token
        network = state.for_model(self.model)
        if last == self.model.eos:
            network = program.initial_state(1)
        logits_BV, _ = program.last_logits(np.array([[last]]), network)
        require_finite([logits_BV])
        logits_V = logits_BV[0].astype(np.float64)
        probabilities_V = np.exp(logits_V - logits_V.max())
        probabilities_V /= probabilities_V.sum()
        best_K = np.argsort(-probabilities_V, kind="stable")[:k].tolist()
        decode = self.model.tokenizer.decode
        return [Prediction(token, decode([token]), float(probabilities_V[token])) for token in best_K]

    @public
    def suggest(self, k: int = 3, *, begun: str = "") -> list[Suggestion]:
        """The ``k`` most probable next words, most probable first. ``begun``: letters of a word that the
        session has not read; the words begin with them. Nothing is read or written."""
        from pantoum.inference.next_word import Suggester

        if self._suggester is None:
            self._suggester = Suggester(self.model)
        return self._suggester.after(self.state, k, begun)

    @taking(SamplingConfig)
    def stream(
        self, length: int = 500, *, seed: int | None = None, **sampling: Unpack[Sampling]
    ) -> Iterator[str]:
        """Continue the text, a piece at a time; the session moves forward with the pieces that were taken.

        Once the session has been fed or rewound, or has written again, a stream that is still open no longer
        changes it: neither closing the stream nor reading on in it has an effect on the session."""
        length = whole(length, "length", least=0)
        chosen = draw_seed() if seed is None else whole(seed, "seed", least=0, most=2**63 - 1)
        settings = SamplingConfig(**dict[str, Any](sampling))
        return self._written(settings, GenerationConfig(length=length, seed=chosen, exact=True))

    @taking(SamplingConfig)
    def generate(self, length: int = 500, *, seed: int | None = None, **sampling: Unpack[Sampling]) -> str:
        """Continue the text and return the continuation."""
        return "".join(self.stream(length, seed=seed, **sampling))

    def _written(self, sampling: SamplingConfig, how_much: GenerationConfig) -> Iterator[str]:
        self._leave_stream()
        self._open = generation = Generation(self.model, self.state, sampling, how_much)
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
