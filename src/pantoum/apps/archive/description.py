"""What ``pantoum info`` says of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pantoum.apps.archive import archive
from pantoum.apps.archive.learning import memory
from pantoum.errors import ArchiveError
from pantoum.seams import bounded, readable_size

__all__ = ["describe", "verify"]


def describe(path: Path, start: bytes) -> tuple[dict[str, Any], list[tuple[str, str]]] | None:
    """The facts and the rows for people; ``None`` if the file is no archive."""
    if not start.startswith(archive.MAGIC):
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
        needed = readable_size(memory())
        rows.append(("memory", f"{needed} to read frames without a model"))
    return facts, rows


def verify(path: Path) -> str:
    """Read the whole archive; what was done, in words."""
    with bounded.opened(path, ArchiveError) as (file, _):
        header = archive.read_header(file)
        frames = sum(1 for _ in archive.read(file, header))
    return f"the checksums of all {frames:,} frames; `pantoum decompress --test` decodes them"
