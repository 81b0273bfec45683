"""Whether a text that is there has a form.

Texts are read byte by byte, so no vocabulary is needed. Where a grammar is an intersection, each part of it
is read on its own: one automaton has a state for every combination of the states of its parts, and finds out
which of them lead to an end before it reads on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pantoum.apps.forms.grammar import is_full, library, matcher_of, parts_of
from pantoum.apps.forms.token_bytes import TokenTexts

if TYPE_CHECKING:
    from pantoum.seams import AskedForm

__all__ = ["FormReader"]

BYTES = [*(bytes([byte]) for byte in range(255)), b"<255>", b"<end>"]
"""Bytes as the tokens of llguidance. No UTF-8 has the byte 255, which marks what is no text."""


class FormReader:
    """A form, and the automata that have read texts of it."""

    def __init__(self, asked: AskedForm) -> None:
        """``SettingError`` where there can be no automaton."""
        self._asked = asked
        made = TokenTexts(BYTES, 256, [255, 256])
        self._tokens = library(asked.kind).LLTokenizer(made, n_vocab=len(BYTES), slices=[])
        self._slowly = False
        """Whether a text could only be read slowly (``_reads``)."""
        self._matchers = {part: self._matcher(part) for part in parts_of(asked, spaced=True)}

    def matches(self, text: str) -> bool:
        """Whether a whole text has the form."""
        data = text.encode("utf-8", "replace")
        return all(self._has_part(part, data) for part in self._matchers)

    def following(self, text: str) -> bytes:
        """The bytes that may come after the beginning of a text."""
        matcher = self._matcher(next(iter(self._matchers)))
        matcher.try_consume_tokens(list(text.encode("utf-8", "replace")))
        bits = matcher.compute_bitmask()
        return bytes(byte for byte in range(255) if bits[byte >> 3] >> (byte & 7) & 1)

    def _matcher(self, part: str) -> Any:
        return matcher_of(self._tokens, part, self._asked, step_fuel=None)

    def _has_part(self, part: str, data: bytes) -> bool:
        found = _reads(self._matchers[part], data, self._slowly)
        for slowly in (False, True):  # the automaton may be full: of the texts before, or of this one
            if found or not is_full(self._matchers[part]):
                break
            self._matchers[part] = self._matcher(part)
            found = _reads(self._matchers[part], data, slowly)
            self._slowly = self._slowly or (found and slowly)
        return found


def _reads(matcher: Any, data: bytes, slowly: bool) -> bool:
    """Whether a text has the form. ``slowly``: each byte may cost as much as a token that is written, and not
    only the text as a whole."""
    matcher.reset()
    for byte in data:
        if slowly:
            matcher.compute_bitmask()
        if not matcher.try_consume_tokens((byte,)):
            return False
    return bool(matcher.is_accepting())
