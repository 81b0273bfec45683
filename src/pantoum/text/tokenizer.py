"""The one protocol of all tokenizers, and the two ways to one: from a spec, or learned from a text.

``encode`` and ``decode`` are for whole texts; ``encode_blocks`` and a ``Decoder`` for text that comes in
parts. A ``Learner`` reads the training text once: ``feed`` gives provisional numbers at once, ``learn``
makes the tokenizer at the end, and ``tokens`` turns the provisional numbers into its own, so that the
text need not be read again.

    learner("words", 20_000, None) ── feed, feed, ... ── learn() ──> WordTokenizer ── spec() ──> a plain dict
                                                                          ^────────── from_spec ──┘

A spec is plain (JSON's types only) and holds all there is: kind, documents, and the learned pieces. The file
of a kind of tokenizer is imported when it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from pantoum.config import require
from pantoum.config.plain import Plain
from pantoum.errors import FormatError, SettingError
from pantoum.text.across import Across, here
from pantoum.text.numbers import Ids, Numbers, Tokens, UnknownCount
from pantoum.text.spec import refuse, shown

__all__ = ["Decoder", "Learner", "Tokenizer", "declared_size", "from_spec", "learner", "require_kind"]


class Decoder(Protocol):
    """Turns tokens into text one by one, holding back what is no whole character yet."""

    @property
    def pending(self) -> bytes:
        """What is held back; ``tokenizer.decoder(pending=...)`` goes on from it."""
        ...

    def push(self, token_id: int) -> str:
        """The text that this token completes; may be empty."""
        ...

    def finish(self) -> str:
        """What is left at the end: empty, or U+FFFD for an incomplete character."""
        ...


class Tokenizer(Protocol):
    """Text to token numbers and back."""

    @property
    def kind(self) -> str:
        """``bytes``, ``characters``, ``words``, ``words:whitespace`` or ``bpe``."""
        ...

    @property
    def vocab_size(self) -> int:
        """How many numbers there are, ``<eos>`` and ``<unk>`` included."""
        ...

    @property
    def eos(self) -> int:
        """The number of ``<eos>``: the end of a document (or, with ``words:whitespace``, of a line)."""
        ...

    @property
    def unk(self) -> int | None:
        """The number of what is not in the vocabulary; ``None`` where nothing is unknown."""
        ...

    @property
    def documents(self) -> str | None:
        """``lines``, ``files``, ``blank-lines``: what a document is; ``None``: the text is one stream."""
        ...

    @property
    def eos_text(self) -> str:
        """What ``<eos>`` decodes to."""
        ...

    @property
    def encoding(self) -> str:
        """How ``encode_blocks`` wants bytes decoded: ``utf-8``, or ``latin-1`` where a token is a byte."""
        ...

    def encode(self, text: str | bytes) -> Tokens:
        """The numbers of a whole text, as uint32."""
        ...

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = here
    ) -> Iterator[Numbers]:
        """The numbers of a text in blocks cut anywhere, with borders marked (``documents.mark_blocks``);
        ``unknown`` counts what the vocabulary lacks, ``across`` calls what is costly."""
        ...

    def token_lengths(self, text: str) -> list[tuple[int, int]]:
        """The pieces of a text that are encoded apart: the characters and the tokens of each."""
        ...

    def decode(self, ids: Ids) -> str:
        """The text of some numbers; bytes that are no UTF-8 read U+FFFD."""
        ...

    def decode_bytes(self, ids: Ids) -> bytes:
        """The same as bytes, exactly."""
        ...

    def decoder(self, pending: bytes = b"") -> Decoder:
        """A fresh decoder, or one that goes on from what another had pending."""
        ...

    def spec(self) -> dict[str, Plain]:
        """All there is to know, plain; ``from_spec`` reads it back."""
        ...


class Learner(Protocol):
    """Reads a training text once and becomes a tokenizer."""

    @property
    def exact(self) -> bool:
        """Whether the provisional numbers still stand; false once the table of pieces outgrew its bound."""
        ...

    @property
    def rest(self) -> str:
        """The end of what was fed that has no number yet: it may go on with what follows."""
        ...

    def feed(self, block: str) -> Numbers:
        """Count a block (borders marked) and give it provisional numbers."""
        ...

    def feed_all(self, blocks: Iterable[str], across: Across = here) -> Iterator[Numbers]:
        """The same for blocks one after the other; ``across`` calls what is costly."""
        ...

    def learn(self) -> Tokenizer:
        """The tokenizer of what was fed."""
        ...

    def tokens(self, numbers: Numbers, unknown: UnknownCount | None = None) -> Numbers:
        """The numbers of the learned tokenizer for provisional ones; ``unknown`` counts what its vocabulary
        lacks."""
        ...


def from_spec(spec: Mapping[str, Plain]) -> Tokenizer:
    """The tokenizer that a spec describes; ``FormatError`` where it describes none."""
    kind = str(spec.get("kind"))
    if kind == "bytes":
        from pantoum.text import byte

        return byte.from_spec(spec)
    if kind == "characters":
        from pantoum.text import character

        return character.from_spec(spec)
    if kind in ("words", "words:whitespace"):
        from pantoum.text import word

        return word.from_spec(spec)
    if kind == "bpe":
        from pantoum.text import bpe

        return bpe.from_spec(spec)
    raise FormatError(
        f"a tokenizer of kind {shown(spec.get('kind'))!r} is not known here; use a newer pantoum"
    )


def declared_size(spec: Mapping[str, Any]) -> int:
    """The vocabulary's size that a spec speaks of, before anything is made of it."""
    if spec.get("kind") == "bytes":
        from pantoum.text import byte

        return byte.ByteTokenizer.vocab_size
    named = [spec[key] for key in ("characters", "pieces") if isinstance(spec.get(key), (str, list))]
    if named:
        return len(named[0]) + 2
    merges = spec.get("merges")
    if not isinstance(merges, list):
        raise refuse("has no vocabulary")
    from pantoum.text import bpe

    return len(merges) + bpe.FIRST_MERGE


