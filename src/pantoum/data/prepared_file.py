"""``prepared.safetensors``: the tokens of a text, what it was made from, and whether that is still so.

A prepared text is one container (``formats.container``), so it changes in one instant. Its arrays are
``train`` and, where something is held out, ``valid``; and ``about``, JSON:
``{"facts": {...}, "notes": [...], "request": {...}, "tokenizer": {...}}``. ``request`` is what was asked,
``tokenizer`` the specification. A run that has finished keeps ``about`` alone, if its text gives the same
tokens again.

``facts``: ``kind``, ``vocab_size``, ``documents``, ``valid_fraction``; ``texts``, a list of {``name``,
``size``, ``mtime_ns``, ``sha256``}, and ``valid_text``, one of them or null; ``train`` and ``valid`` (or
null): {``characters``, ``bytes``, ``tokens``, ``unknown``}; ``left_out``, where files of a folder were not
UTF-8: their {``name``, ``size``, ``mtime_ns``}; ``encoding``, where a text was read in one that was named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.config.plain import Plain
from pantoum.data.sources import Sources
from pantoum.data.text_reader import file_hash
from pantoum.errors import ShardError, TextError
from pantoum.formats import container, durable, plain_json, token_file
from pantoum.formats.container import OpenFile
from pantoum.formats.token_file import NAME, PREPARED, StoredTokens
from pantoum.text.numbers import Numbers, smallest_dtype
from pantoum.text.tokenizer import Tokenizer, from_spec

PARTS = "train", "valid"
ABOUT = "about"
LARGEST = 64 << 20
"""Bytes of the names and hashes of the texts."""
ENTRY = 220
"""Bytes that a text takes beside its name."""


@dataclass(frozen=True)
class Prepared:
    """A text as tokens: a prepared folder that is open, or what is held without one."""

    folder: Path | None
    """``None``: its tokens are held without one."""
    tokenizer: Tokenizer
    train: StoredTokens
    valid: StoredTokens | None
    """``None``: nothing is held out."""
    facts: dict[str, Any]
    """What it was made from."""
    notes: list[str]
    """What a person should know about it."""


class TokenWriter:
    """Where the tokens of a text go: into a file that is being written, or, where they are used once, into
    memory."""

    def __init__(self, file: durable.NewFile | None = None) -> None:
        self._file = file
        self.begin()

    def begin(self) -> None:
        """Begin anew."""
        self.held: dict[str, StoredTokens] = {}
        """The tokens of the parts, where no file holds them."""
        if self._file is not None:
            self._file.begin_anew()
            self._writer = container.Writer(self._file, PREPARED)

    def add(self, part: str, blocks: Iterable[Numbers], vocab_size: int) -> int:
        """Take the tokens of a part; how many there were."""
        checked = _below(blocks, vocab_size)
        if self._file is not None:
            return self._writer.add(part, checked, smallest_dtype(vocab_size))
        self.held[part] = token_file.held(checked, vocab_size)
        return len(self.held[part])

    def finish(
        self,
        tokenizer: Tokenizer,
        facts: Mapping[str, Plain],
        request: Mapping[str, Plain],
        notes: list[str],
    ) -> None:
        """Say what the tokens are of."""
        if self._file is not None:
            content = {"facts": facts, "notes": notes, "request": request, "tokenizer": tokenizer.spec()}
            self._writer.add(ABOUT, [_packed(content)], np.dtype(np.uint8))
            self._writer.finish(_metadata(content))


def opened(folder: Path, *, verified: bool = False) -> tuple[Prepared, dict[str, Any]]:
    """A prepared folder and the request it was made for. ``verified``: it was written a moment ago."""
    file, content = _open(folder, verified=verified)
    facts, tokenizer = content["facts"], from_spec(content["tokenizer"])
    if "train" not in file:
        raise ShardError(
            f"{str(folder)!r} has no tokens: a finished run keeps none unless --keep-data is given; make "
            "them with: pantoum prepare TEXT --out DIR"
        )
    train = token_file.of_file(file, "train")
    valid = token_file.of_file(file, "valid") if "valid" in file else None
    return Prepared(folder, tokenizer, train, valid, facts, list(content["notes"])), content["request"]


def about(folder: Path) -> tuple[dict[str, Any], bool]:
    """What a prepared folder was made from, and whether it holds the tokens."""
    file, content = _open(folder)
    return content, "train" in file


def remove_tokens(folder: Path) -> None:
    """Keep of a prepared folder only what it was made from."""
    content, _ = about(folder)
    container.write(folder / NAME, PREPARED, _metadata(content), {ABOUT: _packed(content)})


def require_room(sources: Sources) -> None:
    """``TextError`` where the names of so many files would not fit, before any of them is read."""
    names = sum(ENTRY + len(plain_json.encode(source.name)) for source in sources.texts)
    if names > LARGEST:
        raise TextError(
            f"the texts are {len(sources.texts):,} files, whose names and hashes would have {names:,} "
            f"bytes, more than the {LARGEST:,} allowed; join them into fewer files"
        )


def changes(facts: Mapping[str, Any], sources: Sources) -> list[str]:
    """How the sources differ from those that the facts are of; empty if they do not.

    A file of the same name, size and time is taken to be the same; of any other the hash decides, so that a
    copied or touched file is accepted. stdin, a pipe and a file at an address have no time.
    """
    odd = [(each["name"], each["size"]) for each in facts.get("left_out", ())]
    before = facts["texts"]
    now = [source for source in sources.texts if (source.name, source.size) not in odd]
    if len(before) != len(now):
        return [f"there were {len(before)} text files and now there are {len(now)}"]
    pairs = list(zip(before, now, strict=True))
    differ: list[str] = []
    if (facts["valid_text"] is None) != (sources.valid is None):
        differ.append("it had no held-out file" if sources.valid else "it had a held-out file")
    elif sources.valid is not None:
        pairs.append((facts["valid_text"], sources.valid))
    for then, source in pairs:
        same = (source.name, source.size, source.mtime_ns) == (then["name"], then["size"], then["mtime_ns"])
        known = same and source.mtime_ns != 0
        if not known and (source.size != then["size"] or file_hash(source) != then["sha256"]):
            differ.append(f"{source.label!r} is not the text {then['name']!r} that was used before")
    return differ


def tokenizer_fingerprint(tokenizer: Tokenizer) -> bytes:
    """SHA-256 of the specification of a tokenizer."""
    return spec_fingerprint(tokenizer.spec())


def spec_fingerprint(spec: Mapping[str, Plain]) -> bytes:
    """SHA-256 of a specification as canonical JSON."""
    return hashlib.sha256(plain_json.encode(dict(spec))).digest()


def _text_fingerprint(facts: Mapping[str, Any], part: str) -> bytes:
    """SHA-256 over what decides which text the part (``train`` or ``valid``) is: hashes of files and the
    split. Their names and times do not count."""
    apart = part == "valid" and facts["valid_text"] is not None
    texts = [facts["valid_text"]] if apart else facts["texts"]
    decides = {
        "part": part,
        "texts": [text["sha256"] for text in texts],
        "split": [facts["kind"], facts["documents"], facts["valid_fraction"]],
    }
    if "encoding" in facts:
        decides["encoding"] = facts["encoding"]
    return hashlib.sha256(plain_json.encode(decides)).digest()


def _metadata(content: Mapping[str, Any]) -> dict[str, Plain]:
    facts = content["facts"]
    parts: dict[str, Plain] = {part: _text_fingerprint(facts, part).hex() for part in PARTS if facts[part]}
    tokenizer = spec_fingerprint(content["tokenizer"]).hex()
    return {**parts, "tokenizer": tokenizer, "vocab_size": facts["vocab_size"]}


def _packed(content: Mapping[str, Any]) -> Numbers:
    return np.frombuffer(plain_json.encode(dict(content)), np.uint8)


def _open(folder: Path, *, verified: bool = False) -> tuple[OpenFile, dict[str, Any]]:
    """The file of a folder and what it says of itself."""
    path = folder / NAME
    if not path.exists():
        raise ShardError(
            f"{str(folder)!r} holds no prepared text; make it with: pantoum prepare TEXT --out {folder}"
        )
    file = OpenFile(path, PREPARED, verified=verified)
    with PREPARED.told(path):
        content = plain_json.decode(file.read(ABOUT).tobytes()) if ABOUT in file else None
        if not isinstance(content, dict):
            raise ValueError("it does not say which text it was made from")
    return file, content


def _below(blocks: Iterable[Numbers], vocab_size: int) -> Iterator[Numbers]:
    """The blocks. A look at each is cheap beside a wrong number that a narrower type would fold into a right
    one."""
    for block in blocks:
        if len(block) and int(np.max(block)) >= vocab_size:
            raise AssertionError(f"token {int(np.max(block))} of a vocabulary of {vocab_size}")
        yield block
