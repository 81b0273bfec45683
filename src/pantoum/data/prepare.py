"""From text files to token shards: one pass over the text, whatever its size, in bounded memory.

This file is the way in: it checks what is asked, finds the texts, has them tokenised (``tokenizing``) and
opens the folder that results: ``train.tokens``, ``valid.tokens`` and ``prepared.json`` (``prepared_folder``).

The same texts and settings give the same bytes. A folder that holds just that already is used as it is; one
made from other texts is made again, or refused where that is asked.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pantoum.config import AUTO, TextSettings, whole
from pantoum.config.tokens import check_tokens
from pantoum.data import manifest
from pantoum.data.destination import Destination
from pantoum.data.manifest import tokenizer_fingerprint
from pantoum.data.prepared_folder import (
    NEXT,
    SHARDS,
    locked,
    publish,
    register,
    require_unused,
    settle,
    shard_path,
)
from pantoum.data.sources import Sources, found
from pantoum.data.text_reader import Progress, in_encoding
from pantoum.data.tokenizing import Tokenizing, tokenize
from pantoum.errors import FormatError, SettingError, ShardError
from pantoum.formats import durable, token_shard
from pantoum.formats.token_shard import Shard
from pantoum.text.tokenizer import Tokenizer, from_spec

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.config.keywords import Preparing

__all__ = ["Prepared", "again_as", "differences", "open_prepared", "prepare", "tokenizer_fingerprint"]

SPACE = 3
"""Bytes of disk that a byte of text may take: numbers of two bytes, and their provisional form."""


@dataclass(frozen=True)
class Prepared:
    """A text as tokens: a prepared folder that is open, or what is held without one."""

    folder: Path | None
    """``None``: its tokens are held without one."""
    tokenizer: Tokenizer
    train: Shard
    valid: Shard | None
    """``None``: nothing is held out."""
    facts: dict[str, Any]
    """What it was made from; see ``data.manifest``."""
    notes: list[str]
    """What a person should know about it."""


def prepare(
    texts: Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str] | None,
    tokenizer: Tokenizer | None = None,
    report: Progress | None = None,
    run: Path | None = None,
    processes: int | None = None,
    **settings: Unpack[Preparing],
) -> Prepared:
    """Tokenise ``texts`` (files, folders, ``-``) into the folder ``out``; ``None``: into memory.

    The settings are those of ``TextSettings``. ``tokenizer``: use this one and learn none; ``tokens`` and
    ``vocab_size`` are then its own. ``report`` is called with the bytes read and the bytes there are.
    ``run``: the run that begins from it. ``processes``: how many split the text into words (``None``: as many
    as are worth it); the result is the same. Another command that works on the folder is waited for.
    ``RunError``: it is of another text, and a run began from that.
    """
    asked = TextSettings(**dict[str, Any](settings))
    request, valid = _checked(asked, tokenizer), asked.valid
    if out is None:
        return _held(texts, valid, request, report, processes)
    folder = Path(out)
    durable.make_folder(folder)
    with locked(folder) as waited:
        durable.clean_temporary(folder)
        settle(folder)
        _require_own(folder)
        with found(texts, valid, keep_in=folder, raw=request.raw) as sources:
            prepared = _as_it_is(folder, request, sources)
            if prepared is None:
                _make(sources, request, folder, report, run, processes)
                prepared, _ = _opened(folder)
        if waited:
            prepared.notes.append(f"waited for another command that prepared {str(folder)!r}")
        if run is not None:
            register(folder, run)
    if (processes or 1) > 1 and not request.splits:
        prepared.notes.append(
            f"processes {processes} has no effect: only words and byte-pair encoding are worth several"
        )
    return prepared


def open_prepared(
    folder: str | os.PathLike[str],
    texts: Sequence[str | os.PathLike[str]] | None = None,
    *,
    valid: str | os.PathLike[str] | None = None,
    run: Path | None = None,
) -> Prepared:
    """Open a folder that ``prepare`` made; ``run``: the run that begins from it.

    With ``texts`` it must be theirs: where one differs it is made again from them, as it was asked for then.
    """
    folder = Path(folder)
    manifest.require(folder)
    with locked(folder, shared=True):
        prepared, request = _opened(folder)
    differ = [] if texts is None else differences(prepared, texts, valid=valid)
    if not differ:
        if run is not None:
            register(folder, run)
        return prepared
    given = prepared.tokenizer if request["tokenizer"] else None
    asked = again_as(request, valid)
    again = prepare(texts or (), out=folder, tokenizer=given, run=run, **asked)
    again.notes.append(f"prepared again: {'; '.join(differ)}")
    return again


def again_as(request: Mapping[str, Any], valid: str | os.PathLike[str] | None) -> dict[str, Any]:
    """The settings with which a folder of this request is made again; a tokenizer that was given then is
    given again."""
    return {
        "tokens": AUTO if request["tokenizer"] else request["tokens"],
        "vocab_size": request["vocab_size"] or AUTO,
        "documents": request["documents"],
        "encoding": request.get("encoding"),
        "valid": valid,
        "valid_fraction": request["valid_fraction"],
    }


def differences(
    prepared: Prepared,
    texts: Sequence[str | os.PathLike[str]],
    *,
    valid: str | os.PathLike[str] | None = None,
) -> list[str]:
    """How ``texts`` differ from those that ``prepared`` was made from: empty if they do not. Nothing is
    changed; what has another size or time is hashed."""
    raw = bool(prepared.facts.get("raw"))
    with found(texts, valid, raw=raw) as sources:
        return manifest.changes(prepared.facts, sources)


def _held(
    texts: Sequence[str | os.PathLike[str]],
    valid: str | os.PathLike[str] | None,
    request: Tokenizing,
    report: Progress | None,
    processes: int | None,
) -> Prepared:
    """A text whose tokens are used once. The folder is for pipes alone, which are read more than once."""
    with (
        tempfile.TemporaryDirectory(prefix="pantoum-") as name,
        found(texts, valid, keep_in=Path(name), raw=request.raw) as sources,
    ):
        memory = Destination(None)
        read = in_encoding(sources, request.encoding)
        tokenizer, facts, notes = tokenize(read, request, memory, report, processes)
    return Prepared(None, tokenizer, memory.held["train"], memory.held.get("valid"), facts, notes)


def _make(
    sources: Sources,
    request: Tokenizing,
    folder: Path,
    report: Progress | None,
    run: Path | None,
    processes: int | None,
) -> None:
    """Make the folder's content beside what is there, and put it in its place."""
    manifest.require_room(sources)
    if not _same_again(folder, request, sources):
        require_unused(folder, run)
    size = sources.size + (0 if sources.valid is None else sources.valid.size)
    durable.require_space(folder, SPACE * size)
    building = durable.temporary_beside(folder / "prepared")
    with durable.remove_on_failure(building):
        durable.new_folder(building)
        read = in_encoding(sources, request.encoding)
        tokenize(read, request, Destination(building), report, processes)
        publish(building, folder)


