"""Files to archives and archives to files: where bytes come from and go to, and what a person sees
meanwhile."""

from __future__ import annotations

import contextlib
import lzma
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from pantoum.apps.archive import archive, archiving, restoring
from pantoum.apps.archive.archive import MAGIC, NO_ARCHIVE, SUFFIX, ArchiveSource
from pantoum.apps.archive.learning import memory
from pantoum.apps.archive.settings import CompressConfig, DecompressConfig
from pantoum.errors import ArchiveError, SettingError, naming
from pantoum.seams import (
    Counter,
    LoadedModel,
    bounded,
    durable,
    require_apart,
    require_place,
)
from pantoum.seams import readable_size as size

__all__ = [
    "STANDARD", "archive_name", "compress_file", "decompress_file", "describe", "plain_name", "verify",
]  # fmt: skip

STANDARD = "-"
"""The name of stdin, and of stdout."""


class Seen:
    """A source that tells how many bytes were read of it, and how many xz would make of them."""

    def __init__(self, source: ArchiveSource, compare: bool) -> None:
        self._source = source
        self._xz = lzma.LZMACompressor(preset=6) if compare else None
        self.read_bytes = self.xz_bytes = 0

    def read(self, count: int = -1) -> bytes:
        """Read on."""
        data = self._source.read(count) or b""
        self.read_bytes += len(data)
        if self._xz is not None:
            self.xz_bytes += len(self._xz.compress(data))
        return data

    def end(self) -> None:
        """Nothing more is read."""
        if self._xz is not None:
            self.xz_bytes += len(self._xz.flush())


def archive_name(name: str, out: str | None, overwrite: bool = False) -> str:
    """The file that a file (``-``: stdin) is compressed to. What cannot be written, or would be lost, is
    refused; a file that is there is replaced only with ``overwrite``."""
    if out is None and name == STANDARD:
        return STANDARD
    return _target(out, name + SUFFIX, name, "the file that is compressed", overwrite)


def plain_name(name: str, out: str | None, overwrite: bool = False) -> str:
    """The file that an archive is decompressed to, refused likewise."""
    if out is None and name == STANDARD:
        return STANDARD
    if Path(name).is_file():
        with bounded.opened(name, ArchiveError) as (file, _):
            if file.read(len(MAGIC)) != MAGIC:
                raise ArchiveError(f"cannot decompress {name!r}: {NO_ARCHIVE[0]}; {NO_ARCHIVE[1]}")
    if out is None and (not name.endswith(SUFFIX) or Path(name).name == SUFFIX):
        rule = f"must be given, because the name {name!r} does not end with {SUFFIX}"
        raise SettingError("out", None, rule, "give the name of the file", shown=False)
    return _target(out, name.removesuffix(SUFFIX), name, "the archive", overwrite)


def compress_file(
    name: str, model: LoadedModel | None, target: str, settings: CompressConfig, progress: bool
) -> dict[str, Any]:
    """Compress a file (``-``: stdin) into another one, and say what came of it."""
    begun, written = time.monotonic(), 0
    with _opened(name) as (source, total), Counter("compressing") as counter:
        seen = Seen(source, progress)

        def tell(read: int, made: int) -> None:
            rate = size(read / max(1e-9, time.monotonic() - begun))
            beside = f", xz {seen.xz_bytes / max(1, seen.read_bytes):.1%}" if seen.xz_bytes else ""
            counter(read, total, f", {rate}/s, {made / max(1, read):.1%}{beside}")

        def chunks() -> Iterator[bytes]:
            nonlocal written
            for chunk in archiving.compress(seen, model, settings, tell if progress else None):
                written += len(chunk)
                yield chunk

        _write(target, chunks())
        seen.end()
    found: dict[str, Any] = {"file": name, "out": target, "bytes": seen.read_bytes, "archive_bytes": written}
    found["bits_per_byte"] = 8 * written / seen.read_bytes if seen.read_bytes else None
    found["xz_bytes"] = seen.xz_bytes or None
    found["seconds"] = time.monotonic() - begun
    if model is not None and model.path is not None:
        found["model_bytes"] = model.path.stat().st_size
    return found


