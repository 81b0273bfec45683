"""Tokens and their nats put together: to pieces of text, and these to scores of tokens, words or lines.

A *piece* is the text of a token; one whose bytes do not make a whole character is joined with those that
complete it, so that the pieces in a row are the text. A *word* is its leading white space and what follows up
to the next; of a model of words it is a token, which has one figure. A *line* ends with its newline. A piece
belongs to the unit in which it begins. What is not complete yet waits for the next call; a unit without end
is cut at ``LONGEST`` tokens.

A unit's *peak* is the nats of its most surprising piece.

Shape letters: T tokens, P pieces, U units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pantoum.config import UNITS, one_of
from pantoum.config.plain import Plain
from pantoum.kernels import Array
from pantoum.text.tokenizer import Tokenizer, TokenTexts

LONGEST = 1 << 20
"""Tokens after which a word or line is given out although it has not ended."""
MOST_OF_MEAN = 0.5
"""Nats of a piece that count at most in a mean, so that no one event outweighs the others
(docs/log/odd-lines.md)."""
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Piece = tuple[str, float]


class Score(NamedTuple):
    """A piece of the text, and what it cost the model."""

    text: str
    nats: float
    tokens: int
    peak: float
    """Nats of its most surprising token, or of the character that several tokens, as bytes, make up; with
    ``alert_by="mean"`` the mean nats of its tokens, each half a nat at most."""
    alert: bool = False
    """Whether the peak is beyond the threshold."""
    pieces: tuple[Piece, ...] = ()
    """The same text token by token, each with its nats, where that was asked for."""
    at: tuple[int, int] = (0, 0)
    """Where its most surprising token begins and ends in the text."""

    @property
    def odd(self) -> str:
        """Its most surprising token."""
        return self.text[slice(*self.at)]


class Pieces(NamedTuple):
    """Texts one after the other with what each cost: columns of one length."""

    texts: list[str]
    nats: Floats
    tokens: Counts
    """How many tokens make up the text."""
    peaks: Floats
    """Its nats, or 0 where no alert may come from it."""

    @staticmethod
    def of(texts: list[str], nats: Floats, tokens: Counts | None = None) -> Pieces:
        """Each is judged. ``tokens``: one each."""
        return Pieces(texts, nats, np.ones(len(texts), np.int64) if tokens is None else tokens, nats)

    @staticmethod
    def joined(parts: Iterable[Pieces]) -> Pieces:
        """Columns one under the other."""
        some = [part for part in parts if part.texts]
        if len(some) == 1:
            return some[0]
        texts, *figures = zip(NO_PIECES, *some, strict=True)
        return Pieces([*chain.from_iterable(texts)], *map(np.concatenate, figures))

    def part(self, first: int, end: int | None = None) -> Pieces:
        """Some that follow one another."""
        at = slice(first, end)
        return Pieces(self.texts[at], self.nats[at], self.tokens[at], self.peaks[at])

    def plain(self) -> dict[str, Plain]:
        """For a state file."""
        texts, *figures = self
        return {"texts": list(texts), **dict(zip(FIGURES, (each.tolist() for each in figures), strict=True))}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Pieces:
        """The inverse; ``KeyError``, ``ValueError`` or ``TypeError`` for anything else."""
        texts = [str(text) for text in plain["texts"]]
        columns: list[Any] = [np.array(plain[name], kind) for name, kind in FIGURES.items()]
        if any(column.shape != (len(texts),) for column in columns):
            raise ValueError("its texts and figures differ in number")
        return Pieces(texts, *columns)


NO_PIECES = Pieces.of([], np.zeros(0))
FIGURES = {"nats": np.float64, "tokens": np.int64, "peaks": np.float64}


class Decoding:
    """Tokens to pieces, as they come."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._texts = TokenTexts(tokenizer)
        self._decoder = tokenizer.decoder()
        self._tokens, self._nats = 0, 0.0
        """Those of a piece that is not complete."""

    def push(self, ids_T: Array, nats_T: Array) -> Pieces:
        """The pieces that these tokens complete."""
        nats_T, ids = nats_T.astype(np.float64), ids_T.tolist()
        texts: list[Any] = list(map(self._texts.__getitem__, ids))
        if None not in texts and not self._decoder.pending:
            return Pieces.of(texts, nats_T)
        decoder, waiting = self._decoder, bool(self._decoder.pending)
        whole, ends = list[str](), list[int]()
        for place, (token, text) in enumerate(zip(ids, texts, strict=True), 1):
            if waiting or text is None:
                text = decoder.push(token)
                waiting = bool(decoder.pending)
            if text or not waiting:
                whole.append(text)
                ends.append(place)
        # What the last call left open belongs to the first piece here.
        last = ends[-1] if ends else 0
        left = self._tokens, self._nats
        sums_T = np.concatenate([[0.0], np.cumsum(nats_T)])
        self._tokens, self._nats = len(ids) - last, float(sums_T[-1] - sums_T[last])
        if not ends:
            self._tokens, self._nats = self._tokens + left[0], self._nats + left[1]
            return NO_PIECES
        nats_P = np.add.reduceat(nats_T[:last], [0, *ends[:-1]])
        tokens_P = np.diff([0, *ends])
        tokens_P[0] += left[0]
        nats_P[0] += left[1]
        return Pieces.of(whole, nats_P, tokens_P)

    def finish(self) -> Pieces:
        """The text has ended, perhaps within a character."""
        text, tokens, nats = self._decoder.finish(), self._tokens, self._nats
        self._tokens, self._nats = 0, 0.0
        return Pieces.of([text], np.array([nats]), np.array([tokens])) if tokens or text else NO_PIECES

    @property
    def pending(self) -> bool:
        """Whether a character, or a space, is owed."""
        return bool(self._tokens or self._decoder.pending)


