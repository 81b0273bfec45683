"""The tokens of a text with their log-probabilities, in the two forms of OpenAI's interface.

Tokens are recorded as the model writes them; their text may be held back (a character that is not whole, what
may begin a stop string) or never be shown (what follows a stop). So a token is given out only when its text
was shown. A token whose bytes are no text by themselves is named ``bytes:\\xNN``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pantoum.seams import Drawn, Plain, Tokenizer

__all__ = ["Recorded", "chat_logprobs", "completion_logprobs"]


class Entry(NamedTuple):
    """A token in its place."""

    text: str
    log_probability: float | None
    alternatives: dict[str, float]
    offset: int
    """The number of characters before it."""


class Recorded:
    """The tokens of one text; ``offset``: where the text begins; ``pending``: what is pending before it."""

    def __init__(self, tokenizer: Tokenizer, offset: int = 0, pending: bytes = b"") -> None:
        self._tokenizer = tokenizer
        self._decoder = tokenizer.decoder(pending=pending)
        self.offset = offset
        """Characters before the next token."""
        self._entries: list[Entry] = []
        self._names: dict[int, str] = {}
        """How tokens are named as alternatives."""

    def add(
        self,
        drawn: Sequence[Drawn | None],
        tokens: Sequence[int] | None = None,
        places: Sequence[int] | None = None,
    ) -> None:
        """Tokens have come; where nothing is known of one, ``tokens`` says which it is. ``places``: where
        they begin, if not one after the other."""
        for place, one in enumerate(drawn):
            token = one.token if one is not None else tokens[place] if tokens is not None else 0
            text = self._decoder.push(token)
            alternatives = {} if one is None else {self._name(t): nats for t, nats in one.alternatives}
            nats = None if one is None else one.log_probability
            offset = self.offset if places is None else places[place]
            self._entries.append(Entry(self._name(token, text), nats, alternatives, offset))
            self.offset += len(text)

    def names(self, tokens: Sequence[int]) -> list[str]:
        """How each of some tokens is named."""
        return [self._name(token) for token in tokens]

    def take(self, shown: int | None) -> list[Entry]:
        """Those whose text begins before so many characters; ``None``: all."""
        count = len(self._entries)
        if shown is not None:
            count = sum(entry.offset < shown for entry in self._entries)
        taken, self._entries = self._entries[:count], self._entries[count:]
        return taken

    def _name(self, token: int, text: str = "") -> str:
        if text:
            return text
        if token not in self._names:
            self._names[token] = self._named(token)
        return self._names[token]

    def _named(self, token: int) -> str:
        raw = self._tokenizer.decode_bytes([token])
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def completion_logprobs(entries: Sequence[Entry], alternatives: int) -> dict[str, Plain]:
    """The ``logprobs`` of a completion's choice."""
    top = [entry.alternatives if entry.log_probability is not None else None for entry in entries]
    return {
        "tokens": [entry.text for entry in entries],
        "token_logprobs": [entry.log_probability for entry in entries],
        "top_logprobs": top if alternatives else None,
        "text_offset": [entry.offset for entry in entries],
    }


def chat_logprobs(entries: Sequence[Entry]) -> dict[str, Plain]:
    """The ``logprobs`` of a chat's choice."""

    def of(text: str, nats: float | None) -> dict[str, Plain]:
        return {"token": text, "logprob": nats, "bytes": list(text.encode("utf-8", "replace"))}

    content = [
        {
            **of(entry.text, entry.log_probability),
            "top_logprobs": [of(text, nats) for text, nats in entry.alternatives.items()],
        }
        for entry in entries
    ]
    return {"content": content, "refusal": None}
