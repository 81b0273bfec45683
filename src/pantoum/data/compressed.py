"""What general compressors make of a text: the figures that a model's bits per byte are read beside.

xz at preset 9 and bz2 at level 9, over the first 64 MB of the texts as they lie on disk; how many bytes
that was is part of the answer. xz looks back 64 MB at this preset, in some 700 MB of memory; over a shorter
text its dictionary is made no longer than the text, which changes nothing but the memory.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["LARGEST", "CompressedSizes", "sizes_of"]

LARGEST = 64_000_000
SMALLEST_DICTIONARY = 4096


@dataclass(frozen=True)
class CompressedSizes:
    """Sizes in bytes."""

    bytes: int
    """How many bytes of text were compressed."""
    xz: int
    bz2: int


def sizes_of(blocks: Iterable[bytes], largest: int = LARGEST) -> CompressedSizes:
    """Compress the first ``largest`` bytes of some blocks by both, and keep the sizes only."""
    kept: list[bytes] = []
    room = largest
    for block in blocks:
        if room <= 0:
            break
        kept.append(block[:room])
        room -= len(kept[-1])
    size = largest - room
    dictionary = min(max(size, SMALLEST_DICTIONARY), 64 << 20)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": dictionary}]
    xz = lzma.LZMACompressor(filters=filters)
    bz = bz2.BZ2Compressor(9)
    return CompressedSizes(
        size,
        sum(len(xz.compress(block)) for block in kept) + len(xz.flush()),
        sum(len(bz.compress(block)) for block in kept) + len(bz.flush()),
    )
