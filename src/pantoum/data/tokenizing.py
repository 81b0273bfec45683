"""One pass over a text: from sources to the tokens of a prepared file, or of memory.

    read, decode, hash ── part ──┬── training: learner.feed_all ── spool ── look up ──> train
                                 └── held out: kept ──────────── encode ─────────> valid

While the text is read, its pieces get provisional numbers; when it has been read, the tokenizer is made
from the training part, and the numbers are looked up in its table. A tokenizer that is known from the start
(``bytes``, or one that is given) encodes at once. Only a text with more different words than the table may
hold, or none of whose few documents is held out by its hash, is read a second time.

One process reads and writes. What takes most of the time, cutting a text into words and numbering them, is
spread over ``workers`` where the text is large enough for that. The tokens are the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pantoum.config import AUTO
from pantoum.config.plain import Plain
from pantoum.config.tokens import TokenKind, parse_tokens
from pantoum.data.held_out import Documents, Split, Tail
from pantoum.data.prepared_file import TokenWriter, tokenizer_fingerprint
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
from pantoum.formats.system_calls import translated
from pantoum.text.bpe import LONGEST_LEARNED
from pantoum.text.character import CharacterLearner
from pantoum.text.documents import ADVICE, ShortLines, sign_of
from pantoum.text.encodings import NotUtf8Error, advice, sample_of
from pantoum.text.numbers import Numbers
from pantoum.text.tokenizer import Across, Tokenizer, from_spec, learner

MOST_CHARACTERS = 512
"""Different characters of a text that is read as characters where nothing is said."""
Tokenized: TypeAlias = "tuple[Tokenizer, dict[str, Plain], list[str]]"
"""The tokenizer, the facts (``data.prepared_file``), and what a person should know."""
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
    grows: bool = False
    """Whether the given tokenizer learns the symbols of the text that it lacks."""

    @property
    def kind(self) -> TokenKind | None:
        """The tokenizer that is meant; ``None``: it is chosen from the text."""
        return parse_tokens(self.tokens)[0]

    @property
    def raw(self) -> bool:
        """Whether files are read as they are, of whatever kind: bytes were asked for."""
        return self.given is None and self.kind is not None and self.kind.unit == "byte"

    @property
    def splits(self) -> bool:
        """Whether the text is cut into words or the like, which takes long."""
        return self.kind is not None and not self.kind.single

    def spec(self) -> dict[str, Plain]:
        """The plain form, as a prepared file has it."""
        given = None if self.given is None else tokenizer_fingerprint(self.given).hex()
        spec: dict[str, Plain] = {
            "tokens": self.tokens,
            "vocab_size": self.vocab_size,
            "documents": self.documents,
            "valid_fraction": self.valid_fraction,
            "tokenizer": given,
        }
        more = {"encoding": self.encoding, "grows": self.grows}
        return {**spec, **{name: value for name, value in more.items() if value}}


def tokenize(
    sources: Sources,
    request: Tokenizing,
    writer: TokenWriter,
    progress: Progress | None = None,
    processes: int | None = None,
    spool_in: Path | None = None,
) -> Tokenized:
    """Give the tokens to the writer. Files of a folder that are not UTF-8 are left out.

    ``processes``: how many split the text into words; ``None``: as many as are worth it. ``spool_in``: the
    folder for temporary files.
    """
    count = processes or worth(sources.size)
    with Workers(count) as workers:
        across = workers.across if request.splits and count > 1 else map
        return _without_odd_files(_Preparation(sources, request, writer, progress, across, spool_in))


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
        note = f"left out, because they are not UTF-8: {left_out(odd)}; to read {odd[0].name}, {found}"
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
    except _TooManyError as reason:
        # What is refused or left out must not depend on how far the first reading came.
        for _ in TextReader(sources.all, "utf-8", None).blocks():
            pass
        notes = [*sources.notes, f"the text is read as bytes: {reason}"]
        return replace(preparation, sources=replace(sources, notes=notes)).make("bytes")


class _TooManyError(Exception):
    """The text has more different characters than are read as characters unasked."""


class _Pass:
    """One reading of the texts, parted, the training part counted."""

    def __init__(self, reader: TextReader, split: Split, measure: Measure) -> None:
        self.reader, self.split, self.measure = reader, split, measure
        self.short_lines = ShortLines()

    def learned_from(self) -> Iterator[str]:
        """What is learned from, while the text is read."""
        blocks = self.short_lines.through(self.reader.blocks())
        return self.measure.through(self.split.training(blocks))

    def too_much(self, tokenizer: Tokenizer) -> Iterator[str]:
        """What comes to it when the tokenizer is known."""
        yield from self.measure.through([self.split.too_much(tokenizer)])

    def encoded(self, tokenizer: Tokenizer, across: Across) -> Iterator[Numbers]:
        """All of it in numbers of a tokenizer that is known."""
        text = chain(self.learned_from(), self.too_much(tokenizer))
        return tokenizer.encode_blocks(text, self.measure.unknown, across)


@dataclass(frozen=True)
class _Preparation:
    """What all passes over the same texts have in common."""

    sources: Sources
    request: Tokenizing
    writer: TokenWriter
    progress: Progress | None
    across: Across
    spool_in: Path | None

    @property
    def fraction(self) -> float:
        """The share of the text that is held out."""
        return 0.0 if self.sources.valid is not None else self.request.valid_fraction

    def make(self, tokens: str, most_characters: int | None = None, only: int | None = None) -> Tokenized:
        """Read, encode, write and describe. ``only``: the one document to hold out."""
        given, (kind, _) = self.request.given, parse_tokens(tokens)
        known = None if self.request.grows else given
        if known is None and kind is not None and kind.size == "fixed":
            known = from_spec({"kind": kind.name, "documents": self.request.documents})
        part = self._pass(tokens, known, only)
        self.writer.begin()
        with closing(_Spool(self.spool_in)) as spool:
            if known is None:
                tokenizer, learned = self._learned(tokens, part, spool, most_characters)
            else:
                tokenizer, learned = known, part.encoded(known, self.across)
            if learned is None:  # its numbers are gone: they are made by a second reading
                first, part = part, self._pass(tokens, tokenizer, only)
                learned = _unchanged(part.encoded(tokenizer, self.across), first.reader, part.reader)
            trained = self._write("train", tokenizer, learned, part.measure, "the text")
        split = part.split
        if isinstance(split, Documents) and split.forgotten:
            # The documents are few, and none of them is held out by its hash.
            return self.make(tokens, most_characters, split.lowest)
        notes = [*self.sources.notes, *part.reader.notes, *split.notes, *self._without_effect(tokenizer)]
        if given is None and tokenizer.documents is None and part.short_lines.found:
            notes.append(ADVICE)
        valid_text = None
        if self.sources.valid is None:
            valid = self._held_out(tokenizer, split.held, notes)
        else:
            valid, valid_text = self._held_out_file(tokenizer, self.sources.valid, notes)
        facts: dict[str, Plain] = {
            "kind": tokenizer.kind,
            "vocab_size": tokenizer.vocab_size,
            "documents": tokenizer.documents,
            "valid_fraction": self.fraction,
            "texts": part.reader.files,
            "valid_text": valid_text,
            "train": trained,
            "valid": valid,
        }
        if given is not None and tokenizer.vocab_size > given.vocab_size:
            facts["new_symbols"] = tokenizer.vocab_size - given.vocab_size
        if self.request.raw:
            facts["raw"] = True
        if any(source.encoding is not None for source in self.sources.all):
            facts["encoding"] = self.request.encoding
        if self.sources.left_out:
            facts["left_out"] = [
                {"name": odd.name, "size": odd.size, "mtime_ns": odd.mtime_ns}
                for odd in self.sources.left_out
            ]
        self.writer.finish(tokenizer, facts, self.request.spec(), notes)
        return tokenizer, facts, notes

    def _pass(self, tokens: str, known: Tokenizer | None, only: int | None) -> _Pass:
        documents, encoding = self.request.documents, "utf-8" if known is None else known.encoding
        split: Split
        if documents is None:
            kind, _ = parse_tokens(tokens)
            split = Tail(self.fraction, kind is not None and kind.single)
        else:
            split = Documents(self.fraction, sign_of(documents), self.sources.size, only)
        reader = TextReader(self.sources.texts, encoding, documents, self.progress)
        return _Pass(reader, split, Measure(encoding, documents))

    def _learned(
        self, tokens: str, part: _Pass, spool: _Spool, most_characters: int | None
    ) -> tuple[Tokenizer, Iterator[Numbers] | None]:
        """The tokenizer of the training part and its numbers, or ``None`` if a second pass must give them."""
        request = self.request
        pupil = learner(tokens, request.vocab_size, request.documents, request.given)
        for numbers in pupil.feed_all(part.learned_from(), self.across):
            spool.append(numbers)
            if (
                most_characters is not None
                and isinstance(pupil, CharacterLearner)
                and pupil.distinct > most_characters
            ):
                raise _TooManyError(f"it has more than {most_characters} different characters")
        rest = pupil.rest
        tokenizer = pupil.learn()
        if not pupil.exact:
            return tokenizer, None
        unknown = part.measure.unknown
        end = tokenizer.encode_blocks([rest + "".join(part.too_much(tokenizer))], unknown)
        return tokenizer, chain((pupil.tokens(block, unknown) for block in spool.blocks()), end)

    def _held_out(self, tokenizer: Tokenizer, held: str, notes: list[str]) -> dict[str, int] | None:
        """Write the held-out part; ``None`` where it is too short to predict anything."""
        measure = Measure(tokenizer.encoding, tokenizer.documents)
        blocks = list(tokenizer.encode_blocks(measure.through([held]), measure.unknown))
        if sum(map(len, blocks)) >= LEAST_TOKENS:
            return self._write("valid", tokenizer, blocks, measure, None)
        if self.fraction:
            notes.append(
                "nothing is held out: the text is too short for this fraction; --valid FILE names a "
                "held-out text"
            )
        return None

    def _held_out_file(
        self, tokenizer: Tokenizer, source: Source, notes: list[str]
    ) -> tuple[dict[str, int], dict[str, Plain]]:
        """Write the text that is held out because it was named; which file it was."""
        measure = Measure(tokenizer.encoding, tokenizer.documents)
        reader = TextReader([source], tokenizer.encoding, tokenizer.documents)
        blocks = tokenizer.encode_blocks(measure.through(reader.blocks()), measure.unknown, self.across)
        valid = self._write("valid", tokenizer, blocks, measure, repr(source.label))
        notes += reader.notes
        return valid, reader.files[0]

    def _write(
        self,
        part: str,
        tokenizer: Tokenizer,
        blocks: Iterable[Numbers],
        measure: Measure,
        must_be_long: str | None,
    ) -> dict[str, int]:
        """Write the tokens of a part; what they are. A text that must be long enough is named."""
        count = self.writer.add(part, blocks, tokenizer.vocab_size)
        if must_be_long and count < LEAST_TOKENS:
            raise TextError(
                f"{must_be_long} is too short: it has {count} token{'s' * (count != 1)} here, and at "
                f"least {LEAST_TOKENS} are needed, one to read, one to predict; give a longer text"
            )
        return {
            "characters": measure.characters,
            "bytes": measure.bytes,
            "tokens": count,
            "unknown": measure.unknown.count,
        }

    def _without_effect(self, tokenizer: Tokenizer) -> list[str]:
        """What was asked for and did nothing, or not all of it."""
        notes = []
        if self.request.vocab_size is not None and tokenizer.declared.size != "vocab_size":
            notes.append(f"--vocab-size {self.request.vocab_size} has no effect with {tokenizer.kind}")
        _, most = parse_tokens(self.request.tokens)
        if most is not None and tokenizer.vocab_size < most:
            notes.append(
                f"{self.request.tokens} found only {tokenizer.vocab_size} useful tokens: "
                f"the text is short, or has few words of at most {LONGEST_LEARNED} characters"
            )
        return notes


def _unchanged(blocks: Iterator[Numbers], first: TextReader, second: TextReader) -> Iterator[Numbers]:
    """The blocks of a second reading; an error at its end if it was not of the same text."""
    yield from blocks
    if first.files != second.files:
        raise TextError("a text changed while it was read; try again when no program writes to it")


class _Spool:
    """Blocks of provisional numbers on disk, each in the width in which it came, so that an ASCII text costs
    one byte a character. The file has no name where the system allows it, and ends with the process."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        with translated("write in", self._folder):
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".", suffix=".pantoum-tmp")  # noqa: SIM115
        self._blocks: list[tuple[np.dtype[np.generic], int]] = []
        self.close = self._file.close

    def append(self, block: Numbers) -> None:
        """Keep a block."""
        with translated("write in", self._folder):
            self._file.write(np.ascontiguousarray(block).tobytes())
        self._blocks.append((block.dtype, len(block)))

    def blocks(self) -> Iterator[Numbers]:
        """The blocks, in order."""
        with translated("write in", self._folder):
            self._file.seek(0)
        for dtype, count in self._blocks:
            yield np.frombuffer(self._file.read(count * dtype.itemsize), dtype)
