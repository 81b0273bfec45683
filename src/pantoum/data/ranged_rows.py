"""The rows of a text that is larger than memory, read range by range.

Each row has a window of the text, and all windows together have at most ``MOST`` bytes, however large the
text is. A file that is cut meanwhile is an error of the batch that needs what is gone (docs/decisions/037).

B streams (rows).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pantoum.formats.token_file import StoredTokens

Tokens: TypeAlias = "npt.NDArray[np.generic]"
MOST = 16 << 20
"""Bytes of all windows of a text."""
LEAST = 1 << 14
"""Bytes of a window, however many rows there are."""
LARGEST = 1 << 20
"""Bytes of a window, however few rows there are."""


class RangedRows:
    """The rows of a stored text, read range by range."""

    def __init__(self, stored: StoredTokens, batch_size: int, length: int) -> None:
        self._stored, self._length = stored, length
        size = LARGEST
        while size > LEAST and size * batch_size > MOST:
            size //= 2
        self._window = size // stored.dtype.itemsize
        """A window ends at a multiple of so many tokens: only a batch that crosses one reads two MiBs."""
        self._windows = [(0, np.empty(0, stored.dtype))] * batch_size

    def columns(self, begin: int, end: int) -> tuple[Tokens, Tokens]:
        """Copies of some columns and of their targets. ``ShardError``: the file has been cut or changed."""
        found_BT = np.empty((len(self._windows), end - begin + 1), self._stored.dtype)
        for row, found_T in enumerate(found_BT):
            found_T[:] = self._tokens(row, row * self._length + begin, len(found_T))
        return found_BT[:, :-1], found_BT[:, 1:]

    def _tokens(self, row: int, start: int, count: int) -> Tokens:
        """Tokens of a row, from its window; where they are not all in it, a new one is read."""
        first, window = self._windows[row]
        if not first <= start <= start + count <= first + len(window):
            first, end = start, start + count
            window = self._stored.read(first, end + -end % self._window)
            self._windows[row] = first, window
        return window[start - first :][:count]
