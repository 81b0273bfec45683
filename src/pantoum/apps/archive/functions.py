"""What this app adds to ``pantoum`` and to its models: bytes to archives and back."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from pantoum.apps.archive import archiving, restoring
from pantoum.apps.archive.settings import CompressConfig, DecompressConfig
from pantoum.seams import LoadedModel, check_truth, public_call, say, several, taking

__all__ = ["compress", "compress_by", "compress_many_by", "decompress", "decompress_by", "decompress_many_by"]


@public_call
def compress(data: bytes, *, no_verify: bool = False) -> bytes:
    """An archive of ``data``, made without a model. ``Model.compress`` makes smaller archives of text
    that is like the one the model was trained on."""
    return compress_by(None, data, no_verify=no_verify)


@taking(DecompressConfig)
def decompress(archive: bytes, **settings: Any) -> bytes:
    """The bytes of an archive that was made without a model, or a part of them."""
    return decompress_by(None, archive, **settings)


@taking(CompressConfig)
def compress_by(model: LoadedModel | None, data: bytes, **settings: Any) -> bytes:
    """An archive of ``data``."""
    asked = CompressConfig.of(settings)
    source = io.BytesIO(archiving.given_bytes(data, "data"))
    return b"".join(archiving.compress(source, model, asked))


@taking(DecompressConfig)
def decompress_by(model: LoadedModel | None, archive: bytes, **settings: Any) -> bytes:
    """The bytes of an archive, or a part of them."""
    asked, lost = DecompressConfig.of(settings), list[str]()
    source = io.BytesIO(archiving.given_bytes(archive, "archive"))
    found = b"".join(restoring.restore(source, model, asked, lost))
    say(lost)
    return found


def compress_many_by(model: LoadedModel, records: Iterable[bytes], no_verify: bool) -> bytes:
    """An archive of records that are each read without the others."""
    verify, each = not check_truth(no_verify, "no_verify"), several(records, "records", "bytes")
    return b"".join(archiving.compress_records(each, model, verify=verify))


def decompress_many_by(model: LoadedModel, archive: bytes, numbers: Sequence[int] | None) -> list[bytes]:
    """The records of these numbers, or all of them."""
    source = io.BytesIO(archiving.given_bytes(archive, "archive"))
    each = None if numbers is None else several(numbers, "numbers", "numbers of records")
    return restoring.records(source, model, each)
