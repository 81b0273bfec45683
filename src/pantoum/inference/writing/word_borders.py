"""What stands between words: which draws of a model of ``words`` are made again.

- A piece of ``words`` takes a word whole, so after a piece that ends with a letter or a digit no text goes on
  with a piece that begins with one. A model gives such pairs little probability, but not none, and a text in
  which one is drawn shows two words as one. A draw that makes such a pair is made again among the other
  tokens.
- Each space of an indentation is a piece. After some of them the next space has most of the probability,
  while what ends the run is divided among many words, each of which min-p, top-k or top-p leaves out: the run
  would never end. So whether a piece of white space comes again is drawn without these filters, and if it
  does not, the draw is made again among the other tokens.

Shapes: V symbols, B rows that are drawn together, R rows of a batch, C rows of logits, W recent tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pantoum.inference.writing.adjusted import log_probabilities
from pantoum.kernels import Array, DrawRows
from pantoum.kernels.draw_rows import COLUMNS
from pantoum.kernels.types import RowCall

__all__ = ["WordBorders"]

Flags = NDArray[np.bool_]
FILTERS = ("top_p", "min_p", "top_k")
OF_A_DRAW = ("position", "written", "nats", "log_probability", "tokens")
"""The columns that a draw changes."""
RUNS = np.uint64(1 << 63)
"""Makes of the number of a stream the number of the one that decides whether a run goes on."""


@dataclass(frozen=True)
class WordBorders:
    """The edges of all tokens."""

    begins_V: Flags
    """Whether a token begins with a letter or a digit."""
    ends_V: Flags
    """Whether a token ends with one."""
    blank_V: Flags
    """Whether a token is white space."""

    @staticmethod
    def of(begins_V: Flags, ends_V: Flags, blank_V: Flags, banned: Sequence[int]) -> WordBorders | None:
        """``None`` if nothing but the beginning of a word could be drawn. ``banned``: tokens that are never
        drawn."""
        others_V = ~begins_V
        others_V[list(banned)] = False
        if not others_V.any():
            return None
        return WordBorders(begins_V, ends_V, blank_V)

    def broken(self, before_B: Array, after_B: Array) -> list[int]:
        """The rows in which a token continues the word before it, or is white space once more."""
        if len(before_B) == 1:  # of one text, arrays would cost more than the draw
            before, after = before_B.item(), after_B.item()
            joins = self.ends_V.item(before) and self.begins_V.item(after)
            return [0] if joins or (before == after and self.blank_V.item(after)) else []
        joined_B = self.ends_V[before_B] & self.begins_V[after_B]
        again_B = self.blank_V[after_B] & (before_B == after_B)
        found: list[int] = np.flatnonzero(joined_B | again_B).tolist()
        return found

    def draw_with(self, draw: RowCall, rows: DrawRows, logits_CV: Array) -> RowCall:
        """Draws as ``draw`` does for these rows, but never continues a word, and ends runs of white space as
        the model does."""
        return _WordSampler(self, draw, rows, logits_CV).draw


class _WordSampler:
    """Draws again where two words would be written as one, or where filters keep a run from its end."""

    def __init__(self, borders: WordBorders, draw: RowCall, rows: DrawRows, logits_CV: Array) -> None:
        self._borders, self._plain, self._rows, self._logits_CV = borders, draw, rows, logits_CV

    def draw(self, first: int, count: int) -> None:
        """One token for each of the rows first .. first + count - 1."""
        at, rows = slice(first, first + count), self._rows
        before_B, recent_RW = rows.tokens[at].copy(), rows.recent_RW
        recent_BW = None if recent_RW is None else recent_RW[at].copy()
        self._plain(first, count)
        places = self._borders.broken(before_B, rows.tokens[at])
        if not places:
            return
        first_V = self._logits_CV[0].copy()  # a draw of one row takes its place
        for place in places:
            row, logits_V = first + place, first_V if place == 0 else self._logits_CV[place]
            without, blank = self._borders.begins_V, self._borders.blank_V[before_B[place]]
            if blank:
                without = np.arange(len(without)) == before_B[place]
            if not self._other_than(row, without):
                continue
            recent_W = None if recent_BW is None else recent_BW[place]
            # The most probable token is what it is, however long the run.
            if blank and (rows.temperature[row] == 0.0 or self._goes_on(row, logits_V, recent_W)):
                continue
            self._draw_again(row, logits_V, without, recent_W)
        np.copyto(self._logits_CV[0], first_V)

    def _other_than(self, row: int, without_V: Flags) -> bool:
        """Whether the mask of a row allows a token that is not one of these."""
        allowed_RM = self._rows.allowed_RM
        if allowed_RM is None:
            return True
        bits = np.unpackbits(allowed_RM[row].astype("<u4").view(np.uint8), bitorder="little")
        return bool((bits[: len(without_V)] > without_V).any())

    def _goes_on(self, row: int, logits_V: Array, recent_W: Array | None) -> bool:
        """Whether the token comes again by the model's own probability of it."""
        rows = self._rows
        filters = {name: getattr(rows, name)[row] for name in FILTERS}
        drawn = {name: getattr(rows, name)[row] for name in OF_A_DRAW}
        recent_after_W = None if rows.recent_RW is None else rows.recent_RW[row].copy()
        for name in FILTERS:
            getattr(rows, name)[row] = COLUMNS[name][1]
        self._draw_from(row, logits_V, rows.stream[row] ^ RUNS, recent_W)
        goes_on = bool(rows.tokens[row] == drawn["tokens"])
        for name, value in {**filters, **drawn}.items():
            getattr(rows, name)[row] = value
        if rows.recent_RW is not None:
            rows.recent_RW[row] = recent_after_W
        return goes_on

    def _draw_again(self, row: int, logits_V: Array, without: Flags, recent_W: Array | None) -> None:
        """Another token in the place of the one drawn, from what the model gives those that are not left out:
        its log-probability is that of the model itself."""
        rows, own_V, others_V = self._rows, log_probabilities(logits_V), logits_V.copy()
        others_V[without] = -np.inf
        rows.nats[row] += rows.log_probability[row]
        self._draw_from(row, others_V, ~rows.stream[row], recent_W)
        given, own = float(rows.log_probability[row]), float(own_V[rows.tokens[row]])
        rows.log_probability[row] = own
        rows.nats[row] += given - own

    def _draw_from(self, row: int, logits_V: Array, stream: np.uint64, recent_W: Array | None) -> None:
        """One more draw in the place of the last one, by the random numbers of another stream."""
        rows = self._rows
        rows.position[row] -= np.uint64(1)
        rows.written[row] -= 1
        if rows.recent_RW is not None:
            rows.recent_RW[row] = recent_W
        own = rows.stream[row]
        rows.stream[row] = stream
        np.copyto(self._logits_CV[0], logits_V)
        self._plain(row, 1)
        rows.stream[row] = own
