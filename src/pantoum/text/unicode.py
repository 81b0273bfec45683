"""What Python calls a text and what a text is: surrogates, and bytes that are not UTF-8.

A Python ``str`` can hold lone surrogates (an undecodable byte of the command line becomes one); no
encoding has them. Each becomes U+FFFD, and that is said.
"""

from __future__ import annotations

import codecs
import re
import warnings

from pantoum.errors import SettingError

REPLACEMENT = "\ufffd"
SURROGATE = re.compile("[\ud800-\udfff]")
NOT_UTF8 = "parts of the text are not UTF-8: they are read as U+FFFD"
NOTE = "lone surrogates (bytes that are not UTF-8) are not characters: each was replaced by U+FFFD"


def without_surrogates(text: str) -> tuple[str, list[str]]:
    """The text with each lone surrogate as U+FFFD, and the note that says so, if there was any."""
    if text.isascii() or SURROGATE.search(text) is None:
        return text, []
    return SURROGATE.sub(REPLACEMENT, text), [NOTE]


def as_text(text: str | bytes) -> str:
    """A text without surrogates; bytes must be UTF-8. Python shows the warning once a place."""
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            from pantoum.text.encodings import not_utf8  # few texts need it

            raise not_utf8("the text", error.start, text[error.start], [text]) from None
    if not isinstance(text, str):
        raise SettingError("text", text, "must be a text (str) or bytes", "give the text itself")
    clean, notes = without_surrogates(text)
    for note in notes:
        warnings.warn(note, stacklevel=3)
    return clean


def as_bytes(text: str | bytes) -> bytes:
    """UTF-8 of a text; bytes as they are."""
    return text if isinstance(text, bytes) else as_text(text).encode("utf-8")


class Forgiving:
    """Decodes a text that comes in parts. What cannot be decoded becomes U+FFFD, which is said once."""

    def __init__(self, encoding: str) -> None:
        self._made = codecs.getincrementaldecoder(encoding)
        self._decoder = self._made()

    def decode(self, data: bytes, final: bool = False) -> str:
        """The text of the next bytes, as far as it is complete."""
        before = self._decoder.getstate()
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError:
            from pantoum.text.encodings import advice, sample_of

            warnings.warn(f"{NOT_UTF8}; {advice(sample_of([data]))}", UserWarning, stacklevel=2)
            self._decoder = self._made("replace")
            self._decoder.setstate(before)
            return self._decoder.decode(data, final)
