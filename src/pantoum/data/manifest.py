"""``prepared.json``: what a prepared folder was made from, and how; and whether that is still so.

    {"facts": {...}, "format": "pantoum prepared", "notes": [...], "request": {...}, "tokenizer": {...},
     "version": 1}

Canonical JSON, written last: a folder without it is not finished. ``request`` is what was asked,
``tokenizer`` the spec. The shards carry the fingerprints that follow from these, so that a shard of another
text, tokenizer or part is refused.

``facts``: ``kind``, ``vocab_size``, ``documents``, ``valid_fraction``; ``texts``, a list of {``name``,
``size``, ``mtime_ns``, ``sha256``}, and ``valid_text``, one of them or null; ``train`` and ``valid`` (or
null): {``characters``, ``bytes``, ``tokens``, ``unknown``}; ``left_out``, where files of a folder were not
UTF-8: their {``name``, ``size``, ``mtime_ns``}; ``encoding``, where a text was read in one that was named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pantoum.config.plain import Plain
from pantoum.data.sources import Sources
from pantoum.data.text_reader import file_hash
from pantoum.errors import ShardError, TextError
from pantoum.formats import bounded, durable, plain_json
from pantoum.text.tokenizer import Tokenizer

__all__ = [
    "NAME",
    "changes",
    "read",
    "require",
    "require_room",
    "spec_fingerprint",
    "text_fingerprint",
    "tokenizer_fingerprint",
    "write",
]

NAME = "prepared.json"
FORMAT, VERSION = "pantoum prepared", 1
KEYS = {"facts", "format", "notes", "request", "tokenizer", "version"}
LARGEST = 128 << 20
"""Half of it for a tokenizer, half for the names of texts."""
ENTRY = 220
"""Bytes that a text takes beside its name."""


def tokenizer_fingerprint(tokenizer: Tokenizer) -> bytes:
    """SHA-256 of the tokenizer's spec."""
    return spec_fingerprint(tokenizer.spec())


def spec_fingerprint(spec: Mapping[str, Plain]) -> bytes:
    """SHA-256 of a spec as canonical JSON."""
    return hashlib.sha256(plain_json.encode(dict(spec))).digest()


def text_fingerprint(facts: Mapping[str, Any], part: str) -> bytes:
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


def write(
    folder: Path,
    tokenizer: Tokenizer,
    facts: Mapping[str, Plain],
    request: Mapping[str, Plain],
    notes: Sequence[str],
) -> None:
    """Write the folder's ``prepared.json``."""
    content = {
        "facts": dict(facts),
        "format": FORMAT,
        "notes": list(notes),
        "request": dict(request),
        "tokenizer": tokenizer.spec(),
        "version": VERSION,
    }
    durable.write_file(folder / NAME, plain_json.encode(content) + b"\n")


def require_room(sources: Sources) -> None:
    """``TextError`` where the names of so many files would not fit, before any of them is read."""
    names = sum(ENTRY + len(plain_json.encode(source.name)) for source in sources.texts)
    if names > LARGEST // 2:
        raise TextError(
            f"the texts are {len(sources.texts):,} files, whose names and hashes would have {names:,} "
            f"bytes, at most {LARGEST // 2:,} are kept; join them into fewer files"
        )


def require(folder: Path) -> None:
    """``ShardError`` where the folder is none that was prepared."""
    if not (folder / NAME).exists():
        raise ShardError(
            f"{str(folder)!r} holds no prepared text; make it with: pantoum prepare TEXT --out {folder}"
        )


def read(folder: Path) -> dict[str, Any]:
    """The content of a folder's ``prepared.json``."""
    path = folder / NAME
    require(folder)
    data = bounded.read_small(path, LARGEST, ShardError)
    try:
        content = plain_json.decode(data)
    except ValueError as error:
        raise ShardError(f"{str(path)!r} is damaged: {error}; prepare the text again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ShardError(f"{str(path)!r} was not made by pantoum prepare; name another folder")
    if content.get("version") != VERSION:
        raise ShardError(
            f"{str(path)!r} has version {content.get('version')!r}, known here is {VERSION}; "
            "use a newer pantoum, or prepare the text again"
        )
    if set(content) != KEYS or not _is_whole(content):
        raise ShardError(f"{str(path)!r} is damaged: parts of it are missing; prepare the text again")
    return content


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
            differ.append(f"{source.label!r} is another text than {then['name']!r} was")
    return differ


def _is_whole(content: Mapping[str, Any]) -> bool:
    """Whether everything that is used later is there and of its kind."""
    facts, request = content["facts"], content["request"]
    if not all(isinstance(part, dict) for part in (facts, request, content["tokenizer"])):
        return False
    texts = facts.get("texts")
    needed = {"kind", "documents", "valid_fraction", "valid_text", "valid"}
    if not isinstance(texts, list) or not needed <= set(facts):
        return False
    texts = texts + ([] if facts["valid_text"] is None else [facts["valid_text"]])
    parts = [facts.get("train")] + ([] if facts["valid"] is None else [facts["valid"]])
    return (
        isinstance(content["notes"], list)
        and all(_has(text, name=str, size=int, mtime_ns=int, sha256=str) for text in texts)
        and all(_has(part, tokens=int, characters=int, bytes=int, unknown=int) for part in parts)
    )


def _has(value: Any, **kinds: type) -> bool:
    return isinstance(value, dict) and all(type(value.get(key)) is kind for key, kind in kinds.items())
