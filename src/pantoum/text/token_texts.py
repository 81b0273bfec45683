"""The text of each token that is whole characters by itself."""

from __future__ import annotations

from pantoum.text.tokenizer import Tokenizer

__all__ = ["TokenTexts"]


class TokenTexts(dict[int, "str | None"]):
    """The text of a token where nothing is pending before it; ``None`` where it leaves something pending, or
    its text depends on the tokens before it. Filled as tokens come."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, token: int) -> str | None:
        decoder = self._tokenizer.decoder()
        text = decoder.push(token)
        found = self[token] = None if decoder.pending else text
        return found
