"""The file that an adapted model is saved in: at the end of the text, and meanwhile every few minutes.

A monitor may run for months and end by a power cut. What it loses then is what came after the last save.
Saving changes nothing that is read later: a chunk that is not complete is learned from at the end only.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pantoum.config.plain import Plain
from pantoum.errors import StorageError
from pantoum.inference.adapt import Adapter

__all__ = ["KeptModel"]

EVERY = 300.0
"""Seconds between two saves."""


class KeptModel:
    """Saves what an adapter has learned."""

    def __init__(
        self,
        adapter: Adapter,
        path: str | Path,
        texts: Sequence[Mapping[str, Plain]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``texts``: what the adapter reads, for the card."""
        self._adapter, self._path, self._texts, self._clock = adapter, Path(path), texts, clock
        self._saved, self._at = adapter.tokens, clock()

    def meanwhile(self) -> None:
        """Save if it is time and there is something new. A full disk ends no monitor: it is said."""
        if self._clock() - self._at < EVERY or self._adapter.tokens == self._saved:
            return
        try:
            self._adapter.write(self._path, self._texts, ended=False)
        except StorageError as error:
            warnings.warn(f"the adapted model was not saved: {error}", UserWarning, stacklevel=2)
        self._saved, self._at = self._adapter.tokens, self._clock()

    def end(self) -> None:
        """Save at the end of the text."""
        self._adapter.write(self._path, self._texts)
