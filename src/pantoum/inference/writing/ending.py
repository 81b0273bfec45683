"""Where a text may end when it nears its length: after a line or a sentence, not in the middle of a word.

A text of N tokens may end within its last ``SHARE`` of N (at most ``MOST`` tokens), as soon as it stands at
the end of a line or of a sentence; it never has more than N tokens. A sentence ends with ``.``, ``!``, ``?``
or ``…`` and the quotation marks and brackets after it. Where tokens are bytes or characters, white space must
follow, because a point may be part of a number; larger tokens include the white space before a word, so the
last token of the sentence decides there. The rule depends on the text alone, so a text ends at the same place
alone, in a batch, and streamed.
"""

from __future__ import annotations

import re

__all__ = ["Ending", "tolerance"]

SHARE, MOST = 0.2, 200
TAIL = 8
CLOSED = "[.!?…][\"'”’»)\\]]*"
AFTER_SPACE = re.compile(rf"(?:\n|{CLOSED}[ \t])$")
AT_ONCE = re.compile(rf"(?:\n|{CLOSED})$")


def tolerance(length: int) -> int:
    """How many tokens before its length a text may end."""
    return min(int(SHARE * length), MOST)


class Ending:
    """Watches one text."""

    def __init__(self, single: bool) -> None:
        """``single``: whether each token is one character."""
        self._pattern = AFTER_SPACE if single else AT_ONCE
        self._tail = ""

    def reached(self, piece: str) -> bool:
        """Whether the text may end after this next piece."""
        self._tail = (self._tail + piece)[-TAIL:]
        return self._pattern.search(self._tail) is not None
