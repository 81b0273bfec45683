"""What a line has that is not judged: the tokens within matches of an expression get a peak of 0.

The model reads them as it reads everything, and their nats count in the sums; only no alert comes from them.
A token that a match touches is ignored as a whole. Matches lie within a line, so its pieces wait until it has
ended.

Shape letter: P pieces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pantoum.config.plain import Plain
from pantoum.inference.scoring.units import LONGEST, Pieces

__all__ = ["Ignored"]


class Ignored:
    """Pieces as they come, with the peaks of those that are not judged set to 0."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._open: list[Pieces] = []
        """The line that has not ended."""

    def push(self, pieces: Pieces) -> Pieces:
        """The pieces of the lines that these complete."""
        ends = pieces.line_ends[-1:].tolist()  # the last
        self._open.append(pieces[: ends[0]] if ends else pieces)
        if not ends and sum(map(len, self._open)) < LONGEST:
            return Pieces.joined([])
        whole = Pieces.joined(self._open)
        self._open = [pieces[ends[0] :]] if ends else []
        return self._judged(whole)

    def finish(self) -> Pieces:
        """Those of the last line."""
        left, self._open = Pieces.joined(self._open), []
        return self._judged(left)

    @property
    def waiting(self) -> list[str]:
        """The texts of the line that has not ended."""
        return [pieces.text for pieces in self._open]

    def kept(self) -> dict[str, Plain]:
        """The line that has not ended, for a state file."""
        return Pieces.joined(self._open).plain()

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._open = [Pieces.from_plain(kept)]

    def _judged(self, pieces: Pieces) -> Pieces:
        ends_P = pieces.text_ends
        touched = np.zeros(int(ends_P[-1]) + 1 if len(pieces) else 1, np.int64)
        begin = 0
        for line in pieces.text.split("\n"):
            for found in self._pattern.finditer(line):
                touched[begin + found.start() + 1 : begin + found.end() + 1] = 1
            begin += len(line) + 1
        counted = np.cumsum(touched)
        ignored_P = counted[ends_P] > counted[ends_P - pieces.lengths]
        return replace(pieces, peaks=np.where(ignored_P, 0.0, pieces.peaks))
