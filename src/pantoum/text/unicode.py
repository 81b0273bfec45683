"""What Python calls a text and what a text is: surrogates, and bytes that are not UTF-8.

A Python ``str`` can hold lone surrogates (an undecodable byte of the command line becomes one); no
encoding has them. Each becomes U+FFFD, and that is said.
"""

from __future__ import annotations

import codecs
import re
import shlex
import warnings

from pantoum.errors import SettingError, TextError

__all__ = [
    "REPLACEMENT",
    "Forgiving",
    "NotUtf8Error",
    "as_bytes",
    "as_text",
    "not_utf8",
    "to_utf8",
    "without_surrogates",
]

REPLACEMENT = "\ufffd"
SURROGATE = re.compile("[\ud800-\udfff]")
LIKELY = "WINDOWS-1252"
"""What a text that is not UTF-8 is most likely in: Latin-1 and some more characters."""
NOT_UTF8 = "the text is not all in UTF-8: what is not is read as U+FFFD; to have it read, convert the text"
NOTE = "lone surrogates are no characters: each was replaced by U+FFFD"


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
            raise not_utf8("the text", error.start, text[error.start]) from None
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
            warnings.warn(f"{NOT_UTF8}: {to_utf8('the text')}", UserWarning, stacklevel=2)
            self._decoder = self._made("replace")
            self._decoder.setstate(before)
            return self._decoder.decode(data, final)


class NotUtf8Error(TextError):
    """Bytes that are not UTF-8 where they must be."""


def not_utf8(name: str, offset: int, byte: int) -> NotUtf8Error:
    """The one wording of "this is not UTF-8", with the command that converts the file."""
    source = repr(name) if name != "the text" else name
    encoding = "UTF-16" if offset == 0 and byte >= 0xFE else LIKELY
    return NotUtf8Error(
        f"{source} is not UTF-8: byte 0x{byte:02x} at offset {offset:,}; "
        f"convert it: {to_utf8(name, encoding)}"
    )


def to_utf8(name: str, encoding: str = LIKELY) -> str:
    """The command that converts a file to UTF-8."""
    if name in ("the text", "stdin", "-"):
        return f"iconv -f {encoding} -t UTF-8"
    stem, dot, ending = name.rpartition(".")
    stem, ending = (stem, dot + ending) if stem and "/" not in ending else (name, "")
    return f"iconv -f {encoding} -t UTF-8 {shlex.quote(name)} > {shlex.quote(f'{stem}-utf8{ending}')}"
