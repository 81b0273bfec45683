"""One pass over a text: from sources to the shards of a prepared folder, or to memory.

    read, decode, hash ── part ──┬── training: learner.feed_all ── spool ── look up ──> train.tokens
                                 └── held out: kept ──────────── encode ─────────> valid.tokens

While the text is read, its pieces get provisional numbers; when it has been read, the tokenizer is made
from the training part, and the numbers are looked up in its table. A tokenizer that is known from the start
(``bytes``, or one that is given) encodes at once. Only a text with more different words than the table may
hold, or none of whose few documents is held out by its hash, is read a second time.

One process reads and writes. What takes most of the time, cutting a text into words and numbering them, is
spread over ``workers`` where the text is large enough for that. The shards are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from pantoum.config import AUTO
from pantoum.config.plain import Plain
from pantoum.config.tokens import TokenKind, parse_tokens
from pantoum.data import manifest
from pantoum.data.destination import Destination, Spool
from pantoum.data.held_out import Documents, Split, Tail
from pantoum.data.sources import Source, Sources, left_out
from pantoum.data.text_reader import (
    Measure,
    OddFileError,
    Progress,
    TextReader,
    content,
    is_utf8,
    raw_blocks,
)
from pantoum.data.workers import Workers, worth
from pantoum.errors import TextError
from pantoum.text.bpe_merges import LONGEST
from pantoum.text.character import CharacterLearner
from pantoum.text.documents import ADVICE, ShortLines, sign_of
from pantoum.text.encodings import NotUtf8Error, advice, sample_of
from pantoum.text.numbers import Numbers
from pantoum.text.tokenizer import Across, Tokenizer, from_spec, learner

__all__ = ["Tokenizing", "tokenize"]

MOST_CHARACTERS = 512
"""Different characters of a text that is read as characters where nothing is said."""
Tokenized: TypeAlias = "tuple[Tokenizer, dict[str, Plain], list[str]]"
"""The tokenizer, the facts of a manifest (``data.manifest``), and what a person should know."""
LEAST_TOKENS = 2
"""One to read, one to predict."""


@dataclass(frozen=True)
class Tokenizing:
    """What was asked, all of it checked."""

    tokens: str
    vocab_size: int | None
    documents: str | None
    valid_fraction: float
    given: Tokenizer | None = None
    encoding: str | None = None
    """The encoding of the texts that are not UTF-8."""

    @property
    def kind(self) -> TokenKind | None:
        """The tokenizer that is meant; ``None``: it is chosen from the text."""
        return parse_tokens(self.tokens)[0]

    @property
    def raw(self) -> bool:
        """Whether files are read as they are, of whatever kind: bytes were asked for."""
        return self.kind is not None and self.kind.unit == "byte"

    @property
    def splits(self) -> bool:
        """Whether the text is cut into words or the like, which takes long."""
        return self.kind is not None and not self.kind.single

    def spec(self) -> dict[str, Plain]:
        """The plain form, as ``prepared.json`` keeps it."""
        given = None if self.given is None else manifest.tokenizer_fingerprint(self.given).hex()
        spec: dict[str, Plain] = {
            "tokens": self.tokens,
            "vocab_size": self.vocab_size,
            "documents": self.documents,
            "valid_fraction": self.valid_fraction,
            "tokenizer": given,
        }
        return spec if self.encoding is None else {**spec, "encoding": self.encoding}


def tokenize(
    sources: Sources,
    request: Tokenizing,
    destination: Destination,
    progress: Progress | None = None,
    processes: int | None = None,
) -> Tokenized:
    """Give the tokens to their destination. Files of a folder that are not UTF-8 are left out.

    ``processes``: how many split the text into words; ``None``: as many as are worth it.
    """
    count = processes or worth(sources.size)
    with Workers(count) as workers:
        across = workers.across if request.splits and count > 1 else map
        return _without_odd_files(_Preparation(sources, request, destination, progress, across))


def _without_odd_files(preparation: _Preparation) -> Tokenized:
    sources = preparation.sources
    try:
        return _tokenize(preparation)
    except OddFileError as error:
        odd = [s for s in sources.texts if s.in_folder and (s is error.source or not is_utf8(s))]
        others = [source for source in sources.texts if source not in odd]
        if not others:
            raise TextError(f"{error} (of {len(odd):,} files, none is UTF-8)") from None
        found = advice(sample_of(content(odd[0], raw_blocks(odd[0]))))
        note = f"left out, because not UTF-8: {left_out(odd)}; to have {odd[0].name} read, {found}"
        rest = replace(sources, texts=others, notes=[*sources.notes, note], left_out=odd)
        return _tokenize(replace(preparation, sources=rest))
    except NotUtf8Error as error:
        if preparation.request.given is not None:
            raise
        raise NotUtf8Error(f"{error}; or read its bytes with --tokens bytes") from None


def _tokenize(preparation: _Preparation) -> Tokenized:
    request, sources = preparation.request, preparation.sources
    if request.tokens != AUTO or request.given is not None:
        return preparation.make(request.tokens)
    try:
        return preparation.make("characters", MOST_CHARACTERS)
    except _TooMany as reason:
        _require_utf8(sources)
        notes = [*sources.notes, f"the text is read as bytes: {reason}"]
        return replace(preparation, sources=replace(sources, notes=notes)).make("bytes")


def _require_utf8(sources: Sources) -> None:
    """Raise an error where a text is not UTF-8: all of them are read as bytes next, which takes what is, and
    what is refused or left out must not depend on how far the first reading came."""
    texts = sources.texts if sources.valid is None else [*sources.texts, sources.valid]
    for _ in TextReader(texts, "utf-8", None).blocks():
        pass


class _TooMany(Exception):  # noqa: N818  it is no error: bytes are tried next
    """The text has more different characters than are read as characters unasked."""


class _Pass:
    """One reading of the texts, parted, the training part counted."""

    def __init__(
        self,
        sources: Sequence[Source],
        encoding: str,
        documents: str | None,
        split: Split,
        progress: Progress | None,
    ) -> None:
        self.reader = TextReader(sources, encoding, documents, progress)
        self.short_lines = ShortLines()
        self.split = split
        self.measure = Measure(encoding, documents)

    def training(self) -> Iterator[str]:
        """What is learned from, while the text is read."""
        blocks = self.short_lines.through(self.reader.blocks())
        return self.measure.through(self.split.training(blocks))

    def by_fraction(self) -> str:
        """What comes to it when all has been read."""
        return "".join(self.measure.through([self.split.by_fraction()]))

    def by_tokens(self, tokenizer: Tokenizer) -> str:
        """What comes to it when the tokenizer is known."""
        return "".join(self.measure.through([self.split.by_tokens(tokenizer)]))

    def learned_from(self) -> Iterator[str]:
        """What is learned from: both of these."""
        yield from self.training()
        yield self.by_fraction()

    def encoded(self, tokenizer: Tokenizer, across: Across) -> Iterator[Numbers]:
        """All of it in numbers of a tokenizer that is known."""

        def text() -> Iterator[str]:
            yield from self.learned_from()
            yield self.by_tokens(tokenizer)

        return tokenizer.encode_blocks(text(), self.measure.unknown, across)


@dataclass(frozen=True)
class _Preparation:
    """What all passes over the same texts have in common."""

    sources: Sources
    request: Tokenizing
    destination: Destination
    progress: Progress | None
    across: Across

    @property
    def fraction(self) -> float:
        """The share of the text that is held out."""
        return 0.0 if self.sources.valid is not None else self.request.valid_fraction

    def make(self, tokens: str, most_characters: int | None = None, only: int | None = None) -> Tokenized:
        """Read, encode, write and describe. ``only``: the one document to hold out."""
        given, (kind, _) = self.request.given, parse_tokens(tokens)
        known = given
        if known is None and kind is not None and kind.size == "fixed":
            known = from_spec({"kind": kind.name, "documents": self.request.documents})
        part = self._pass(tokens, known, only)
        with Spool(self.destination.folder) as spool:
            if known is None:
                tokenizer, learned = self._learned(tokens, part, spool, most_characters)
            else:
                tokenizer, learned = known, part.encoded(known, self.across)
            if learned is None:  # its numbers are gone: they are made by a second reading
                first, part = part, self._pass(tokens, tokenizer, only)
                learned = _unchanged(part.encoded(tokenizer, self.across), first.reader, part.reader)
            facts: dict[str, Plain] = {
                "kind": tokenizer.kind,
                "vocab_size": tokenizer.vocab_size,
                "documents": tokenizer.documents,
                "valid_fraction": self.fraction,
                "texts": part.reader.files,
                "valid_text": None,
            }
            if self.request.raw:
                facts["raw"] = True
            read = [*self.sources.texts, *([] if self.sources.valid is None else [self.sources.valid])]
            if any(source.encoding is not None for source in read):
                facts["encoding"] = self.request.encoding
            if self.sources.left_out:
                facts["left_out"] = [
                    {"name": odd.name, "size": odd.size, "mtime_ns": odd.mtime_ns}
                    for odd in self.sources.left_out
                ]
            facts["train"] = self._write("train", tokenizer, learned, facts, part.measure, "the text")
        split = part.split
        if isinstance(split, Documents) and split.forgotten:
            # The documents are few, and none of them is held out by its hash.
            return self.make(tokens, most_characters, split.lowest)
        notes = [
            *self.sources.notes,
            *part.reader.notes,
            *split.notes,
            *self._settings_without_effect(tokenizer),
        ]
        if given is None and tokenizer.documents is None and part.short_lines.found:
            notes.append(ADVICE)
        if self.sources.valid is None:
            facts["valid"] = self._held_out(tokenizer, split.held, facts, notes)
        else:
            facts["valid"] = self._held_out_file(tokenizer, self.sources.valid, facts, notes)
        self.destination.describe(tokenizer, facts, self.request.spec(), notes)
        return tokenizer, facts, notes

    def _pass(self, tokens: str, known: Tokenizer | None, only: int | None) -> _Pass:
        documents, encoding = self.request.documents, "utf-8" if known is None else known.encoding
        split: Split
        if documents is None:
            kind, _ = parse_tokens(tokens)
            split = Tail(self.fraction, kind is not None and kind.single)
        else:
            split = Documents(self.fraction, sign_of(documents), self.sources.size, only)
        return _Pass(self.sources.texts, encoding, documents, split, self.progress)

    def _learned(
        self, tokens: str, part: _Pass, spool: Spool, most_characters: int | None
    ) -> tuple[Tokenizer, Iterator[Numbers] | None]:
        """The tokenizer of the training part and its numbers, or ``None`` if a second pass must give them."""
        pupil = learner(tokens, self.request.vocab_size, self.request.documents)
        for numbers in pupil.feed_all(part.learned_from(), self.across):
            spool.append(numbers)
            if (
                most_characters is not None
                and isinstance(pupil, CharacterLearner)
                and pupil.distinct > most_characters
            ):
                raise _TooMany(f"it has more than {most_characters} different characters")
        rest = pupil.rest
        tokenizer = pupil.learn()
        if not pupil.exact:
            return tokenizer, None
        unknown = part.measure.unknown
        end = tokenizer.encode_blocks([rest + part.by_tokens(tokenizer)], unknown)
        return tokenizer, chain((pupil.tokens(block, unknown) for block in spool.blocks()), end)

    def _held_out(
        self, tokenizer: Tokenizer, held: str, facts: dict[str, Plain], notes: list[str]
    ) -> dict[str, int] | None:
        """Write the held-out part; ``None`` where it is too short to predict anything."""
        measure = Measure(tokenizer.encoding, tokenizer.documents)
        blocks = tokenizer.encode_blocks(measure.through([held]), measure.unknown)
        valid = self._write("valid", tokenizer, blocks, facts, measure, None)
        if valid["tokens"] >= LEAST_TOKENS:
            return valid
        self.destination.discard("valid")
        if self.fraction:
            notes.append(
                "nothing is held out: the text is too short for this fraction; --valid FILE names a "
                "held-out text"
            )
        return None

    def _held_out_file(
        self, tokenizer: Tokenizer, source: Source, facts: dict[str, Plain], notes: list[str]
    ) -> dict[str, int]:
        """Write the text that is held out because it was named."""
        measure = Measure(tokenizer.encoding, tokenizer.documents)
        reader = TextReader([source], tokenizer.encoding, tokenizer.documents)

        def blocks() -> Iterator[Numbers]:
            text = measure.through(reader.blocks())
            yield from tokenizer.encode_blocks(text, measure.unknown, self.across)
            (facts["valid_text"],) = reader.files  # before the shard asks for its fingerprint

        valid = self._write("valid", tokenizer, blocks(), facts, measure, repr(source.label))
        notes += reader.notes
        return valid

    def _write(
        self,
        part: str,
        tokenizer: Tokenizer,
        blocks: Iterator[Numbers],
        facts: dict[str, Plain],
        measure: Measure,
        must_be_long: str | None,
    ) -> dict[str, int]:
        """Write a shard; what it holds. A text that must be long enough is named, and refused before anything
        that was there is replaced."""
        count = 0

        def counted() -> Iterator[Numbers]:
            nonlocal count
            for block in blocks:
                count += len(block)
                yield block
            if must_be_long and count < LEAST_TOKENS:
                raise TextError(
                    f"{must_be_long} is too short: it has {count} token{'s' * (count != 1)} here, and at "
                    f"least {LEAST_TOKENS} are needed, one to read, one to predict; give a longer text"
                )

        self.destination.write(part, counted(), tokenizer, facts)
        return {
            "characters": measure.characters,
            "bytes": measure.bytes,
            "tokens": count,
            "unknown": measure.unknown.count,
        }

    def _settings_without_effect(self, tokenizer: Tokenizer) -> list[str]:
        """What was asked for and did nothing, or not all of it."""
        notes = []
        if self.request.vocab_size is not None and tokenizer.declared.size != "vocab_size":
            notes.append(f"--vocab-size {self.request.vocab_size} has no effect with {tokenizer.kind}")
        _, most = parse_tokens(self.request.tokens)
        if most is not None and tokenizer.vocab_size < most:
            notes.append(
                f"{self.request.tokens} found no more than {tokenizer.vocab_size} tokens worth "
                f"having: the text is short, or has few words of at most {LONGEST} characters"
            )
        return notes


def _unchanged(blocks: Iterator[Numbers], first: TextReader, second: TextReader) -> Iterator[Numbers]:
    """The blocks of a second reading; an error at its end if it was not of the same text."""
    yield from blocks
    if first.files != second.files:
        raise TextError("a text changed while it was read; try again when nothing writes to it")
