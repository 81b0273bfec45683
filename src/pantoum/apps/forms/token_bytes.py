"""A tokenizer as llguidance reads it: the bytes that each token adds to a text.

Where spaces belong to words, a token may add other bytes at one place than at another: a word that follows a
space which the text has already, or one that brings the space between it and the word before. Such a
tokenizer has two numbers per token: t, and t + ``shift`` where the text is *spaced* (what is pending of its
decoder is a space).

Shapes: V symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pantoum.seams import Tokenizer

if TYPE_CHECKING:
    from pantoum.seams import LoadedModel

__all__ = ["Steps", "TokenBytes", "TokenTexts", "Way", "way_of"]

Way = tuple[int, ...]
"""Tokens that lead to an end."""
Steps = tuple[int, "Steps"] | None
"""The last token of a way, and those before it: what many ways have in common is kept once."""

WORD = 32
"""Tokens per word of a mask."""
MOST_TRIED = 128
"""Tokens that are tried at one place."""
END = b"<end>"
"""The bytes of an end, which is no text."""


class TokenBytes:
    """The tokens of a model."""

    def __init__(self, found: Any, model: LoadedModel) -> None:
        """``found``: llguidance."""
        tokenizer: Tokenizer = model.tokenizer
        V, spaces = tokenizer.vocab_size, tokenizer.declared.spaces
        own: list[bytes] = [tokenizer.decode_bytes([token]) for token in range(V)]
        never = {*model.banned, *(t for t, text in enumerate(own) if not text or 0xFF in text)}
        self.border = model.eos
        """The token that ends a text; ``None`` where none does."""
        self.breaks = tokenizer.eos if tokenizer.declared.ends_lines and model.eos is None else None
        """The token after which no space is pending, though one is pending after all others."""
        self.between = spaces == "between"
        self.size = V
        self.shift = 0 if spaces == "apart" else -(-V // WORD) * WORD
        """What is added to the number of a token in a spaced text."""
        texts = own
        if self.shift:
            spaced = [text.removeprefix(b" ") for text in own]
            if self.between:
                spaced = [b" " + text if token != tokenizer.eos else text for token, text in enumerate(own)]
            texts = [*own, *[b""] * (self.shift - V), *spaced]
            never |= {token for token, text in enumerate(texts) if not text}
            never |= {token + self.shift for token in never if token < V}
        ends = set() if self.border is None else {self.border, self.border + self.shift}
        self.ends = [*sorted(ends), len(texts)]
        """The numbers that stand for the end of a text. The last one is of no token."""
        self.end_byte, self.end_bit = self.ends[-1] // 8, 1 << self.ends[-1] % 8
        """Where llguidance's bits say whether the text may end."""
        never |= set(self.ends)
        self.words = -(-V // WORD)
        """Words of a mask."""
        self.part = [slice(begin // 8, begin // 8 + 4 * self.words) for begin in (0, self.shift)]
        """The part of llguidance's bits that is a mask, in a text that is not spaced and in one that is."""
        self.end = [self._bits([n - begin for n in self.ends]) for begin in (0, self.shift)]
        """The masks of what stands for the end of a text."""
        self.all = b"\xff" * (4 * self.words)
        """The mask of all tokens."""
        self.texts = [*texts, END]
        made = TokenTexts([END if n in never else t for n, t in enumerate(self.texts)], self.ends[-1], never)
        self.tokens: Any = found.LLTokenizer(made, n_vocab=len(self.texts), eos_token=self.ends)
        self.by_text = [
            {text: token for token, text in enumerate(texts[begin : begin + V]) if token + begin not in never}
            for begin in (0, self.shift)
        ]
        """The tokens by their text, in a text that is not spaced and in one that is."""
        alone = (text.decode("utf-8", "replace") for text in self.by_text[False] if len(text) < 5)
        self.signs = sorted(
            {sign for sign in alone if len(sign) == 1 and sign != "\ufffd"},
            key=lambda sign: (not sign.isalnum(), not sign.islower(), sign),
        )
        """The characters that are a token each: small letters, other letters and digits, then the rest."""
        self._longest = max(map(len, texts))
        self._joined = b"\xff".join(texts)
        self.first_bytes = np.array([text[0] if text else 0 for text in own])
        """The first byte of each token [V]."""
        self.by_size = np.argsort(np.argsort([len(text) for text in own], kind="stable"))
        """The rank of each token [V] by the length of its text."""

    def mask(self, matcher: Any, spaced: bool) -> bytes:
        """The bits of the tokens that may follow, of one kind of place."""
        bits: bytes = matcher.compute_bitmask()
        return bits[self.part[spaced]]

    def worth_trying(self, mask: bytes) -> list[int]:
        """The tokens of a mask: of more than ``MOST_TRIED``, the shortest one for each first byte."""
        bits = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little")[: self.size]
        if self.border is not None:
            bits[self.border] = 0
        found = np.flatnonzero(bits)
        if len(found) > MOST_TRIED:
            found = found[self.by_size[found].argsort(kind="stable")]
            found = found[np.sort(np.unique(self.first_bytes[found], return_index=True)[1])]
        tokens: list[int] = found.tolist()
        return tokens

    def only(self, token: int | None) -> bytes:
        """The mask of one token; ``None``: of the one that ends a text, and where none does, of all: the text
        ends before the next one."""
        allowed = self.border if token is None else token
        return self.all if allowed is None else self._bits([allowed])

    def _bits(self, tokens: Sequence[int]) -> bytes:
        """The bits of those that have a place in a mask."""
        bits = np.zeros(WORD * self.words, np.uint8)
        bits[[token for token in tokens if 0 <= token < len(bits)]] = 1
        return np.packbits(bits, bitorder="little").tobytes()

    def spaced_after(self, token: int) -> bool:
        """Whether a text is spaced after a token."""
        return self.between and token != self.breaks and token != self.border

    def written(self, text: str, spaced: bool) -> Way | None:
        """A text as the fewest tokens; ``None``: this vocabulary cannot write it."""
        data = text.encode("utf-8", "replace")
        reached: dict[tuple[int, bool], tuple[int, Steps]] = {(0, spaced): (0, None)}
        for at in range(len(data)):
            for is_spaced in (False, True):
                count, steps = reached.pop((at, is_spaced), (-1, None))
                for end in range(at + 1, min(len(data), at + self._longest) + 1) if count >= 0 else ():
                    token = self.by_text[is_spaced].get(data[at:end])
                    place = end, token is not None and self.spaced_after(token)
                    if token is not None and (place not in reached or count + 1 < reached[place][0]):
                        reached[place] = count + 1, (token, steps)
        _, steps = min(reached.values(), key=lambda one: one[0], default=(0, None))
        return way_of(steps) if reached else None

    def lacking(self, text: str) -> str | None:
        """The first character of a text that no token has."""
        return next((sign for sign in text if sign.encode("utf-8", "replace") not in self._joined), None)

    def numbers(self, tokens: Sequence[int], spaced: bool) -> list[int]:
        """The numbers of tokens that follow one another."""
        if not self.shift:
            return list(tokens)
        found = []
        for token in tokens:
            found.append(token + self.shift if spaced else token)
            spaced = self.spaced_after(token)
        return found


def way_of(steps: Steps) -> Way:
    """The tokens of a way from the first one on."""
    found = list[int]()
    while steps is not None:
        token, steps = steps
        found.append(token)
    return tuple(reversed(found))


class TokenTexts:
    """What llguidance asks of a tokenizer. It never encodes: texts are written token by token."""

    bos_token_id = None
    is_tokenizer_wrapper = True

    def __init__(self, texts: Sequence[bytes], end: int, never: Iterable[int]) -> None:
        self.tokens, self.eos_token_id, self.special_token_ids = list(texts), end, sorted(never)

    def __call__(self, text: bytes) -> list[int]:
        return []
