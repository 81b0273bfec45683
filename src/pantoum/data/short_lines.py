"""Whether a text looks like a list of short lines (names, words, molecules), for which there is a better way
to train: ``--documents lines``.

Such a list has no blank lines, hardly a line of more than ``LONGEST`` characters, and few words per line; a
poem, a program and a log have more words per line or blank lines. The first ``SAMPLE`` characters decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["ADVICE", "ShortLines"]

SAMPLE = 1 << 18
LEAST_LINES, LONGEST, MOST_WORDS = 50, 60, 2.5
ADVICE = (
    "the text looks like a list of short lines: with --documents lines each line is a document of its own, "
    "and `pantoum generate --count 20` writes new ones"
)


class ShortLines:
    """Looks at the beginning of a text on its way."""

    def __init__(self) -> None:
        self._sample = ""

    def through(self, blocks: Iterable[str]) -> Iterator[str]:
        """The blocks themselves."""
        for block in blocks:
            if len(self._sample) < SAMPLE:
                self._sample += block[: SAMPLE - len(self._sample)]
            yield block

    @property
    def found(self) -> bool:
        """Whether it is such a list."""
        lines = self._sample.rstrip("\n").splitlines()
        lines = lines[:-1] if len(self._sample) == SAMPLE else lines
        if len(lines) < LEAST_LINES or not all(line.strip() for line in lines):
            return False
        long = sum(len(line) > LONGEST for line in lines)
        words = sum(len(line.split()) for line in lines)
        return long <= 0.01 * len(lines) and words <= MOST_WORDS * len(lines)
