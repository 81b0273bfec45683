"""How a prepared folder changes: in one instant, by one command at a time, never under a run that needs it.

``prepare`` holds the lock of the folder (``locked``) from its first check to its last rename, so that several
commands wait for one another; whoever opens the folder shares the lock. The new content is made in a
temporary folder inside and then published:

    next-train.tokens, next-valid.tokens    renamed into the folder
    prepared.json                           renamed over the old one: the instant
    train.tokens, valid.tokens              the next ones renamed over the old ones

Wherever that is killed, ``prepared.json`` says which text the folder is of, and the shards carry
fingerprints: ``shard_path`` finds the ones that fit, and the next ``prepare`` puts them in order
(``settle``).

``.runs`` names the runs that began from the folder, a JSON string per line. While one of them exists, the
folder is not made again from another text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pantoum.config.plain import Plain
from pantoum.data import manifest
from pantoum.errors import FormatError, RunError, ShardError, StorageError
from pantoum.formats import bounded, durable, plain_json, token_shard
from pantoum.formats.refusal import translated

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "NEXT",
    "SHARDS",
    "locked",
    "publish",
    "register",
    "require_unused",
    "settle",
    "shard_path",
    "tidy",
]

SHARDS = {"train": "train.tokens", "valid": "valid.tokens"}
NEXT = "next-"
"""Begins the names of shards that are not published yet."""
USERS = ".runs"
MOST_BYTES = 1 << 20


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold the folder's lock, and wait for it; whether there was something to wait for.

    The lock is one on the folder itself and ends with the process. Where there are no locks (Windows, some
    network disks) nothing is waited for.
    """
    if fcntl is None:
        yield False
        return
    with translated("open", folder):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        kind, waited = fcntl.LOCK_SH if shared else fcntl.LOCK_EX, False
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(descriptor, kind)
        except OSError:
            pass
        yield waited
    finally:
        os.close(descriptor)


def publish(building: Path, folder: Path) -> None:
    """Put what was made in ``building`` in the place of what the folder holds."""
    for name in SHARDS.values():
        if (building / name).exists():
            durable.rename(building / name, folder / (NEXT + name))
    durable.fsync_folder(folder)
    durable.publish(building / manifest.NAME, folder / manifest.NAME)
    settle(folder)
    durable.remove_tree(building)


def tidy(folder: Path) -> None:
    """Complete or clear away what a killed command left in a prepared folder, if that is there."""
    if folder.is_dir():
        with locked(folder):
            durable.clean_temporary(folder)
            settle(folder)


def settle(folder: Path) -> None:
    """Give the shards that belong to the folder's text their own names, and remove others. For the holder of
    the lock only."""
    try:
        content = manifest.read(folder) if (folder / manifest.NAME).exists() else None
    except FormatError:
        content = None
    for part, name in SHARDS.items():
        waiting = folder / (NEXT + name)
        if waiting.exists():
            if content is not None and _fits(waiting, content, part):
                durable.publish(waiting, folder / name)
            else:
                durable.remove_tree(waiting)
        if content is not None and content["facts"][part] is None and (folder / name).exists():
            durable.remove_tree(folder / name)


def shard_path(folder: Path, content: dict[str, Plain], part: str) -> Path:
    """Where the shard of a part is: under its name, or, after a crash, under that of the next one."""
    own, waiting = folder / SHARDS[part], folder / (NEXT + SHARDS[part])
    return waiting if waiting.exists() and _fits(waiting, content, part) else own


def register(folder: Path, run: Path) -> None:
    """Note that a run begins from the folder. One that cannot be written to cannot be made again either."""
    own = run.resolve()
    if own in _users(folder):
        return
    inside = own == folder.resolve().parent
    with suppress(StorageError):
        durable.append_line(folder / USERS, plain_json.encode(os.pardir if inside else str(own)))


def require_unused(folder: Path, but: Path | None) -> None:
    """Raise ``RunError`` where a run, other than ``but``, began from the folder."""
    own = None if but is None else but.resolve()
    for run in _users(folder):
        if run != own and (run / "config.json").exists():
            raise RunError(
                f"the prepared folder {str(folder)!r} is in use by the run {str(run)!r}, which could not go "
                "on if it were made again from another text; give another folder, or remove that run"
            )


def _users(folder: Path) -> list[Path]:
    """The runs that are named in the folder."""
    if not (folder / USERS).exists():
        return []
    found = []
    with suppress(FormatError):
        for line in bounded.read_small(folder / USERS, MOST_BYTES, ShardError).splitlines():
            with suppress(ValueError):
                name = plain_json.decode(line)
                if isinstance(name, str):
                    found.append((folder / name).resolve())
    return found


def _fits(path: Path, content: dict[str, Any], part: str) -> bool:
    """Whether a shard is that of the folder's text and tokenizer."""
    if content["facts"][part] is None:
        return False
    try:
        fingerprint = manifest.spec_fingerprint(content["tokenizer"])
        token_shard.open(path, fingerprint, manifest.text_fingerprint(content["facts"], part))
    except FormatError:
        return False
    return True
