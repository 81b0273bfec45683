"""What all tokenizers have in common, and the two ways to one: from a spec, or learned from a text.

``encode`` and ``decode`` are for whole texts; ``encode_blocks`` and a ``Decoder`` for text that comes in
parts. A ``TokenLearner`` reads the training text once: ``feed`` gives provisional numbers at once, ``learn``
makes the tokenizer at the end, and ``tokens`` turns the provisional numbers into its own, so that the
text need not be read again.

    learner("words", 20_000, None) ── feed, feed, ... ── learn() ──> WordTokenizer ── spec() ──> a plain dict
                                                                          ^────────── from_spec ──┘

A spec is plain (JSON's types only) and holds all there is: kind, documents, and the learned pieces. The
module of a kind (``config.tokens``) is imported when it is needed. It has

- ``from_spec(spec)``: the tokenizer that a spec describes, every value of it checked;
- ``declared_size(spec)``: how many numbers it speaks of, before anything is made;
- ``learner(kind, size, documents)``: the ``TokenLearner``, where something is learned.

A spec comes out of a file that anyone may have made: the checks below are those of every ``from_spec``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pantoum.config.plain import Plain
from pantoum.config.tokens import TOKEN_KINDS, TokenKind, check_tokens, parse_tokens
from pantoum.errors import FormatError, SettingError
from pantoum.text.decoder import Decoder
from pantoum.text.documents import EOS_TEXT, eos_text, mark
from pantoum.text.numbers import (
    EOS,
    Ids,
    Numbers,
    Tokens,
    UnknownCount,
    joined,
    smallest_dtype,
    whole_numbers,
)
from pantoum.text.unicode import as_text

MOST = 1_000_000
"""Entries that a vocabulary may have: pieces, or merges."""


def refuse(what: str) -> FormatError:
    """The one wording of "this spec is none of ours"."""
    return FormatError(f"the tokenizer's spec {what}; the file was made by something else, use another")


def shown(value: object) -> str:
    """A value of a file, short enough for a line."""
    return value[:40] if isinstance(value, str) else repr(value)[:40]


def require_keys(spec: Mapping[str, Plain], *keys: str) -> None:
    """The spec has these keys and no others: an unknown one would be ignored without a word."""
    if set(spec) != set(keys):
        raise refuse(f"has the keys {', '.join(shown(key) for key in sorted(spec)[:8])}, not {sorted(keys)}")


def listed(spec: Mapping[str, Plain], key: str) -> Sized:
    """What a spec lists under this key, not checked yet."""
    found = spec.get(key)
    if not isinstance(found, (str, list)):
        raise refuse("has no vocabulary")
    return found


def require_documents(spec: Mapping[str, Plain]) -> str | None:
    """What a document is."""
    documents = spec["documents"]
    if documents is not None and (not isinstance(documents, str) or documents not in EOS_TEXT):
        raise refuse(f"has documents {shown(documents)!r}, not one of lines, files, blank-lines")
    return documents


def require_texts(pieces: object) -> list[str]:
    """A list of different, not empty texts without surrogates; at most ``MOST``."""
    if not isinstance(pieces, list) or len(pieces) > MOST:
        raise refuse(f"has pieces that are not a list of at most {MOST:,} texts")
    if not all(isinstance(p, str) and p for p in pieces) or len(set(pieces)) != len(pieces):
        raise refuse("has pieces that are not a list of different texts")
    try:
        "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:
        raise refuse("has a piece with a lone surrogate") from None
    return pieces


Across: TypeAlias = Callable[..., Iterator[Any]]
"""Calls a function for each item, the results in the order of the items: ``map``, or one that calls in other
processes (``data.workers``)."""
WordEdges: TypeAlias = "tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]"


class Tokenizer:
    """Text to token numbers and back.

    A kind of tokenizer defines ``encode_blocks``, adds what it learned to ``spec``, and replaces the methods
    that do not hold for it."""

    eos = EOS
    """The number of ``<eos>``: the end of a document, or of a line where the kind ``ends_lines``."""
    unk: int | None = None
    """The number of what is not in the vocabulary; ``None`` where nothing is unknown."""
    encoding = "utf-8"
    """How ``encode_blocks`` wants bytes decoded: ``utf-8``, or ``latin-1`` where a token is a byte."""

    def __init__(self, kind: str, documents: str | None, pieces: Sequence[Any]) -> None:
        """``pieces``: the text (or bytes) of each number but ``<eos>``, which is 0."""
        self.kind = kind
        self.declared: TokenKind = TOKEN_KINDS[kind]
        """What a token of it is, and how it treats lines and spaces."""
        self.documents = documents
        """``lines``, ``files``, ``blank-lines``: what a document is; ``None``: the text is one stream."""
        self.eos_text = "\n" if self.declared.ends_lines else eos_text(documents)
        """What ``<eos>`` decodes to."""
        self.vocab_size = len(pieces) + 1
        """How many numbers there are, ``<eos>`` and ``<unk>`` included."""
        self._dtype = smallest_dtype(self.vocab_size)
        self._pieces: list[Any] = [self.eos_text, *pieces]

    def encode(self, text: str | bytes) -> Tokens:
        """The numbers of a whole text, as uint32; ``<eos>`` where documents meet."""
        return joined(self.encode_blocks([mark(as_text(text), self.documents)]))

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = map
    ) -> Iterator[Numbers]:
        """The numbers of a text in blocks cut anywhere, with borders marked (``documents.mark_blocks``);
        ``unknown`` counts what the vocabulary lacks, ``across`` calls what is costly."""
        raise NotImplementedError

    def token_lengths(self, text: str) -> list[tuple[int, int]]:
        """The pieces of a text that are encoded apart: the characters and the tokens of each."""
        return [(1, 1)] * len(text)

    def decode(self, ids: Ids) -> str:
        """The text of these numbers; bytes that are not UTF-8 become U+FFFD."""
        return "".join(map(self._pieces.__getitem__, whole_numbers(ids, self.vocab_size)))

    def decode_bytes(self, ids: Ids) -> bytes:
        """The same as bytes, exactly."""
        return self.decode(ids).encode("utf-8")

    def decoder(self, pending: bytes = b"") -> Decoder:
        """A fresh decoder, or one that goes on from what another had pending."""
        return Decoder(self._pieces, pending)

    def spec(self) -> dict[str, Plain]:
        """Everything about the tokenizer as plain values; ``from_spec`` reads it back."""
        return {"kind": self.kind, "documents": self.documents}

    @property
    def word_edges(self) -> WordEdges | None:
        """Where a token takes a word whole, so that none continues it: whether each token [V] begins with a
        letter or a digit, ends with one, is white space."""
        return None


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


class TokenLearner:
    """Reads a training text once and becomes a tokenizer."""

    exact = True
    """Whether the provisional numbers still stand; false once the table of pieces outgrew its bound."""

    @property
    def rest(self) -> str:
        """The end of what was fed that has no number yet: it may go on with what follows."""
        return ""

    def feed(self, block: str) -> Numbers:
        """Count a block (borders marked) and give it provisional numbers."""
        raise NotImplementedError

    def feed_all(self, blocks: Iterable[str], across: Across = map) -> Iterator[Numbers]:
        """The same for blocks one after the other; ``across`` calls what is costly."""
        return map(self.feed, blocks)

    def learn(self) -> Tokenizer:
        """The tokenizer of what was fed."""
        raise NotImplementedError

    def tokens(self, numbers: Numbers, unknown: UnknownCount | None = None) -> Numbers:
        """The numbers of the learned tokenizer for provisional ones; ``unknown`` counts what its vocabulary
        lacks."""
        raise NotImplementedError


def from_spec(spec: Mapping[str, Plain]) -> Tokenizer:
    """The tokenizer that a spec describes; ``FormatError`` where it describes none."""
    made: Tokenizer = _module(spec).from_spec(spec)
    return made


def declared_size(spec: Mapping[str, Any]) -> int:
    """The vocabulary's size that a spec speaks of, before anything is made of it."""
    size: int = _module(spec).declared_size(spec)
    return size


def learner(
    tokens: str, vocab_size: int | None, documents: str | None, known: Tokenizer | None = None
) -> TokenLearner:
    """What learns the tokenizer that ``tokens`` names. ``known``: one of that kind whose vocabulary grows by
    what the text has."""
    kind = check_tokens(tokens, documents)
    if kind.size == "fixed":
        raise SettingError("tokens", tokens, "has nothing to learn", "use text.tokenizer.from_spec")
    size = parse_tokens(tokens)[1] if kind.size == "N" else vocab_size
    more = {} if known is None else {"known": known}
    made: TokenLearner = importlib.import_module(kind.module).learner(kind.name, size, documents, **more)
    return made


def _module(spec: Mapping[str, Any]) -> Any:
    """The module of the kind that a spec names."""
    kind = TOKEN_KINDS.get(str(spec.get("kind")))
    if kind is None:
        raise FormatError(
            f"a tokenizer of kind {shown(spec.get('kind'))!r} is unknown to this version; use a newer pantoum"
        )
    return importlib.import_module(kind.module)
