"""One stream of a batch as it writes: how much of its text can be shown, and why it ended.

A character is only shown when it is whole: the bytes of an incomplete one are pending, and belong to the
state. Text that may begin a stop string is held back until it is known whether it does; that text, the
penalty's window, the count and the nats belong to the writing, not to the state. A stream whose tokens are
whole characters and which has no stop strings needs none of this: a batch shows its tokens by ``TokenTexts``.

While a stream writes, its figures stand in the arrays of the batch. They are read under the lock of the
batch, because a round in another thread may move them to another row.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol

from pantoum.errors import PantoumError
from pantoum.inference.state import State
from pantoum.inference.writing.adjusted import Adjusted, Drawn
from pantoum.kernels import Array
from pantoum.network.network_state import NetworkState
from pantoum.text.decoder import Decoder
from pantoum.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # other texts do not need it
    from pantoum.inference.constraint import Constraint

__all__ = ["Stream"]


class Parked(NamedTuple):
    """What a row of a batch holds of a stream that pauses."""

    network: NetworkState
    columns: dict[str, float]
    recent_W: Array | None
    length: int


class StreamRows(Protocol):
    """The batch that a stream is a row of."""

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held by every call that reads or changes a stream."""
        ...

    def state_of(self, row: int, pending: bytes) -> State:
        """The state in a row, as a value."""

    def figures(self, row: int) -> tuple[int, float, float]:
        """Tokens, nats and the last log-probability of the text in a row."""
        ...


class Stream:
    """A stream of a batch. After its end it keeps its figures and its state."""

    __slots__ = (
        "_batch",
        "_decoder",
        "_held",
        "_kept",
        "_shown",
        "_stops",
        "adjusted",
        "careful",
        "parked",
        "place",
        "row",
        "stopped",
    )

    def __init__(
        self,
        batch: StreamRows,
        row: int,
        stops: tuple[str, ...],
        decoder: Decoder | None,
        adjusted: Adjusted | None = None,
        place: Constraint | None = None,
    ) -> None:
        self.stopped: str | None = None
        """Why it ended before its length: ``stop``, ``eos``, or ``form`` where its text has the form that was
        asked for, and cannot or would not go on with it."""
        self.careful = bool(stops) or decoder is not None
        """Whether its tokens must pass through ``take``."""
        self.adjusted = adjusted
        """What it asks of the draw beyond the kernels' sampler."""
        self.place = place
        """Where its text stands in the form that it is to have."""
        self.parked: Parked | None = None
        """What it resumes from while it pauses."""
        self.row = row
        """Its place in the batch while it writes."""
        self._batch = batch
        self._stops, self._decoder, self._held, self._shown = stops, decoder, "", ""
        self._kept: tuple[int, float, float, State] | None = None

    def __reduce__(self) -> NoReturn:
        raise PantoumError(
            "a stream cannot be copied or pickled, because it is bound to its batch; take its state, "
            "which can"
        )

    def __repr__(self) -> str:
        return f"<Stream, {'ended' if self.ended else 'writing'} after {self.tokens} tokens>"

    @property
    def ended(self) -> bool:
        """Whether it writes no more: it came to its end, or left."""
        return self._kept is not None

    @property
    def tokens(self) -> int:
        """Tokens written."""
        with self._batch.lock:
            return self._batch.figures(self.row)[0] if self._kept is None else self._kept[0]

    @property
    def nats(self) -> float:
        """Nats of all of them under the model itself, whatever the sampling settings were."""
        with self._batch.lock:
            return self._batch.figures(self.row)[1] if self._kept is None else self._kept[1]

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the probability that the model itself gave the last token."""
        with self._batch.lock:
            return self._batch.figures(self.row)[2] if self._kept is None else self._kept[2]

    def drawn(self) -> list[Drawn]:
        """The tokens recorded since the last call, where ``alternatives`` was given."""
        return [] if self.adjusted is None else self.adjusted.take()

    @property
    def state(self) -> State:
        """Where it stands: the last token drawn is still unread."""
        with self._batch.lock:
            if self._kept is None:
                return self._batch.state_of(self.row, self.pending)
            return self._kept[3]

    @property
    def pending(self) -> bytes:
        """The bytes of a character that is not whole yet."""
        return b"" if self._decoder is None else self._decoder.pending

    def writes_in(self, batch: StreamRows) -> bool:
        """Whether it joined this batch."""
        return self._batch is batch

    def end(self, state: State) -> None:
        """It leaves its row; its figures and this state are kept."""
        self._kept = self.tokens, self.nats, self.log_probability, state

    def resume(self, row: int) -> None:
        """It has a row again."""
        self.row, self._kept, self.parked = row, None, None

    def take(self, token: int, tokenizer: Tokenizer) -> str:
        """What can be shown after a token; ``stopped`` says when a stop string is complete."""
        if self._decoder is None:
            self._decoder = tokenizer.decoder()
        self._held += self._decoder.push(token)
        size = self._unstopped() if self._stops else len(self._held)
        if not self._decoder.pending:
            self._decoder = None
        self.careful = bool(self._stops) or self._decoder is not None
        return self._show(size)

    def finish(self) -> str:
        """Nothing more will come: what was held back in case it began a stop string."""
        return self._show(len(self._held))

    def _unstopped(self) -> int:
        """How many held characters cannot be part of a stop string; notes a stop string that is complete."""
        # The one that is complete first counts, so that it does not matter how the text is cut into tokens.
        found = [(at + len(stop), at) for stop in self._stops if (at := self._place_of(stop)) >= 0]
        if found:
            self.stopped = "stop"
            self._held = self._held[: min(found)[1]]
            return len(self._held)
        begun = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(self._held)), begun, -1):
                if self._held.endswith(stop[:size]):
                    begun = size
                    break
        return len(self._held) - begun

    def _place_of(self, stop: str) -> int:
        """Where a stop string stands, -1: nowhere. Where the text has a form, what is before it has it."""
        at = self._held.find(stop)
        while self.place is not None and at >= 0:
            if self.place.form.reader.matches(self._shown + self._held[:at]):
                break
            at = self._held.find(stop, at + 1)
        return at

    def _show(self, size: int) -> str:
        shown, self._held = self._held[:size], self._held[size:]
        if self.place is not None and self._stops:
            self._shown += shown
        return shown
