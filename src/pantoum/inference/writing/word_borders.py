"""What stands between words: which draws of a model of ``words`` are made again.

- A piece of ``words`` takes a word whole, so after a piece that ends with a letter or a digit no text goes on
  with a piece that begins with one. A model gives such pairs little probability, but not none, and a text in
  which one is drawn shows two words as one. A draw that makes such a pair is made again among the others.
- Each space of an indentation is a piece. After some of them the next space has most of the probability,
  while what ends the run is divided among many words, each of which min-p, top-k or top-p leaves out: the run
  would never end. So after a piece of white space the first draw is one without these filters, which decides
  whether the piece comes again; if it does not, the token is drawn with them among the others. The piece then
  comes again with the probability that the model gives it, with filters and without.

The others are a mask of the second draw, so that log-probabilities are those of the model.

Shapes: V symbols, B rows that are drawn together, C rows of logits, M words of a mask.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pantoum.kernels import Array, DrawRows
from pantoum.kernels.draw_rows import COLUMNS
from pantoum.kernels.types import RowCall
from pantoum.text.tokenizer import WordEdges

Sampler = Callable[[DrawRows, Array, Array], RowCall]

FILTERS = ("top_p", "min_p", "top_k")
OF_A_DRAW = ("nats", "log_probability", "tokens")
"""The columns that the last draw changed otherwise than another one in its place would."""
RUNS = np.uint64(1 << 63)
"""Makes of the number of a stream the number of the one that decides whether a run goes on."""


class WordDraw:
    """Draws as ``sampler`` does for these rows, but never continues a word, and ends runs of white space as
    the model does."""

    def __init__(
        self, sampler: Sampler, edges: WordEdges, rows: DrawRows, banned_N: Array, logits_CV: Array
    ) -> None:
        """``edges``: of the tokens (``Tokenizer.word_edges``). ``banned_N``: tokens that are never drawn."""
        V = logits_CV.shape[1]
        self._begins, self._ends, self._blank = (each_V.tobytes() for each_V in edges)
        others_V = np.zeros(-(-V // 32) * 32, np.uint8)
        others_V[:V] = ~edges[0]
        others_V[banned_N] = 0
        self._others_M = np.packbits(others_V, bitorder="little").view("<u4").astype(np.uint32)
        self._rows, self._logits_CV = rows, logits_CV
        self._draw = sampler(rows, banned_N, logits_CV)
        self._again, self._logits_1V = DrawRows(1), np.empty((1, V), np.float32)
        """The row that is drawn again."""
        if rows.recent_RW is not None:
            self._again.recent_RW = rows.recent_RW[:1].copy()
        self._again.mask(len(self._others_M))
        self._draw_again = sampler(self._again, banned_N, self._logits_1V)

    def draw(self, first: int, count: int) -> None:
        """One token for each of the rows first .. first + count - 1."""
        at, rows = slice(first, first + count), self._rows
        before_B: list[int] = rows.tokens[at].tolist()
        recent_BW = None if rows.recent_RW is None else rows.recent_RW[at].copy()
        # The most probable token is what it is, however long the run.
        runs = [
            first + place
            for place, token in enumerate(before_B)
            if self._blank[token] and rows.temperature[first + place] > 0.0
        ]
        if runs:
            self._draw_without_filters(first, count, runs)
        else:
            self._draw(first, count)
        for place, after in enumerate(rows.tokens[at].tolist()):
            row, before = first + place, before_B[place]
            if (before != after) if row in runs else (self._ends[before] and self._begins[after]):
                self._replace(row, before, place, None if recent_BW is None else recent_BW[place])

    def _draw_without_filters(self, first: int, count: int, runs: list[int]) -> None:
        """A token for each row; for those of ``runs`` without filters, by the numbers of another stream."""
        rows = self._rows
        own = {name: getattr(rows, name)[runs] for name in (*FILTERS, "stream")}
        for name in FILTERS:
            getattr(rows, name)[runs] = COLUMNS[name][1]
        rows.stream[runs] ^= RUNS
        self._draw(first, count)
        for name, values in own.items():
            getattr(rows, name)[runs] = values

    def _replace(self, row: int, before: int, place: int, recent_W: Array | None) -> None:
        """Another token in the place of the last one of a row, by the numbers of another stream."""
        rows, again = self._rows, self._again
        assert again.allowed_RM is not None
        columns = rows.get(row)
        columns["stream"] = ~rows.stream[row]
        columns["position"] -= 1
        columns["written"] -= 1
        columns["nats"] += columns["log_probability"]
        again.set(0, **columns)
        if rows.allowed_RM is not None:
            again.allowed_RM[0] = rows.allowed_RM[row]
        if self._blank[before]:
            again.allowed_RM[0, before // 32] &= ~np.uint32(1 << before % 32)
        else:
            again.allowed_RM[0] &= self._others_M
            if not again.allowed_RM.any():  # a form asks for two words as one
                return
        if rows.recent_RW is not None and again.recent_RW is not None:
            again.recent_RW[0] = recent_W
        self._logits_1V[0] = self._logits_CV[place]
        self._draw_again(0, 1)
        for name in OF_A_DRAW:
            getattr(rows, name)[row] = getattr(again, name)[0]
        if rows.recent_RW is not None and again.recent_RW is not None:
            rows.recent_RW[row] = again.recent_RW[0]
