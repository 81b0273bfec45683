"""Tokens and their nats put together: to pieces of text, and these to words or lines.

A *piece* is the text of a token; one whose bytes do not make a whole character is joined with those that
complete it, so that the pieces in a row are the text. A *word* is its leading white space and what follows up
to the next; of a model of words it is a token, which has one figure. A *line* ends with its newline. A piece
belongs to the unit in which it begins. What is not complete yet waits for the next call; a unit without end
is cut at ``LONGEST`` tokens.

Everything is done a batch at a time, by NumPy: the texts of a batch are one array of code points. No Python
runs per token where each token's text is whole by itself.

Shape letters: T tokens, P pieces, U units, C code points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config import UNITS, one_of
from pantoum.config.plain import Plain
from pantoum.kernels import Array
from pantoum.text.tokenizer import Tokenizer, TokenTexts

__all__ = ["Decoding", "Grouping", "Pieces"]

LONGEST = 1 << 20
"""Tokens after which a word or line is given out although it has not ended."""
MOST_OF_MEAN = 0.5
"""Nats of a piece that count at most in a mean, so that no one event outweighs the others
(docs/log/odd-lines.md)."""
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Codes = NDArray[np.uint32]
UNSEEN, NOT_WHOLE = -1, -2
"""In the place of the length of a token's text: not looked up yet; depends on the tokens beside it."""
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

    codes_C: Codes
    """The code points of all texts."""
    lengths: Counts
    """The code points of each text."""
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
        return Pieces._single(code_points("".join(texts)), lengths_of(texts), nats, tokens)

    @staticmethod
    def _single(codes_C: Codes, lengths: Counts, nats: Floats, tokens: Counts) -> Pieces:
        zeros = np.zeros(len(lengths), np.int64)
        return Pieces(codes_C, lengths, nats, tokens, nats, np.ones(len(lengths), np.int64), zeros, zeros)

    @staticmethod
    def joined(parts: Iterable[Pieces]) -> Pieces:
        """Columns one under the other."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        kinds = {"codes_C": np.uint32, "lengths": np.int64, **COLUMNS}
        return Pieces(
            *(
                np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])
                for name, kind in kinds.items()
            )
        )

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
        return Pieces(code_points("".join(texts)), lengths_of(texts), *columns)

    @property
    def text(self) -> str:
        """All texts as one."""
        return self.codes_C.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")

    @property
    def texts(self) -> list[str]:
        """Each text."""
        return self.texts_at(np.arange(len(self)))

    def texts_at(self, places: Counts) -> list[str]:
        """Those at some places."""
        text, ends = self.text, self.text_ends[places]
        begins = ends - self.lengths[places]
        return [text[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]

    @cached_property
    def text_ends(self) -> Counts:
        """Where in all texts as one each of them ends."""
        found: Counts = np.cumsum(self.lengths)
        return found

    @property
    def line_ends(self) -> Counts:
        """The places of pieces after which a line has ended."""
        newlines = np.flatnonzero(self.codes_C == ord("\n"))
        found: Counts = np.searchsorted(self.text_ends, newlines, "right") + 1
        return found[np.flatnonzero(np.diff(found, prepend=0))]  # a piece may hold several

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, part: slice) -> Pieces:
        first, end, _ = part.indices(len(self))
        begin_C, end_C = (int(self.text_ends[place - 1]) if place else 0 for place in (first, end))
        columns = (getattr(self, name)[first:end] for name in ("lengths", *COLUMNS))
        return Pieces(self.codes_C[begin_C:end_C], *columns)

    def with_texts(self, places: Counts, texts: list[str]) -> Pieces:
        """The same with other texts at some places, which rise."""
        other_P = np.zeros(len(self), bool)
        other_P[places] = True
        lengths = self.lengths.copy()
        lengths[places] = lengths_of(texts)
        other_C = np.repeat(other_P, lengths)
        codes_C = np.empty(len(other_C), np.uint32)
        codes_C[other_C] = code_points("".join(texts))
        codes_C[~other_C] = self.codes_C[~np.repeat(other_P, self.lengths)]
        return replace(self, codes_C=codes_C, lengths=lengths)

    def united(self, starts_U: Counts, mean: bool = False) -> Pieces:
        """Pieces from each start up to the next, joined; the first start is 0. With ``mean`` the peak of each
        is the mean of its pieces, each ``MOST_OF_MEAN`` at most."""
        if not len(starts_U):
            return self
        peaks_U = np.maximum.reduceat(self.peaks, starts_U)
        most_U, before_P = self._most(starts_U, peaks_U), self.text_ends - self.lengths
        begin_U = before_P[most_U] - before_P[starts_U]
        sizes_U = np.add.reduceat(self.sizes, starts_U)
        return Pieces(
            self.codes_C,
            np.add.reduceat(self.lengths, starts_U),
            np.add.reduceat(self.nats, starts_U),
            np.add.reduceat(self.tokens, starts_U),
            np.add.reduceat(np.minimum(self.peaks, MOST_OF_MEAN), starts_U) / sizes_U if mean else peaks_U,
            sizes_U,
            begin_U,
            begin_U + self.lengths[most_U],
        )

    def _most(self, starts_U: Counts, peaks_U: Floats) -> Counts:
        """The first piece of each unit that has its peak."""
        P = len(self)
        sizes_U = np.diff(np.append(starts_U, P))
        at_peak_P = self.peaks == np.repeat(peaks_U, sizes_U)  # never where the peak is not a number
        places_P = np.where(at_peak_P, np.arange(P), P - 1)
        found: Counts = np.minimum(np.minimum.reduceat(places_P, starts_U), starts_U + sizes_U - 1)
        return found


def lengths_of(texts: list[str]) -> Counts:
    """The length of each."""
    return np.fromiter(map(len, texts), np.int64, len(texts))


def code_points(text: str) -> Codes:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)


class Decoding:
    """Tokens to pieces, as they come."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._texts = TokenTexts(tokenizer)
        self._decoder = tokenizer.decoder()
        self._tokens, self._nats = 0, 0.0
        self._codes_C = code_points("")
        """The texts of the tokens that came so far, one after the other."""
        self._begins_V = np.zeros(tokenizer.vocab_size, np.int64)
        self._lengths_V = np.full(tokenizer.vocab_size, UNSEEN)

    def push(self, ids_T: Array, nats_T: Array) -> Pieces:
        """The pieces that these tokens complete."""
        nats_T = nats_T.astype(np.float64)
        lengths_T = self._lengths_V[ids_T]
        if (lengths_T == UNSEEN).any():
            self._look_up(np.flatnonzero(np.bincount(ids_T[lengths_T == UNSEEN])).tolist())
            lengths_T = self._lengths_V[ids_T]
        if (lengths_T == NOT_WHOLE).any() or self._decoder.pending:
            return self._one_by_one(ids_T.tolist(), nats_T)
        ends_T = np.cumsum(lengths_T)
        at_C = np.repeat(self._begins_V[ids_T] - (ends_T - lengths_T), lengths_T)
        at_C += np.arange(len(at_C))
        return Pieces._single(self._codes_C[at_C], lengths_T, nats_T, np.ones(len(ids_T), np.int64))

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

    def _look_up(self, tokens: list[int]) -> None:
        """The texts of tokens that are new."""
        found = [self._texts[token] for token in tokens]
        texts = [text or "" for text in found]
        lengths = lengths_of(texts)
        self._begins_V[tokens] = len(self._codes_C) + np.cumsum(lengths) - lengths
        self._lengths_V[tokens] = np.where([text is None for text in found], NOT_WHOLE, lengths)
        self._codes_C = np.concatenate([self._codes_C, code_points("".join(texts))])

    def _one_by_one(self, ids: list[int], nats_T: Floats) -> Pieces:
        decoder, waiting = self._decoder, bool(self._decoder.pending)
        texts: list[str] = []
        ends: list[int] = []
        for place, token in enumerate(ids):
            text = self._texts[token]
            if waiting or text is None:
                text = decoder.push(token)
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

    def __init__(self, by: str, tokenizer: Tokenizer, mean: bool = False) -> None:
        one_of(by, "by", UNITS)
        self._mean = mean
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
            return pieces.united(np.arange(P), self._mean)
        starts_U = pieces.line_ends if self.by == "line" else self._word_starts(pieces.texts)
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
        return ended.united(np.concatenate([[0], starts_U[:-1] + place]), self._mean)

    def finish(self) -> Pieces:
        """The unit that the text's end completes."""
        left = Pieces.joined(self._open)
        self._open, self._tokens, self._visible = [], 0, False
        return left.united(np.zeros(min(1, len(left)), np.int64), self._mean)

    @property
    def waiting(self) -> list[str]:
        """The texts of the unit that has not ended."""
        return [pieces.text for pieces in self._open]

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
