"""The rows of a text: B contiguous ranges of equal length, of which a batch is some columns.

Row b of a text of N tokens is the tokens from ``b * length`` on; the target of a token is the one after it,
so that the last target of a row is the first token of the next row. The rows of an array are views. Those of
a token shard that is larger than memory are read range by range: each row keeps a window of the shard, and
all windows together have at most ``MOST`` bytes, however large the text is.

The next window is read where the batch leaves one, from the MiB of the shard that it lies in, which is
verified on the way. So a byte is never used that was not verified when it was read, and a shard that somebody
cuts or overwrites is an error in the batch that would have used it (docs/decisions/083).

B rows, T columns, N tokens of the text.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pantoum.formats.token_shard import Shard

__all__ = ["ArrayRows", "RangedRows"]

Tokens: TypeAlias = "npt.NDArray[np.generic]"
MOST = 16 << 20
"""Bytes of all windows of a text."""
LEAST = 1 << 14
"""Bytes of a window, however many rows there are: each costs the reading of a MiB."""
LARGEST = 1 << 20
"""Bytes of a window, however few rows there are: it lies in one MiB of the shard."""


class ArrayRows:
    """The rows of an array."""

    def __init__(self, tokens_N: Tokens, batch_size: int, length: int) -> None:
        laid, shape = batch_size * length, (batch_size, length)
        self._inputs, self._targets = tokens_N[:laid].reshape(shape), tokens_N[1 : laid + 1].reshape(shape)

    def columns(self, begin: int, end: int) -> tuple[Tokens, Tokens]:
        """Views of some columns of all rows and of their targets, each [B, end - begin]."""
        return self._inputs[:, begin:end], self._targets[:, begin:end]


class RangedRows:
    """The rows of a token shard, read range by range."""

    def __init__(self, shard: Shard, batch_size: int, length: int) -> None:
        self._shard, self._length = shard, length
        size = LARGEST
        while size > LEAST and size * batch_size > MOST:
            size //= 2
        self._window = size // shard.dtype.itemsize
        """A window ends at a multiple of so many tokens: only a batch that crosses one reads two MiBs."""
        self._windows = [(0, np.empty(0, shard.dtype))] * batch_size

    def columns(self, begin: int, end: int) -> tuple[Tokens, Tokens]:
        """Copies of some columns and of their targets. ``ShardError``: the shard has been cut or changed."""
        found_BT = np.empty((len(self._windows), end - begin + 1), self._shard.dtype)
        for row, found_T in enumerate(found_BT):
            found_T[:] = self._tokens(row, row * self._length + begin, len(found_T))
        return found_BT[:, :-1], found_BT[:, 1:]

    def _tokens(self, row: int, start: int, count: int) -> Tokens:
        """Tokens of a row, from its window; where they are not all in it, a new one is read."""
        first, window = self._windows[row]
        if not first <= start <= start + count <= first + len(window):
            first, end = start, start + count
            window = self._shard.read(first, end + -end % self._window)
            self._windows[row] = first, window
        return window[start - first :][:count]
