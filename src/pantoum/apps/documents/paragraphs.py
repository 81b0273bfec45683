"""Paragraphs as lines: white space as a reader of the document sees it, while the text comes in pieces.

White space counts as one space, and none is left at the ends of a line; a paragraph without text is no line.
What must stay as it is (a line's end, a tab, spaces in a row) is put in as a sign.
"""

from __future__ import annotations

import re

__all__ = ["LINE", "SPACE", "TAB", "Paragraphs"]

TAB, LINE, SPACE = "\x1d", "\x1e", "\x1f"
"""Stand for a tab, a line's end and a space that stay."""
WHITE, ENDS = re.compile(r"[ \t\r\n\f]+"), re.compile(f" ?{LINE}[ {LINE}]*")
SHOWN = str.maketrans({TAB: "\t", LINE: "\n", SPACE: " "})


class Paragraphs:
    """Collects pieces and gives lines."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._fresh = True
        """Whether the line that is being written has nothing yet."""
        self.add = self._pieces.append
        """Take a piece: text, or signs."""

    def take(self) -> bytes:
        """The text so far, as UTF-8, without the white space at its end, which waits for what follows."""
        text = ENDS.sub(LINE, WHITE.sub(" ", "".join(self._pieces)))
        if self._fresh:
            text = text.lstrip(f" {LINE}")
        whole = text.rstrip(f" {LINE}")
        self._fresh = self._fresh and not whole
        self._pieces[:] = [text[len(whole) :]]
        return whole.translate(SHOWN).encode("utf-8", "replace")

    def end(self) -> bytes:
        """What is left, and the end of the last line, where there is one."""
        whole = self.take()
        return whole if self._fresh else whole + b"\n"
