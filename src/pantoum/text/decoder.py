"""Token numbers back to text, one at a time: what a person sees while a model writes.

A decoder holds back what is no whole character yet (``pending``), so that a character is never split and
valid text never shows U+FFFD. What is pending belongs to a session's state: ``decoder(pending=...)`` goes
on from it. ``push`` over all tokens, then ``finish``, gives exactly what ``decode`` gives at once.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from pantoum.text.numbers import EOS, whole_numbers

SPACE = b" "


class Decoder:
    """For tokens that are pieces of text, written one after the other.

    What is pending (``b" "``) is a space that the text has already and that the next piece brings once more.
    """

    def __init__(self, pieces: Sequence[Any], pending: bytes = b"") -> None:
        self._pieces = pieces
        self._spaced = bool(pending)

    def push(self, token_id: int) -> str:
        """The text that this token completes, without a space that is there already; may be empty."""
        text: str = self._piece(token_id)
        if self._spaced:
            self._spaced = False
            return text.removeprefix(" ")
        return text

    def finish(self) -> str:
        """What is left at the end: empty, or U+FFFD for an incomplete character."""
        return ""

    @property
    def pending(self) -> bytes:
        """What is held back; ``tokenizer.decoder(pending=...)`` goes on from it."""
        return SPACE if self._spaced else b""

    def _piece(self, token_id: int) -> Any:
        (known,) = whole_numbers([token_id], len(self._pieces))
        return self._pieces[known]


class Utf8Decoder(Decoder):
    """For tokens that are bytes: a character may need several of them.

    What is pending are the first bytes of a character, or (``b" "``) a space that the text has already and
    that the next token brings once more.
    """

    def __init__(self, pieces: Sequence[bytes], pending: bytes = b"") -> None:
        super().__init__(pieces, pending if pending == SPACE else b"")
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder.setstate((b"" if self._spaced else pending, 0))

    def push(self, token_id: int) -> str:
        """The characters that this token completes; often none."""
        piece: bytes = self._piece(token_id)
        if self._spaced:
            self._spaced = False
            piece = piece.removeprefix(SPACE)
        return self._decoder.decode(piece)

    def finish(self) -> str:
        """U+FFFD for a character that was begun and not ended; the decoder is fresh again."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        self._spaced = False
        return text

    @property
    def pending(self) -> bytes:
        """The bytes of a character that is not whole yet, three at most; or a space."""
        return SPACE if self._spaced else self._decoder.getstate()[0]


class SpacedDecoder(Decoder):
    """For words that were split at white space: a space between two of them, none at a line's ends.

    Whether a space is owed before the next word is what is pending (``b" "``).
    """

    def push(self, token_id: int) -> str:
        """The token's text, with the space that is owed."""
        piece: str = self._piece(token_id)
        owed = self._spaced
        self._spaced = token_id != EOS
        return " " + piece if owed and self._spaced else piece

    def finish(self) -> str:
        """A space that is owed at the end is not written."""
        self._spaced = False
        return ""