def require_kind(tokens: str, documents: str | None) -> None:
    """Raise ``SettingError`` unless ``tokens`` names a tokenizer that can do with ``documents``."""
    found = re.fullmatch(r"bytes|characters|words|words:whitespace|bpe:([0-9]{1,7})", tokens)
    if found is None:
        from pantoum.config import TOKENS_RULE

        raise SettingError("tokens", tokens, TOKENS_RULE, "choose one of them")
    if found[1] is not None:
        from pantoum.text import bpe

        require(
            bpe.FEWEST <= int(found[1]) <= bpe.MOST,
            "tokens",
            tokens,
            f"N must be from {bpe.FEWEST} (256 bytes, <eos> and one merge) to {bpe.MOST}",
            "give for example bpe:4096",
        )
    if tokens == "words:whitespace" and documents not in (None, "lines"):
        raise SettingError(
            "documents",
            documents,
            "must be lines with words:whitespace, where <eos> ends a line",
            "use --documents lines, or other --tokens",
        )


def learner(tokens: str, vocab_size: int | None, documents: str | None) -> Learner:
    """What learns the tokenizer that ``tokens`` names (``bytes`` has nothing to learn)."""
    require_kind(tokens, documents)
    if tokens.startswith("bpe:"):
        from pantoum.text import bpe

        return bpe.BpeLearner(int(tokens[4:]), documents)
    if tokens.startswith("words"):
        from pantoum.text import word

        return word.WordLearner(tokens, vocab_size, documents)
    if tokens == "characters":
        from pantoum.text import character

        return character.CharacterLearner(vocab_size, documents)
    raise SettingError("tokens", tokens, "has nothing to learn", "use text.byte.ByteTokenizer")
