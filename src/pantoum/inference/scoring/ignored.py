"""What a line has that is not judged: the tokens within matches of an expression get a peak of 0.

The model reads them as it reads everything, and their nats count in the sums; only no alert comes from them.
A token that a match touches is ignored as a whole. Matches lie within a line, so its pieces wait until it has
ended.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from pantoum.config.plain import Plain
from pantoum.inference.scoring.units import LONGEST, NO_PIECES, Pieces, line_ends


class Ignored:
    """Pieces as they come, with the peaks of those that are not judged set to 0."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._open: list[Pieces] = []
        """The line that has not ended."""

    def push(self, pieces: Pieces) -> Pieces:
        """The pieces of the lines that these complete."""
        ends = line_ends(pieces.texts)[-1:]  # the last
        self._open.append(pieces.part(0, ends[0]) if ends else pieces)
        if not ends and sum(len(part.texts) for part in self._open) < LONGEST:
            return NO_PIECES
        whole = Pieces.joined(self._open)
        self._open = [pieces.part(ends[0])] if ends else []
        return self._judged(whole)

    def finish(self) -> Pieces:
        """Those of the last line."""
        left, self._open = Pieces.joined(self._open), []
        return self._judged(left)

    @property
    def waiting(self) -> list[str]:
        """The texts of the line that has not ended."""
        return [text for part in self._open for text in part.texts]

    def kept(self) -> dict[str, Plain]:
        """The line that has not ended, for a state file."""
        return Pieces.joined(self._open).plain()

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._open = [Pieces.from_plain(kept)]

    def _judged(self, pieces: Pieces) -> Pieces:
        text, begin = "".join(pieces.texts), 0
        touched = np.zeros(len(text) + 1, np.int64)
        for line in text.split("\n"):
            for match in self._pattern.finditer(line):
                touched[begin + match.start() + 1 : begin + match.end() + 1] = 1
            begin += len(line) + 1
        edges = list(accumulate(map(len, pieces.texts), initial=0))
        counted = np.cumsum(touched)[edges]
        return pieces._replace(peaks=np.where(np.diff(counted) > 0, 0.0, pieces.peaks))