def _require_own(folder: Path) -> None:
    """Refuse a folder that holds files of somebody else: they would be overwritten."""
    with os.scandir(folder) as entries:
        others = sorted(entry.name for entry in entries if not entry.name.startswith((".", NEXT)))
    if others and not (folder / manifest.NAME).exists():
        raise ShardError(
            f"{str(folder)!r} exists already and holds no prepared text, but {others[0]!r}; give another name"
        )


def _same_again(folder: Path, request: Tokenizing, sources: Sources) -> bool:
    """Whether the folder was made from just this, so that making it again mends it."""
    try:
        content = manifest.read(folder)
    except FormatError:
        return True  # nobody can begin from it, or go on
    return bool(content["request"] == request.spec()) and not manifest.changes(content["facts"], sources)


def _checked(asked: TextSettings, tokenizer: Tokenizer | None) -> Tokenizing:
    """The settings, or a ``SettingError`` that names the one that cannot be."""
    documents, vocab_size, fraction = asked.documents, asked.vocab_size, float(asked.valid_fraction)
    if tokenizer is not None:
        own = tokenizer.documents or "one continuous text"
        if documents not in (None, tokenizer.documents):
            rule = f"is not that of the tokenizer, which is for {own}"
            raise SettingError("documents", documents, rule, "leave it out, or learn a tokenizer of your own")
        if vocab_size not in (AUTO, tokenizer.vocab_size):
            rule = f"must be {tokenizer.vocab_size}, as the tokenizer has it"
            raise SettingError("vocab_size", vocab_size, rule, "leave it out")
        return Tokenizing(tokenizer.kind, None, tokenizer.documents, fraction, tokenizer, asked.encoding)
    if asked.tokens != AUTO:
        check_tokens(asked.tokens, documents)
    size: int | None = None
    if vocab_size != AUTO:
        whole(vocab_size, "vocab_size", least=3)
        size = int(vocab_size)
    return Tokenizing(asked.tokens, size, documents, fraction, None, asked.encoding)


def _as_it_is(folder: Path, request: Tokenizing, sources: Sources) -> Prepared | None:
    """What the folder holds, if that is what is asked for."""
    if not (folder / manifest.NAME).exists():
        return None
    try:
        prepared, made_for = _opened(folder)
    except FormatError:
        return None  # damaged, or of another version: it is made again
    fits = made_for == request.spec() and not manifest.changes(prepared.facts, sources)
    return prepared if fits else None


def _opened(folder: Path) -> tuple[Prepared, dict[str, Any]]:
    """A prepared folder and the request it was made for."""
    content = manifest.read(folder)
    facts, tokenizer = content["facts"], from_spec(content["tokenizer"])
    if not any(shard_path(folder, content, part).exists() for part in SHARDS):
        raise ShardError(
            f"{str(folder)!r} holds no tokens: a finished run keeps none unless --keep-data is given; make "
            f"them with: pantoum prepare TEXT --out DIR"
        )
    train = _shard(folder, tokenizer, content, "train")
    valid = None if facts["valid"] is None else _shard(folder, tokenizer, content, "valid")
    return Prepared(folder, tokenizer, train, valid, facts, list(content["notes"])), content["request"]


def _shard(folder: Path, tokenizer: Tokenizer, content: dict[str, Any], part: str) -> Shard:
    facts, path = content["facts"], shard_path(folder, content, part)
    shard = token_shard.open(path, tokenizer_fingerprint(tokenizer), manifest.text_fingerprint(facts, part))
    if shard.count != facts[part]["tokens"] or shard.vocab_size != tokenizer.vocab_size:
        raise ShardError(f"{str(path)!r} does not belong to its {manifest.NAME}; prepare the text again")
    return shard
