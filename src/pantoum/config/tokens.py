"""Tokenizers by name, as people write them, and what a token of each is."""

from __future__ import annotations

import re

from pantoum.config.rules import nearest
from pantoum.errors import SettingError

__all__ = ["TOKENS_RULE", "check_tokens", "token_unit"]

KINDS = {"bytes": "byte", "characters": "character", "words": "word", "words:whitespace": "word"}
"""Tokenizers by name, and what a token of each is."""
TOKENS_RULE = "must be bytes, characters, words, words:whitespace or bpe:N"


def check_tokens(tokens: str) -> None:
    """Refuse what names no tokenizer."""
    if re.fullmatch(r"auto|bytes|characters|words|words:whitespace|bpe:[0-9]{1,7}", tokens) is None:
        raise SettingError("tokens", tokens, TOKENS_RULE, _advice(tokens))


def token_unit(kind: object) -> str:
    """What a token of this kind of tokenizer is: a byte, a character, a word, or a token."""
    return KINDS.get(str(kind), "token")


def _advice(tokens: object) -> str:
    """What to type instead of a tokenizer that does not exist."""
    if str(tokens).startswith("bpe"):
        return "give the vocabulary size too, for example bpe:4000"
    meant = nearest(tokens, KINDS)
    return "choose one of them" if meant is None else f"did you mean {meant}?"
