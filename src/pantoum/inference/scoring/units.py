"""Tokens and their nats put together: to pieces of text, and these to words or lines.

A *piece* is the text of a token; one whose bytes do not make a whole character is joined with those that
complete it, so that the pieces in a row are the text. A *word* is its leading white space and what follows up
to the next; of a model of words it is a token, which has one figure. A *line* ends with its newline. A piece
belongs to the unit in which it begins. What is not complete yet waits for the next call; a unit without end
is cut at ``LONGEST`` tokens.

Everything is done a batch at a time: sums and maxima by NumPy, texts by list operations, no Python step a
token where each token's text is whole by itself.

Shape letters: T tokens, P pieces, U units.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config import UNITS, one_of
from pantoum.config.plain import Plain
from pantoum.kernels import Array
from pantoum.text.tokenizer import Tokenizer, TokenTexts

__all__ = ["Decoding", "Grouping", "Pieces", "line_ends"]

LONGEST = 1 << 20
"""Tokens after which a word or line is given out although it has not ended."""
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
COLUMNS = {
    "nats": np.float64,
    "tokens": np.int64,
    "peaks": np.float64,
    "sizes": np.int64,
    "starts": np.int64,
    "ends": np.int64,
}


@dataclass(frozen=True)
class Pieces:
    """Texts one after the other with what each cost: columns of one length."""

    texts: list[str]
    nats: Floats
    tokens: Counts
    """How many tokens make up the text."""
    peaks: Floats
    """Nats of the most surprising piece in it; of a piece, its nats."""
    sizes: Counts
    """How many pieces were joined: of a piece, 1."""
    starts: Counts
    """Where in the text the most surprising piece begins; of a piece, 0."""
    ends: Counts
    """Where it ends; known of units only, because the text of a piece may still change (``originals``)."""

    @staticmethod
    def of(texts: list[str], nats: Floats, tokens: Counts) -> Pieces:
        """Single pieces: each is its own peak."""
        ones, zeros = np.ones(len(texts), np.int64), np.zeros(len(texts), np.int64)
        return Pieces(texts, nats, tokens, nats, ones, zeros, zeros)

    @staticmethod
    def joined(parts: Iterable[Pieces]) -> Pieces:
        """Columns one under the other."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        columns = [
            np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])
            for name, kind in COLUMNS.items()
        ]
        return Pieces([text for part in parts for text in part.texts], *columns)

    def plain(self) -> dict[str, Plain]:
        """For a state file."""
        return {"texts": list(self.texts), **{name: getattr(self, name).tolist() for name in COLUMNS}}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Pieces:
        """The inverse; ``KeyError``, ``ValueError`` or ``TypeError`` for anything else."""
        texts = [str(text) for text in plain["texts"]]
        columns: list[Any] = [np.array(plain[name], kind) for name, kind in COLUMNS.items()]
        if any(column.shape != (len(texts),) for column in columns):
            raise ValueError("its texts have other numbers of figures")
        return Pieces(texts, *columns)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, part: slice) -> Pieces:
        return Pieces(self.texts[part], *(getattr(self, name)[part] for name in COLUMNS))

    def united(self, starts_U: Counts) -> Pieces:
        """Pieces from each start up to the next, joined; the first start is 0."""
        if not len(starts_U):
            return self
        peaks_U = np.maximum.reduceat(self.peaks, starts_U)
        most_U, lengths_P = self._most(starts_U, peaks_U), np.fromiter(map(len, self.texts), np.int64)
        before_P = np.cumsum(lengths_P) - lengths_P
        begin_U = before_P[most_U] - before_P[starts_U]
        text = "".join(self.texts)
        edges = [*before_P[starts_U].tolist(), len(text)]
        return Pieces(
            [text[a:b] for a, b in itertools.pairwise(edges)],
            np.add.reduceat(self.nats, starts_U),
            np.add.reduceat(self.tokens, starts_U),
            peaks_U,
            np.add.reduceat(self.sizes, starts_U),
            begin_U,
            begin_U + lengths_P[most_U],
        )

    def _most(self, starts_U: Counts, peaks_U: Floats) -> Counts:
        """The first piece of each unit that has its peak."""
        P = len(self)
        sizes_U = np.diff(np.append(starts_U, P))
        at_peak_P = self.peaks == np.repeat(peaks_U, sizes_U)  # never where the peak is not a number
        places_P = np.where(at_peak_P, np.arange(P), P - 1)
        found: Counts = np.minimum(np.minimum.reduceat(places_P, starts_U), starts_U + sizes_U - 1)
        return found


def line_ends(texts: list[str]) -> Counts:
    """The places of pieces after which a line has ended."""
    ends_P = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    found: Counts = np.unique(np.searchsorted(ends_P, np.flatnonzero(codes == ord("\n")), "right")) + 1
    return found


