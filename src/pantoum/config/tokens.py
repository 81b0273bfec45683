"""Every tokenizer, one row each: what it declares of itself, and how people write it.

Its file in ``text`` says how it encodes and decodes. What reads, cuts, scores, writes or describes text asks
the row and names no tokenizer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pantoum.config.rules import nearest, require, text
from pantoum.errors import SettingError


@dataclass(frozen=True)
class TokenKind:
    """A kind of tokenizer."""

    name: str
    """As people write it, and as the file of a model names it."""
    module: str
    """Where ``from_spec`` and ``declared_size`` are, and ``learner`` if it learns something
    (``text.tokenizer`` says what each of them does)."""
    unit: str = "token"
    """What a token is: ``byte``, ``character``, ``word``; ``token`` where it is a piece of a word."""
    single: bool = False
    """Whether each token is one character of the text (bytes are read as Latin-1). Otherwise the text must be
    cut first, which takes long."""
    spaces: Literal["apart", "before", "between"] = "apart"
    """The space between two words: a character like any other, the beginning of the word that follows, or a
    part of neither, which decoding puts there."""
    joins_lines: bool = False
    """Whether a token may hold the end of a line and white space after it."""
    ends_lines: bool = False
    """Whether ``<eos>`` ends each line, so that documents can only be lines."""
    size: Literal["fixed", "vocab_size", "N"] = "vocab_size"
    """Where the size of the vocabulary comes from: nothing is learned, the setting of that name, or the name
    itself (``bpe:4096``)."""
    sizes: tuple[int, int] = (0, 0)
    """The least and the greatest N."""

    @property
    def written(self) -> str:
        """Its name as a rule shows it."""
        return f"{self.name}:N" if self.size == "N" else self.name


TOKEN_KINDS: dict[str, TokenKind] = {
    kind.name: kind
    for kind in (
        TokenKind("bytes", "pantoum.text.byte", unit="byte", single=True, size="fixed"),
        TokenKind("characters", "pantoum.text.character", unit="character", single=True),
        TokenKind("words", "pantoum.text.word", unit="word", spaces="before"),
        TokenKind("words:whitespace", "pantoum.text.word", unit="word", spaces="between", ends_lines=True),
        *(
            TokenKind(  # 258: 256 bytes, <eos> and one merge
                name, "pantoum.text.bpe", spaces="before", joins_lines=True, size="N", sizes=(258, 1_000_000)
            )
            for name in ("bpe", "bpe:whitespace")
        ),
    )
}


def written_kinds() -> str:
    """All tokenizers as a rule lists them."""
    *others, last = [kind.written for kind in TOKEN_KINDS.values()]
    return f"{', '.join(others)} or {last}"


def parse_tokens(tokens: object) -> tuple[TokenKind | None, int | None]:
    """The tokenizer that a name means, alone or with its N, and this N; ``None`` where there is none."""
    name, number = str(tokens), None
    if name not in TOKEN_KINDS and (match := re.fullmatch("(.+):([0-9]{1,4000})", name)):
        name, number = match[1], int(match[2])
    kind = TOKEN_KINDS.get(name)
    return (kind, number) if kind is None or number is None or kind.size == "N" else (None, None)


def check_tokens(tokens: object, documents: str | None = None) -> TokenKind:
    """The tokenizer that is asked for; ``SettingError`` unless it can be learned with these documents."""
    kind, number = parse_tokens(tokens)
    if kind is None or (kind.size == "N" and number is None):
        raise SettingError("tokens", tokens, f"must be {written_kinds()}", _advice(tokens))
    if number is not None:
        least, most = kind.sizes
        rule = f"must have an N from {least} to {most}"
        require(least <= number <= most, "tokens", tokens, rule, f"give for example {kind.name}:4096")
    if kind.ends_lines and documents not in (None, "lines"):
        raise SettingError(
            "documents",
            documents,
            f"must be lines with {kind.name}, where <eos> ends a line",
            "use --documents lines, or other --tokens",
        )
    return kind


def token_name(value: object, argument: str) -> str:
    """The name of a tokenizer that can be asked for."""
    name = text(value, argument)
    check_tokens(name)
    return name


def token_unit(kind: object) -> str:
    """What a token of this kind of tokenizer is; ``token`` where the kind is not known."""
    found = TOKEN_KINDS.get(str(kind))
    return "token" if found is None else found.unit


def _advice(tokens: object) -> str:
    """What to type instead of a tokenizer that does not exist."""
    sized = [kind.name for kind in TOKEN_KINDS.values() if kind.size == "N"]
    for name in sorted(sized, key=len, reverse=True):
        if str(tokens).startswith(name):
            return f"give the vocabulary size too, for example {name}:4000"
    meant = nearest(tokens, [name for name in TOKEN_KINDS if name not in sized])
    return "choose one of them" if meant is None else f"did you mean {meant}?"
