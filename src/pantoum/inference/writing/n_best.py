"""The N best of many texts: those to which the model itself gives the highest probability, best first.

The candidates are drawn as other texts are and differ from one another. Their rank is the log-probability of
the whole text, its end included, under the model without sampling settings. So for names, or whatever ends by
itself, the first is the most probable text that was found. Texts without an end of their own have one length,
so that none is ahead for being short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pantoum.inference.state import State
from pantoum.inference.writing.distinct import Distinct
from pantoum.inference.writing.generation import Piece, Text, completed

__all__ = ["NBest"]


class NBest:
    """The best ``most`` texts of a writing, each given whole."""

    def __init__(self, candidates: Distinct, most: int) -> None:
        self.seed = candidates.seed
        self.texts: list[Text] = []
        self._candidates, self._most, self._given = candidates, most, 0

    @property
    def rejected(self) -> Mapping[str, int]:
        """Counts of candidates that were written and rejected, by reason."""
        return self._candidates.rejected

    def __iter__(self) -> Iterator[Piece]:
        if not self.texts:
            found = completed(self._candidates).texts
            self.texts = sorted(found, key=lambda text: text.nats)[: self._most]
        while self._given < len(self.texts):
            self._given += 1
            yield Piece(self._given - 1, self.texts[self._given - 1].text)

    def finished(self, index: int) -> bool:
        """Whether text ``index`` was given, which is given whole."""
        return index < self._given

    def state(self, index: int = 0) -> State:
        """The state after text ``index``."""
        return self.texts[index].stream.state