def decompress_file(
    name: str,
    model: LoadedModel | None,
    target: str | None,
    settings: DecompressConfig,
    progress: bool,
) -> dict[str, Any]:
    """Decompress an archive (``-``: stdin) into a file, or into none."""
    begun, written, lost = time.monotonic(), 0, list[str]()
    with _opened(name) as (source, total), Counter("decompressing") as counter:
        seen = Seen(source, False)

        def chunks() -> Iterator[bytes]:
            nonlocal written
            given = source if settings.is_part else seen
            for chunk in restoring.restore(cast(ArchiveSource, given), model, settings, lost):
                written += len(chunk)
                if progress:
                    rate = size(written / max(1e-9, time.monotonic() - begun))
                    counter(min(seen.read_bytes, total), total, f", {rate}/s")
                yield chunk

        if settings.is_part and not source.seekable():
            rule, advice = "can be read in part only from a file", "write the pipe to a file first"
            raise SettingError("archive", name, rule, advice)
        if target is None:
            for _ in chunks():
                pass
        else:
            _write(target, chunks())
    seconds = time.monotonic() - begun
    return {"file": name, "out": target, "bytes": written, "lost": lost, "seconds": seconds}


def describe(path: Path, start: bytes) -> tuple[dict[str, Any], list[tuple[str, str]]] | None:
    """What ``pantoum info`` says of an archive: the facts, and the rows for people; ``None`` if the file is
    none."""
    if not start.startswith(MAGIC):
        return None
    with bounded.opened(path, ArchiveError) as (file, total):
        header, index = archive.read_index(file)
    plain, records = sum(index.plain), sum(index.records)
    facts = {
        "bytes": total,
        "plain_bytes": plain,
        "frames": len(index.plain),
        "records": records if header.records is not None else None,
        "model_sha256": header.model or None,
        "memory": memory() if header.records is None else None,
    }
    share = f" ({total / plain:.1%}, {8 * total / plain:.3f} bits per byte)" if plain else ""
    rows = [
        ("size", f"{total:,} bytes for {plain:,}{share}"),
        (
            "frames",
            f"{len(index.plain):,}" + (f", {records:,} records" if header.records is not None else ""),
        ),
        ("model", f"SHA-256 {header.model}" if header.model else "none: it learns as it reads"),
    ]
    if header.records is None:
        rows.append(("memory", f"{size(memory())} to read frames without a model"))
    return facts, rows


def verify(path: Path) -> str:
    """Read the whole archive; what was done, in words."""
    with bounded.opened(path, ArchiveError) as (file, _):
        header = archive.read_header(file)
        frames = sum(1 for _ in archive.read(file, header))
    return f"the checksums of all {frames:,} frames; `pantoum decompress --test` decodes them"


def _target(out: str | None, default: str, source: str, what: str, overwrite: bool) -> str:
    if out == STANDARD:
        return STANDARD
    target = default if out is None else out
    require_place("out", target)
    require_apart("out", target, what, [None if source == STANDARD else Path(source)])
    if os.path.lexists(target) and not overwrite and (out is None or Path(target).is_file()):
        rule, advice = "exists already", "give another name, or --overwrite to replace it"
        raise SettingError("out", target, rule, advice)
    return target


@contextlib.contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file, or stdin, and its size, 0 where nothing is known of it."""
    if name == STANDARD:
        if sys.stdin is None:
            raise SettingError("file", name, "is stdin, which is closed", "give a file")
        yield sys.stdin.buffer, 0
        return
    if Path(name).is_fifo():  # as `/dev/stdin` may be
        with Path(name).open("rb") as pipe:
            yield pipe, 0
        return
    of_user: OSError | None = None
    with bounded.opened(name, ArchiveError) as (file, total):
        try:
            yield cast(BinaryIO, file), total
        except OSError as problem:  # where the bytes go; it is no error of this file
            of_user = problem
    if of_user is not None:
        raise of_user


def _write(target: str, chunks: Iterable[bytes]) -> None:
    """Write a file whole or not at all; stdout as the bytes come."""
    if target != STANDARD:
        durable.clear_left_behind(Path(target))
        durable.write_file(target, chunks)
        return
    if sys.stdout is None:
        raise SettingError("out", target, "is stdout, which is closed", "give a file")
    for chunk in chunks:
        with naming("stdout"):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