class Decoding:
    """Tokens to pieces, as they come."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._texts = TokenTexts(tokenizer)
        self._decoder = tokenizer.decoder()
        self._tokens, self._nats = 0, 0.0

    def push(self, ids_T: Array, nats_T: Array) -> Pieces:
        """The pieces that these tokens complete."""
        nats_T = nats_T.astype(np.float64)
        texts = [self._texts[token] for token in ids_T.tolist()]
        if None not in texts and not self._decoder.pending:
            return Pieces.of(texts, nats_T, np.ones(len(texts), np.int64))  # type: ignore[arg-type]
        return self._one_by_one(ids_T.tolist(), texts, nats_T)

    def finish(self) -> Pieces:
        """The text has ended, perhaps within a character."""
        text, tokens, nats = self._decoder.finish(), self._tokens, self._nats
        self._tokens, self._nats = 0, 0.0
        if not tokens and not text:
            return Pieces.joined([])
        return Pieces.of([text], np.array([nats]), np.array([tokens]))

    @property
    def pending(self) -> bool:
        """Whether a character, or a space, is owed."""
        return bool(self._tokens or self._decoder.pending)

    def _one_by_one(self, ids: list[int], whole: list[str | None], nats_T: Floats) -> Pieces:
        decoder, waiting = self._decoder, bool(self._decoder.pending)
        texts: list[str] = []
        ends: list[int] = []
        for place, text in enumerate(whole):
            if waiting or text is None:
                text = decoder.push(ids[place])
                waiting = bool(decoder.pending)
            if text or not waiting:
                texts.append(text)
                ends.append(place + 1)
        # What the last call left open belongs to the first piece here.
        edges_P = np.array([0, *ends], np.int64)
        sums_T = np.concatenate([[0.0], np.cumsum(nats_T)])
        left = np.array([self._tokens, self._nats])
        self._tokens, self._nats = len(ids) - int(edges_P[-1]), float(sums_T[-1] - sums_T[edges_P[-1]])
        if not ends:
            self._tokens, self._nats = len(ids) + int(left[0]), float(sums_T[-1]) + float(left[1])
            return Pieces.joined([])
        nats_P = np.add.reduceat(nats_T[: ends[-1]], edges_P[:-1])
        tokens_P = np.diff(edges_P)
        tokens_P[0] += int(left[0])
        nats_P[0] += left[1]
        return Pieces.of(texts, nats_P, tokens_P)


class Grouping:
    """Pieces to units, each given out as soon as it is known to be complete."""

    def __init__(self, by: str, tokenizer: Tokenizer) -> None:
        one_of(by, "by", UNITS)
        self.by = "token" if tokenizer.declared.unit == by else by
        self._open: list[Pieces] = []
        """The unit that has not ended, as it came: it is joined once, or a line of a megabyte would be joined
        and searched again with every call."""
        self._tokens = 0
        """Tokens of the open unit."""
        self._visible, self._after = False, False
        """Whether the open unit has something visible, and whether it ends with white space."""

    def push(self, pieces: Pieces) -> Pieces:
        """The units that these pieces complete."""
        P = len(pieces)
        if self.by == "token" or not P:
            return pieces.united(np.arange(P))
        starts_U = line_ends(pieces.texts) if self.by == "line" else self._word_starts(pieces.texts)
        last, before = (int(starts_U[-1]), 0) if len(starts_U) else (0, self._tokens)
        self._tokens = before + int(pieces.tokens[last:].sum())
        if self._tokens >= LONGEST:
            starts_U, last, self._tokens = np.append(starts_U, P), P, 0
        if not len(starts_U):
            self._open.append(pieces)
            return Pieces.joined([])
        place = sum(map(len, self._open))
        ended = Pieces.joined([*self._open, pieces[:last]])
        self._open = [pieces[last:]] if last < P else []
        self._visible = self._visible and last < P
        return ended.united(np.concatenate([[0], starts_U[:-1] + place]))

    def finish(self) -> Pieces:
        """The unit that the text's end completes."""
        left = Pieces.joined(self._open)
        self._open, self._tokens, self._visible = [], 0, False
        return left.united(np.zeros(min(1, len(left)), np.int64))

    @property
    def waiting(self) -> list[str]:
        """The texts of the unit that has not ended."""
        return [text for pieces in self._open for text in pieces.texts]

    def kept(self) -> dict[str, Plain]:
        """What waits for its end, for a state file."""
        flags: dict[str, Plain] = {"visible": self._visible, "after": self._after}
        return {"open": Pieces.joined(self._open).plain(), "tokens": self._tokens, **flags}

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        left = Pieces.from_plain(kept["open"])
        self._open, self._tokens = [left] if len(left) else [], int(kept["tokens"])
        self._visible, self._after = bool(kept["visible"]), bool(kept["after"])

    def _word_starts(self, texts: list[str]) -> Counts:
        """A word begins where white space does, or after it, once the word before has something visible."""
        P = len(texts)
        blank_P = np.fromiter((not text or text.isspace() for text in texts), bool, P)
        begins_P = np.fromiter((text[:1].isspace() for text in texts), bool, P)
        after_P = np.fromiter((not text or text[-1].isspace() for text in texts), bool, P)
        maybe = np.flatnonzero(begins_P | np.concatenate([[self._after], after_P[:-1]]))
        visible_P = np.concatenate([[0], np.cumsum(~blank_P)]) + self._visible
        starts, seen = list[int](), 0
        for place, count in zip(maybe.tolist(), visible_P[maybe].tolist(), strict=True):
            if count > seen:
                starts.append(place)
                seen = count
        self._visible, self._after = bool(visible_P[-1] > seen), bool(after_P[-1])
        return np.array(starts, np.int64)
