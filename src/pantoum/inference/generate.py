"""Writing: K texts side by side from one state, a token of each at a time.

Each round, in order: the network reads the last token of every text and gives the next one's distribution;
one token a text is drawn; its bytes are decoded; what can be shown is handed out; a text that met a stop
string, the end of its document or its length leaves the batch. Text k draws from stream k, so text 0 is
what a single run writes.

What a text needs beside the state (its stop strings' tail, the penalty's window, its count and nats) lives in
``Writing``, here; the state holds none of it. A character is only handed out when it is whole: the
bytes of one that is not stay in the state and come with the next token, also in another process.

Shape letters: K texts, V vocabulary.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pantoum.config import SamplingConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.sample import PENALTY_WINDOW, Draws, log_probabilities, sample
from pantoum.inference.state import State
from pantoum.network import state as network_state

__all__ = ["Generation", "Piece", "Writing", "draw_seed"]


def draw_seed() -> int:
    """A seed for those who gave none: short enough to be typed again."""
    return secrets.randbelow(2**31)


@dataclass(frozen=True)
class Piece:
    """Some characters of text number ``index``; never a part of a character."""

    index: int
    text: str


class Writing:
    """One text as it grows."""

    def __init__(self, index: int, decoder: Any, stops: tuple[str, ...]) -> None:
        self.index = index
        self.decoder = decoder
        self.stops = tuple(s for s in stops if s)
        self.held = ""
        self.window: list[int] = []
        self.pieces: list[str] = []
        self.tokens = 0
        self.nats = 0.0
        self.stopped: str | None = None

    @property
    def text(self) -> str:
        """The continuation so far, without what is held back."""
        return "".join(self.pieces)

    def take(self, token: int, nats: float, eos: int | None) -> str:
        """Note a drawn token; what can be shown now. ``stopped`` says when the text has ended."""
        self.tokens += 1
        self.nats += nats
        self.window = [*self.window[1 - PENALTY_WINDOW :], token]
        if token == eos:
            self.stopped = "eos"
            return self.finish()
        self.held += self.decoder.push(token)
        return self._show(self._unstopped())

    def finish(self) -> str:
        """Nothing more will come: what was held back in case it began a stop string."""
        return self._show(len(self.held))

    def _unstopped(self) -> int:
        """How many held characters cannot be part of a stop string; notes a stop string that is complete."""
        # The one that is complete first counts, so that it does not matter how the text is cut into tokens.
        found = [(at + len(stop), at) for stop in self.stops if (at := self.held.find(stop)) >= 0]
        if found:
            self.stopped = "stop"
            self.held = self.held[: min(found)[1]]
            return len(self.held)
        begun = 0
        for stop in self.stops:
            for size in range(min(len(stop) - 1, len(self.held)), begun, -1):
                if self.held.endswith(stop[:size]):
                    begun = size
                    break
        return len(self.held) - begun

    def _show(self, size: int) -> str:
        shown, self.held = self.held[:size], self.held[size:]
        if shown:
            self.pieces.append(shown)
        return shown


class Generation:
    """K texts from one state. Iterate for the pieces as they come; then ``texts`` and ``state`` tell the
    rest."""

    def __init__(
        self,
        model: LoadedModel,
        state: State,
        sampling: SamplingConfig,
        length: int,
        seed: int,
        count: int = 1,
    ) -> None:
        self.model, self.sampling, self.length, self.seed = model, sampling, length, seed
        self.texts = [
            Writing(k, model.tokenizer.decoder(pending=state.pending), sampling.stop) for k in range(count)
        ]
        last = model.border if state.last_token is None else state.last_token
        layers = state.layers_for(model)
        if last == model.eos:
            layers = model.network.initial_state(1)  # a document begins: as in training, from zero
        self._active = list(self.texts)
        self._layers = network_state.select_rows(layers, np.zeros(count, np.int64))
        self._last_K = np.full(count, last, np.int64)
        self._seen = state.tokens_seen
        self._left: dict[int, State] = {}
        self._told = 0
        if not length:
            self._leave(self.texts)

    def __iter__(self) -> Iterator[Piece]:
        draws = Draws(self.seed)
        while self._active:
            # All texts take their token before any piece is handed out: the reader may stop at any piece.
            pieces = [
                Piece(text.index, self._take(text, token, nats)) for text, token, nats in self._round(draws)
            ]
            self._leave([t for t in self._active if t.stopped is not None or t.tokens == self.length])
            yield from (piece for piece in pieces if piece.text)
            self._told = len(self._left)

    def _take(self, text: Writing, token: int, nats: float) -> str:
        shown = text.take(token, nats, self.model.eos)
        ended = text.stopped is None and text.tokens == self.length
        return shown + text.finish() if ended else shown

    def finished(self, index: int) -> bool:
        """Whether text ``index`` has ended and all of its pieces were handed out."""
        return index in list(self._left)[: self._told]

    def state(self, index: int = 0) -> State:
        """Where text ``index`` stands: the last token drawn is still unread."""
        if index in self._left:
            return self._left[index]
        row = next(row for row, text in enumerate(self._active) if text.index == index)
        layers = network_state.select_rows(self._layers, np.array([row]))
        text = self._active[row]
        return State.of(self.model, layers, int(self._last_K[row]), self._seen, text.decoder.pending)

    def _round(self, draws: Draws) -> list[tuple[Writing, int, float]]:
        """One token for each text that goes on."""
        sampling = self.sampling
        logits_KV, self._layers, _ = self.model.packed.last_logits(self._last_K[:, None], self._layers)
        streams_K = np.array([text.index for text in self._active], np.uint64)
        recent = [text.window for text in self._active] if sampling.repetition_penalty is not None else None
        tokens_K = sample(
            logits_KV, sampling, draws.at(streams_K, self._seen), recent=recent, banned=self.model.banned
        )
        nats_K = -log_probabilities(logits_KV, tokens_K)
        self._last_K, self._seen = tokens_K, self._seen + 1
        return list(zip(self._active, tokens_K.tolist(), nats_K.tolist(), strict=True))

    def _leave(self, done: list[Writing]) -> None:
        """Take finished texts out of the batch; the others' rows stay as they are."""
        if not done:
            return
        for text in done:
            self._left[text.index] = self.state(text.index)
        rows = [row for row, text in enumerate(self._active) if text not in done]
        self._active = [self._active[row] for row in rows]
        if rows:
            self._layers = network_state.select_rows(self._layers, np.array(rows))
            self._last_K = self._last_K[rows]
