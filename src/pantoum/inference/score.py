"""How surprising each piece of a text is to a model, in nats: by token, by word, by line.

The first token is scored too, as what follows a newline (the border, with documents), so that a line's
score does not depend on being the first. A *token* whose bytes do not make a whole character is joined with
those that complete it, so the pieces put together are the text. A *word* is its leading white space and
what follows up to the next; a *line* ends with its newline. A token belongs to the unit in which it begins.

``Scorer`` reads a text that grows, a part at a time, its state carried: memory does not grow with it. What a
token decodes to is what is shown; a symbol unknown to the tokenizer is shown as its stand-in.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pantoum.config import one_of
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.reader import MakeReader, PlainReader

__all__ = ["UNITS", "Score", "Scorer", "Scores", "group"]

UNITS = ("token", "word", "line")
CHUNK = 4096
"""Tokens that the network reads at once."""


@dataclass(frozen=True)
class Score:
    """A piece of the text, and what it cost the model."""

    text: str
    nats: float
    tokens: int


@dataclass(frozen=True)
class Scores:
    """The scores of a text, by ``by``. Iterate over them, or look at the sums."""

    by: str
    items: tuple[Score, ...]
    pieces: tuple[Score, ...]
    """The same text by token."""

    def __iter__(self) -> Iterator[Score]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def nats(self) -> float:
        """Of the whole text."""
        return float(sum(piece.nats for piece in self.pieces))

    @property
    def tokens(self) -> int:
        """Tokens scored."""
        return sum(piece.tokens for piece in self.pieces)

    @property
    def nats_per_token(self) -> float | None:
        """The mean; ``None`` for an empty text."""
        return self.nats / self.tokens if self.tokens else None


class Scorer:
    """Scores a text as it comes. ``reader`` makes what reads it: the model as it is, where none is given."""

    def __init__(self, model: LoadedModel, reader: MakeReader | None = None) -> None:
        self.model = model
        self._reader = PlainReader(model) if reader is None else reader(1)
        self._last = model.border
        self._decoder = model.tokenizer.decoder()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = Score("", 0.0, 0)

    def feed(self, text: str | bytes) -> Iterator[Score]:
        """The scores of the next part of the text, by token. Bytes that are not UTF-8 become U+FFFD, unless
        the model's tokens are bytes."""
        tokenizer = self.model.tokenizer
        if isinstance(text, bytes) and tokenizer.kind != "bytes":
            text = self._utf8.decode(text)
        ids_T = tokenizer.encode(text).astype(np.int64)
        for start in range(0, len(ids_T), CHUNK):
            chunk_T = ids_T[start : start + CHUNK]
            for token, nats in zip(chunk_T.tolist(), self._losses(chunk_T).tolist(), strict=True):
                yield from self._piece(token, nats)

    def finish(self) -> Iterator[Score]:
        """The text has ended, perhaps within a character."""
        yield from self.feed(self._utf8.decode(b"", final=True))
        text = self._open.text + self._decoder.finish()
        if self._open.tokens:
            yield Score(text, self._open.nats, self._open.tokens)
        self._open = Score("", 0.0, 0)

    def read(self, parts: Iterable[str | bytes]) -> Iterator[Score]:
        """The scores of a whole text that comes in parts, by token, as it comes."""
        for part in parts:
            yield from self.feed(part)
        yield from self.finish()

    def _losses(self, targets_T: NDArray[np.int64]) -> NDArray[np.float64]:
        inputs_BT = np.concatenate([[self._last], targets_T[:-1]])[None]
        reset_BT = None if self.model.eos is None else inputs_BT == self.model.eos
        nats_BT = self._reader.losses(inputs_BT, targets_T[None], reset_BT)
        self._last = int(targets_T[-1])
        return np.array(nats_BT[0], np.float64)

    def _piece(self, token: int, nats: float) -> Iterator[Score]:
        text = self._open.text + self._decoder.push(token)
        self._open = Score(text, self._open.nats + nats, self._open.tokens + 1)
        if self._open.text or not self._decoder.pending:
            yield self._open
            self._open = Score("", 0.0, 0)


def group(pieces: Iterable[Score], by: str) -> Iterator[Score]:
    """Tokens joined into words or lines; each is given out as soon as it is known to be complete."""
    one_of(by, "by", UNITS)
    unit = Score("", 0.0, 0)
    for piece in pieces:
        if by == "word" and unit.tokens and _begins_word(unit.text, piece.text):
            yield unit
            unit = Score("", 0.0, 0)
        unit = Score(unit.text + piece.text, unit.nats + piece.nats, unit.tokens + piece.tokens)
        if by == "token" or (by == "line" and "\n" in piece.text):
            yield unit
            unit = Score("", 0.0, 0)
    if unit.tokens:
        yield unit


def _begins_word(before: str, piece: str) -> bool:
    """Whether a piece begins a new word after what its word holds so far."""
    return not before.isspace() and before != "" and (piece[:1].isspace() or before[-1:].isspace())
