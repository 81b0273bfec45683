"""Streams of one model in one batch; each starts, leaves and ends independently of the others.

``round`` draws one token per stream. In order: the network
reads the last token of every stream and gives the distribution of the next one; one token per stream is
drawn, by the settings, seed and number of that stream; the text that can be shown is returned; a stream that
met a stop string, the end of its document or its length leaves. Each stream has a row of ``BatchRows``, whose
arrays double when they are full and halve when they are a quarter full. The last stream takes the row of one
that leaves. So a stream that starts or leaves costs the others nothing, and with the native core it changes
none of their bits: a stream writes what it would write alone. NumPy's products may round otherwise in a batch
of another size.

A character is only shown when it is whole: the bytes of an incomplete one are pending, and belong to the
state. Text that may begin a stop string is held back until it is known whether it does; that text, the
penalty's window, the count and the nats belong to the writing, not to the state. A stream whose tokens are
whole characters and which has no stop strings needs none of this: a batch shows its tokens by ``TokenTexts``.

While a stream writes, its figures stand in the arrays of the batch. They are read under the lock of the
batch, because a round in another thread may move them to another row.

Threads may share a batch: a lock lets one call at a time through. A round that does not complete (Ctrl-C, no
memory, scores that are not finite) leaves streams whose state and text may differ; every later call says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, NoReturn

import numpy as np

from pantoum.config import SamplingConfig, require, whole
from pantoum.config.calls import public
from pantoum.errors import PantoumError
from pantoum.inference.constraint import Constraint, constraint_of
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.inference.writing.adjusted import Adjusted, Drawn
from pantoum.inference.writing.batch_rows import BatchRows, Parked, columns
from pantoum.text.decoder import SPACE, Decoder
from pantoum.text.tokenizer import Tokenizer, TokenTexts

PLAIN = SamplingConfig()
FAILED = (
    "the batch cannot be used: an earlier call on it did not complete, so that states and texts may differ; "
    "start a new batch"
)


class Stream:
    """A stream of a batch. After its end it keeps its figures and its state."""

    def __init__(
        self,
        batch: StreamBatch,
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
            "a stream cannot be copied or pickled, because it is bound to its batch; copy or pickle its state"
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

    def end(self, state: State) -> None:
        """It leaves its row; its figures and this state are kept."""
        self._kept = self.tokens, self.nats, self.log_probability, state

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
            if self.place.matches(self._shown + self._held[:at]):
                break
            at = self._held.find(stop, at + 1)
        return at

    def _show(self, size: int) -> str:
        shown, self._held = self._held[:size], self._held[size:]
        if self.place is not None and self._stops:
            self._shown += shown
        return shown


class StreamPiece(NamedTuple):
    """Some characters of a stream; never a part of a character."""

    stream: Stream
    text: str


AS_PIECE = partial(tuple.__new__, StreamPiece)
"""A piece of a pair, in half the time of its own constructor: there is one per stream and round."""


class StreamBatch:
    """Streams of one model in one batch. ``rows``: how many fit before the arrays grow."""

    def __init__(self, model: LoadedModel, rows: int = 1) -> None:
        self.model = model
        self._least = rows = whole(rows, "rows")
        self.lock = threading.RLock()
        """Held by every call that reads or changes a stream of this batch."""
        self._failed = False
        self._rows = BatchRows(model, rows)
        self.draws = self._rows.draws
        self._streams: list[Stream] = []
        self._careful: set[Stream] = set()
        """Streams whose tokens must pass through ``take``; a round does not look at the others."""
        self._adjusted: dict[Stream, Adjusted] = {}
        """Those whose logits are changed, or whose tokens are recorded (``inference.writing.adjusted``)."""
        self._formed: dict[Stream, Constraint] = {}
        """Those whose texts are to have a form (``constraint``)."""
        self._texts = TokenTexts(model.tokenizer)

    def __len__(self) -> int:
        """How many streams are writing."""
        return len(self._streams)

    def __iter__(self) -> Iterator[StreamPiece]:
        """Rounds until no stream is left; streams may join and leave meanwhile."""
        while self._streams:
            yield from self.round()

    def __reduce__(self) -> NoReturn:
        raise PantoumError(
            "a batch cannot be copied or pickled, because its streams are bound to its arrays; keep the "
            "state of each stream, and let it join another batch"
        )

    @public
    def join(
        self,
        state: State | None = None,
        *,
        length: int = 500,
        sampling: SamplingConfig = PLAIN,
        seed: int = 0,
        stream: int = 0,
        alternatives: int | None = None,
    ) -> Stream:
        """A stream that starts from a state (by default from the beginning) and writes ``length`` tokens at
        most, from the random numbers of this seed and stream number. ``alternatives``: ``Stream.drawn``
        records each token, with so many of the most probable ones in its place."""
        length = whole(length, "length", least=0)
        seed = whole(seed, "seed", least=0, most=2**63 - 1)
        stream = whole(stream, "stream", least=0, most=2**63 - 1)
        fits = isinstance(sampling, SamplingConfig)
        require(fits, "sampling", sampling, "must be a SamplingConfig", "leave it out, or give one")
        state = State.start(self.model) if state is None else state
        network = State.required(state).for_model(self.model)
        adjusted = None
        if Adjusted.needed(sampling, alternatives):
            adjusted = Adjusted(sampling, self.model.vocab_size, alternatives)
        place = None
        if sampling.asked is not None:
            place = self._place(sampling, state, length)
        with self.lock:
            self._begin()
            last = self.model.border if state.last_token is None else state.last_token
            decoder = self.model.tokenizer.decoder(pending=state.pending) if state.pending else None
            row = self._next_row()
            if place is not None:
                self._rows.mask(len(place.mask) // 4)
            joined = Stream(self, row, sampling.stop, decoder, adjusted, place)
            begins = last == self.model.eos  # a document begins: as in training, from zero
            values = {"tokens": last, "position": state.tokens_seen, "seed": seed, "stream": stream}
            network = network.zero_where(np.array([begins]))
            self._rows.set(row, network, {**values, **columns(sampling)}, length)
            self._add(joined)
            if not length or (place is not None and place.ended):
                self._leave(row)
            self._failed = False
        return joined

    @public
    def leave(self, stream: Stream) -> State:
        """A stream stops writing; the state that it leaves with."""
        self._require_own(stream)
        with self.lock:
            if not stream.ended:
                self._begin()
                self._leave(stream.row)
                self._failed = False
            return stream.state

    @public
    def park(self, stream: Stream) -> None:
        """A stream pauses: it gives up its row until ``resume``, and then goes on as if nothing had been
        between."""
        self._require_own(stream)
        with self.lock:
            if not stream.ended:
                self._begin()
                stream.parked = self._rows.kept(stream.row)
                self._leave(stream.row)
                self._failed = False

    @public
    def resume(self, stream: Stream) -> None:
        """A parked stream writes on."""
        self._require_own(stream)
        parked = stream.parked
        require(parked is not None, "stream", stream, "is not parked", "park it first")
        assert parked is not None
        with self.lock:
            self._begin()
            row = self._next_row()
            self._rows.put_back(row, parked)
            self._add(stream)
            stream.row, stream._kept, stream.parked = row, None, None
            self._failed = False

    def round(self) -> list[StreamPiece]:
        """One token for each stream; the text that can be shown of them."""
        with self.lock:
            if not self._streams:
                return []
            self._begin()
            pieces = self._round()
            self._failed = False
        return pieces

    @property
    def written(self) -> int:
        """Tokens of all streams so far."""
        return self._rows.written

    @property
    def failed(self) -> bool:
        """Whether an earlier call did not complete: the batch can no longer be used."""
        with self.lock:
            return self._failed

    def state_of(self, row: int, pending: bytes) -> State:
        """The state in a row, as a value."""
        with self.lock:
            if self._failed:
                raise PantoumError(FAILED)
            return self._state_of(row, pending)

    def figures(self, row: int) -> tuple[int, float, float]:
        """Tokens, nats and the last log-probability of the text in a row."""
        with self.lock:
            return self._rows.figures(row)

    def _require_own(self, stream: Stream) -> None:
        fits = isinstance(stream, Stream) and stream._batch is self
        rule = "is not a stream of this batch"
        require(fits, "stream", stream, rule, "give it to the batch that it joined")

    def _begin(self) -> None:
        """A change begins; whoever completes it takes the mark back."""
        if self._failed:
            raise PantoumError(FAILED)
        self._failed = True

    def _state_of(self, row: int, pending: bytes) -> State:
        return State.of(self.model, *self._rows.state(row), pending)

    def _place(self, sampling: SamplingConfig, state: State, length: int) -> Constraint:
        """The beginning of a text that is to have a form."""
        asked = sampling.asked
        assert asked is not None
        spaced = state.pending == SPACE and self.model.tokenizer.declared.spaces != "apart"
        rule = "cannot begin within a character, and the state ends within one"
        require(spaced or not state.pending, asked.kind, asked.text, rule, "feed the whole character")
        return constraint_of(self.model, asked, length, spaced)

    def _next_row(self) -> int:
        """The row after the last stream."""
        row = len(self._streams)
        if row == len(self._rows):
            self._rows.resize(2 * row, row)
        return row

    def _add(self, stream: Stream) -> None:
        """A stream has got the next row."""
        self._streams.append(stream)
        if stream.adjusted is not None:
            self._adjusted[stream] = stream.adjusted
        if stream.careful:
            self._careful.add(stream)
        if stream.place is not None:
            self._rows.allow(len(self._streams) - 1, stream.place)
            self._formed[stream] = stream.place

    def _round(self) -> list[StreamPiece]:
        streams, count = self._streams, len(self._streams)
        formed = [(stream.row, place) for stream, place in self._formed.items()]
        asking = [(stream.row, own) for stream, own in self._adjusted.items()]
        dropped, whole_with_it = self._rows.advance(count, asking, formed)
        tokens: list[int] = self.draws.tokens[:count].tolist()
        texts: list[str | None] = list(map(self._texts.__getitem__, tokens))
        ended = self._at_borders(tokens)
        for row in dropped:
            ended[row], texts[row] = "form", ""
        for row in self._to_take(texts).difference(ended):
            texts[row] = self._take(streams[row], tokens[row])
            if streams[row].stopped is not None:
                ended[row] = streams[row].stopped
        for row in whole_with_it:
            ended.setdefault(row, "form")
        for row in self._rows.at_length(count):
            own = streams[row].place
            if own is not None and own.to_go and row not in ended:
                self._rows.lengthen(row, own.to_go)
            else:
                ended.setdefault(row, None)
        for row, why in ended.items():
            streams[row].stopped = why
            texts[row] = ("" if why == "eos" else texts[row] or "") + streams[row].finish()
        pairs = zip(streams, texts, strict=True)
        shown = (pair for pair in pairs if pair[1]) if "" in texts else pairs
        pieces: list[StreamPiece] = list(map(AS_PIECE, shown))
        for row in sorted(ended, reverse=True):
            self._leave(row)
        return pieces

    def _to_take(self, texts: list[str | None]) -> set[int]:
        """Rows whose text is more than that of their token."""
        rows = {stream.row for stream in self._careful}
        if None in texts:
            rows.update(row for row, text in enumerate(texts) if text is None)
        return rows

    def _take(self, stream: Stream, token: int) -> str:
        """What a stream shows after a token; it may be careful from now on, or no longer."""
        text = stream.take(token, self.model.tokenizer)
        if stream.careful:
            self._careful.add(stream)
        else:
            self._careful.discard(stream)
        return text

    def _at_borders(self, tokens: list[int]) -> dict[int, str | None]:
        """Rows whose document has ended."""
        eos = self.model.eos
        if eos is None or eos not in tokens:
            return {}
        return {row: "eos" for row, token in enumerate(tokens) if token == eos}

    def _leave(self, row: int) -> None:
        """A row is given up; the last one takes its place."""
        leaving = self._streams[row]
        leaving.end(self._state_of(row, leaving.pending))
        self._careful.discard(leaving)
        self._adjusted.pop(leaving, None)
        if leaving.place is not None:
            del self._formed[leaving]
            if leaving.parked is None:
                leaving.place.release()
        last = len(self._streams) - 1
        if row != last:
            self._rows.move(last, row)
            self._streams[row] = self._streams[last]
            self._streams[row].row = row
        self._streams.pop()
        if self._least <= len(self._rows) // 2 and 4 * last < len(self._rows):
            self._rows.resize(len(self._rows) // 2, last)
