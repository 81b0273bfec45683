"""Token shards that a finished run does not keep, because its text gives them again.

``remove_shards`` removes them where the texts are still the files that they were made from: regular files or
folders, unchanged. ``prepared.json`` stays: it says of which text they were and holds the tokenizer, so that
``restored`` can make the same shards again, and refuses every other text.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pantoum.data import manifest
from pantoum.data.prepare import Prepared, again_as, open_prepared, prepare
from pantoum.data.prepared_folder import SHARDS, locked, shard_path
from pantoum.data.sources import found
from pantoum.errors import PantoumError, TextError
from pantoum.formats import durable
from pantoum.text.tokenizer import from_spec

__all__ = ["are_removed", "remove_shards", "restored"]

Texts = Sequence[str | os.PathLike[str]]
MOST_FILES = 1000
"""Texts of more files keep their shards: to look at all of them would take too long at the end of a run."""


def are_removed(folder: Path) -> bool:
    """Whether the folder is prepared, but without its shards, or, where their removal was cut off, some."""
    if not (folder / manifest.NAME).exists():
        return False
    content = manifest.read(folder)
    parts = [part for part in SHARDS if content["facts"][part] is not None]
    return not all(shard_path(folder, content, part).exists() for part in parts)


def remove_shards(folder: Path, texts: Texts, valid: str | os.PathLike[str] | None) -> bool:
    """Remove the shards of a folder if these texts give them again; whether they are gone."""
    named = [Path(text) for text in (*texts, *([] if valid is None else [valid]))]
    if not texts or not all(path.is_file() or path.is_dir() for path in named):
        return False  # stdin and pipes can be read only once
    try:
        facts = manifest.read(folder)["facts"]
        if len(facts["texts"]) > MOST_FILES or _changes(folder, texts, valid):
            return False
        with locked(folder):
            for name in SHARDS.values():
                if (folder / name).exists():
                    durable.remove_tree(folder / name)
    except (PantoumError, OSError):
        return False  # they take room, nothing else
    return True


def restored(folder: Path, texts: Texts, valid: str | os.PathLike[str] | None) -> Prepared:
    """The prepared folder of a run; its shards are made again from the texts where they were removed."""
    if not are_removed(folder):
        return open_prepared(folder)
    content = manifest.read(folder)
    facts, request = content["facts"], content["request"]
    advice = "give the text that the run learned from as TEXT"
    names = ", ".join(repr(text["name"]) for text in facts["texts"][:3])
    if not texts:
        raise TextError(f"the tokens of {names} must be made again to go on; {advice}")
    try:
        differ = _changes(folder, texts, valid)
    except TextError as error:
        raise TextError(f"the tokens of {names} must be made again to go on: {error}; {advice}") from None
    if differ:
        raise TextError(f"the tokens of {names} cannot be made again: {'; '.join(differ)}; {advice}")
    given = from_spec(content["tokenizer"]) if request["tokenizer"] else None
    asked = again_as(request, valid)
    return prepare(texts, out=folder, tokenizer=given, run=folder.parent, **asked)


def _changes(folder: Path, texts: Texts, valid: str | os.PathLike[str] | None) -> list[str]:
    """How the texts differ from those that the folder was made from."""
    facts = manifest.read(folder)["facts"]
    with found(texts, valid, keep_in=folder, raw=bool(facts.get("raw"))) as sources:
        return manifest.changes(facts, sources)
