"""Texts as the numbers of a tokenizer that there is already: what evaluating needs.

The texts are read once, in blocks, and their numbers lie in a temporary file that has no name and is
mapped: a text may be larger than memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config.plain import Plain
from pantoum.data.compressed import CompressedSizes, sizes_of
from pantoum.data.reading import Measure, Progress, TextReader, content, raw_blocks
from pantoum.data.sources import Sources, found
from pantoum.data.spool import Spool
from pantoum.text.numbers import smallest_dtype
from pantoum.text.tokenizer import Tokenizer

__all__ = ["EncodedText", "compressed_sizes", "encode_texts"]


@dataclass(frozen=True)
class EncodedText:
    """A text in numbers, and what it was before."""

    tokens: NDArray[np.unsignedinteger[Any]]
    characters: int
    bytes: int
    unknown: int
    """How many words or characters the vocabulary lacks."""
    files: list[dict[str, Plain]]
    """The texts: name, size, mtime_ns, sha256."""
    compressed: CompressedSizes | None
    """What xz and bz2 make of its beginning, if that was asked for."""
    notes: list[str]


def encode_texts(
    texts: Sequence[str | os.PathLike[str]],
    tokenizer: Tokenizer,
    *,
    compress: bool = False,
    report: Progress | None = None,
) -> EncodedText:
    """Read files, folders and ``-`` as one text, as ``prepare`` does, with nothing held out."""
    raw = tokenizer.kind == "bytes"
    with (
        tempfile.TemporaryDirectory(prefix="pantoum-") as name,
        found(texts, keep_in=Path(name), raw=raw) as sources,
    ):
        reader = TextReader(sources.texts, tokenizer.encoding, tokenizer.documents, report)
        measure = Measure(tokenizer.encoding, tokenizer.documents)
        dtype = smallest_dtype(tokenizer.vocab_size)
        with Spool(Path(name)) as spool:
            for block in tokenizer.encode_blocks(measure.through(reader.blocks()), measure.unknown):
                spool.append(block.astype(dtype, copy=False))
            tokens = spool.mapped(dtype)
        sizes = sizes_of(_text_of(sources)) if compress else None
    return EncodedText(
        tokens,
        measure.characters,
        measure.bytes,
        measure.unknown.count,
        reader.files,
        sizes,
        reader.notes,
    )


def compressed_sizes(texts: Sequence[str | os.PathLike[str]]) -> CompressedSizes:
    """The sizes that xz and bz2 reach on the first 64 MB of some texts."""
    with tempfile.TemporaryDirectory(prefix="pantoum-") as name, found(texts, keep_in=Path(name)) as sources:
        return sizes_of(_text_of(sources))


def _text_of(sources: Sources) -> Iterator[bytes]:
    return chain.from_iterable(content(source, raw_blocks(source)) for source in sources.texts)
