"""The nats of the tokens of a text as they come: in one stream, or in segments that are read in parallel.

``OneStream`` reads each token after all that came before it, and answers at once.

``Segments`` is for speed: it waits for a block of tokens, cuts it into N segments and reads them in parallel,
one row each, because a product of N rows costs little more than one of a single row. A segment in the middle
of the text begins from a zero state and is warmed by the ``WARM`` tokens before it, whose nats are not used;
so near the beginning of a segment the model misses only what came earlier than that. The answers come in the
order of the text. Where the state is zeroed within the warming tokens (documents) nothing is missing at all.

    row   0   |================|                            goes on from the block before, all scored
    row   1             ....|================|              .... warms
    row N-1                       ....|================|    goes on as the first segment of the next block

The row of a block's last segment takes the next block's first one, so no state is ever moved.

Shape letters: B rows, T time, V symbols.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pantoum.inference.protocols import LEAST_SPAN as LEAST
from pantoum.inference.protocols import WARM_TOKENS as WARM
from pantoum.inference.reader import MakeReader
from pantoum.kernels import Array

__all__ = ["Following", "OneStream", "Scored", "Segments"]

AT_ONCE = 512
"""Tokens of one stream after which their nats are given out: a long part of a text is answered on the way."""
LONGEST = 4096
"""Tokens that a segment scores at most: one in seventeen tokens read is then for warming."""
Ids = NDArray[np.int64]
Resets = NDArray[np.bool_]
Scored = tuple[Ids, Array]


class Following(Protocol):
    """Gives the nats of tokens as they come, in their order."""

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Tokens of the text and their nats, as far as they are known by now."""
        ...

    def finish(self) -> Iterator[Scored]:
        """The rest."""
        ...


class OneStream:
    """Each token at once. ``resets_V`` are the tokens before which the state is zeroed, or none."""

    def __init__(self, make: MakeReader, first: int, resets_V: Resets | None) -> None:
        self._reader = make(1)
        self._last, self._resets_V = first, resets_V

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Their nats."""
        for start in range(0, len(ids_T), AT_ONCE):
            part_T = ids_T[start : start + AT_ONCE]
            inputs_BT = np.concatenate([[self._last], part_T[:-1]])[None]
            self._last = int(part_T[-1])
            reset_BT = None if self._resets_V is None else self._resets_V[inputs_BT]
            yield part_T, self._reader.losses(inputs_BT, part_T[None], reset_BT)[0]

    def finish(self) -> Iterator[Scored]:
        """Nothing is left."""
        yield from ()


class Segments:
    """A block of tokens at a time, in N segments side by side; a short text in fewer."""

    def __init__(self, make: MakeReader, streams: int, first: int, resets_V: Resets | None) -> None:
        self._make, self._streams = make, streams
        self._last, self._resets_V = first, resets_V
        self._reader: Any = None
        self._row = 0
        """The row that goes on."""
        self._waiting: list[Ids] = []
        self._count = 0

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Nothing until a block is full."""
        self._waiting.append(ids_T)
        self._count += len(ids_T)
        full = self._streams * LONGEST + WARM
        if self._count <= full:
            return
        ids_T = np.concatenate(self._waiting)
        for start in range(0, len(ids_T) - full, full):
            yield self._block(ids_T[start : start + full])
            self._count -= full
        self._waiting = [ids_T[len(ids_T) - self._count :]]

    def finish(self) -> Iterator[Scored]:
        """The last block, which may be the only one."""
        if self._count:
            yield self._block(np.concatenate(self._waiting))
        self._waiting, self._count = [], 0

    def _block(self, ids_T: Ids) -> Scored:
        T = len(ids_T)
        if self._reader is None:
            self._streams = max(1, min(self._streams, T // LEAST))
            self._reader = self._make(self._streams)
        inputs_T = np.concatenate([[self._last], ids_T[:-1]])
        B = self._streams
        # Row 0 scores all its columns, the others all but the first WARM: T = width + (B-1) * (width - WARM).
        width = T if T <= WARM else -(-(T + WARM * (B - 1)) // B)
        at_BT = np.arange(B)[:, None] * max(0, width - WARM) + np.arange(width)
        scored_BT = (at_BT < T) & ((np.arange(width) >= WARM) | (np.arange(B)[:, None] == 0))
        at_BT = np.minimum(at_BT, T - 1)
        reset_BT = np.zeros(at_BT.shape, bool) if self._resets_V is None else self._resets_V[inputs_T[at_BT]]
        reset_BT[1:, 0] = True
        rows_B = (np.arange(B) - self._row) % B
        nats_BT = np.empty(at_BT.shape)
        nats_BT[rows_B] = self._reader.losses(inputs_T[at_BT][rows_B], ids_T[at_BT][rows_B], reset_BT[rows_B])
        self._row, self._last = (self._row - 1) % B, int(ids_T[-1])
        nats_T = np.empty(T)
        nats_T[at_BT[scored_BT]] = nats_BT[scored_BT]
        return ids_T, nats_T