class Grouping:
    """Pieces to scores of units, each given out as soon as it is known to be complete."""

    def __init__(
        self,
        by: str,
        tokenizer: Tokenizer,
        mean: bool = False,
        threshold: float | None = None,
        keeps: bool = False,
    ) -> None:
        """``mean``: the peak of each is the mean of its pieces, each ``MOST_OF_MEAN`` at most. ``threshold``:
        a peak beyond it is an alert. ``keeps``: a score has its pieces."""
        one_of(by, "by", UNITS)
        self._mean, self._threshold, self._keeps = mean, threshold, keeps
        self.by = "token" if tokenizer.declared.unit == by else by
        self._open: list[Pieces] = []
        """The unit that has not ended, as it came: it is joined once, or a line of a megabyte would be joined
        and searched again with every call."""
        self._tokens = 0
        """Tokens of the open unit."""
        self._visible, self._after = False, False
        """Whether the open unit has something visible, and whether it ends with white space."""

    def push(self, pieces: Pieces) -> list[Score]:
        """The units that these pieces complete."""
        P = len(pieces.texts)
        if self.by == "token" or not P:
            return self._scores(pieces, range(P))
        starts = line_ends(pieces.texts) if self.by == "line" else self._word_starts(pieces.texts)
        last, before = (starts[-1], 0) if starts else (0, self._tokens)
        self._tokens = before + int(pieces.tokens[last:].sum())
        if self._tokens >= LONGEST:
            starts.append(P)
            last, self._tokens = P, 0
        if not starts:
            self._open.append(pieces)
            return []
        place = sum(len(part.texts) for part in self._open)
        ended = Pieces.joined([*self._open, pieces.part(0, last)])
        self._open = [pieces.part(last)] if last < P else []
        self._visible = self._visible and last < P
        return self._scores(ended, [0, *(start + place for start in starts[:-1])])

    def finish(self) -> list[Score]:
        """The unit that the text's end completes."""
        left = Pieces.joined(self._open)
        self._open, self._tokens, self._visible = [], 0, False
        return self._scores(left, range(min(1, len(left.texts))))

    @property
    def waiting(self) -> list[str]:
        """The texts of the unit that has not ended."""
        return [text for part in self._open for text in part.texts]

    def kept(self) -> dict[str, Plain]:
        """What waits for its end, for a state file."""
        flags: dict[str, Plain] = {"visible": self._visible, "after": self._after}
        return {"open": Pieces.joined(self._open).plain(), "tokens": self._tokens, **flags}

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        left = Pieces.from_plain(kept["open"])
        self._open, self._tokens = [left] if left.texts else [], int(kept["tokens"])
        self._visible, self._after = bool(kept["visible"]), bool(kept["after"])

    def _word_starts(self, texts: list[str]) -> list[int]:
        """A word begins where white space does, or after it, once the word before has something visible."""
        starts, visible, after = list[int](), self._visible, self._after
        for place, text in enumerate(texts):
            if visible and (after or text[:1].isspace()):
                starts.append(place)
                visible = False
            after = not text or text[-1].isspace()
            visible = visible or not (after and (not text or text.isspace()))
        self._visible, self._after = visible, after
        return starts

    def _scores(self, pieces: Pieces, starts: Sequence[int]) -> list[Score]:
        """The score of the pieces from each start up to the next; the first start is 0."""
        if not len(starts):
            return []
        texts, nats_P, tokens_P, peaks_P = pieces
        ends = [*starts[1:], len(texts)]
        highest_U = judged_U = np.maximum.reduceat(peaks_P, starts)
        if self._mean:
            least_P = np.minimum(peaks_P, MOST_OF_MEAN)
            judged_U = np.add.reduceat(least_P, starts) / np.subtract(ends, starts)
        beyond_U = judged_U > (np.inf if self._threshold is None else self._threshold)
        figures = (np.add.reduceat(nats_P, starts), np.add.reduceat(tokens_P, starts), judged_U, beyond_U)
        columns = (each.tolist() for each in (*figures, highest_U))
        peaks, kept = peaks_P.tolist(), list(zip(texts, nats_P.tolist(), strict=True)) if self._keeps else []
        found = []
        for start, end, nats, tokens, peak, alert, highest in zip(starts, ends, *columns, strict=True):
            odd = start
            if end > start + 1:  # a peak that is no number is nowhere
                odd = peaks.index(highest, start, end) if highest == highest else end - 1
            at = len("".join(texts[start:odd]))
            found.append(
                Score(
                    "".join(texts[start:end]),
                    nats,
                    tokens,
                    peak,
                    alert,
                    tuple(kept[start:end]),
                    (at, at + len(texts[odd])),
                )
            )
        return found


def line_ends(texts: list[str]) -> list[int]:
    """The places of pieces after which a line has ended."""
    return [place for place, text in enumerate(texts, 1) if "\n" in text]
