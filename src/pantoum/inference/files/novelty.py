"""Whether a text is one of the documents that a model was trained on, or that were held out to measure it: a
Bloom filter kept in its file.

16 bits a document and 8 hashes: such a document is always known, another text is taken for one in 6 of
10,000 cases. The documents cannot be read from it, but who guesses one can check the guess. Texts are
compared as bytes, with every run of white space as one space and none at the ends; case counts.

In the model file: ``extras.novelty.bits`` (uint8) and ``extras.novelty.shape`` (uint32: version, hashes,
documents). The places of a text's bits are ``(a + i * b mod 2^64) mod (number of bits)`` for i from 0, where
a and b are the two little-endian numbers of its BLAKE2b digest of 16 bytes (b made odd); bit p is the ``p mod
8``-th, from the lowest, of byte ``p div 8``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import ModelFileError
from pantoum.kernels import Array
from pantoum.text.tokenizer import Tokenizer

BITS, HASHES = 16, 8
"""A document's bits in all, and those that it sets."""
MOST_DOCUMENTS = 4_000_000
"""The most documents that a filter is made for: a larger one would exceed most models."""
VERSION = 1
BITS_NAME, SHAPE_NAME = "novelty.bits", "novelty.shape"
MASK = (1 << 64) - 1


class NoveltyFilter:
    """Knows the documents it was made of, and few others."""

    def __init__(self, bits: NDArray[np.uint8], hashes: int, documents: int) -> None:
        self.bits, self.hashes, self.documents = bits, hashes, documents

    @staticmethod
    def of(texts: Iterable[bytes]) -> NoveltyFilter | None:
        """The filter of these documents; ``None`` where there are none, or too many."""
        digests = bytearray()
        count = 0
        for text in texts:
            plain = normalised(text)
            if plain:
                digests += digest(plain)
                count += 1
                if count > MOST_DOCUMENTS:
                    return None
        if not count:
            return None
        size = 8 * (-(-BITS * count // 8))
        marks = np.zeros(size, bool)
        pairs_D2 = np.frombuffer(digests, "<u8").reshape(-1, 2)
        for place in range(HASHES):
            marks[_places(pairs_D2, place, size)] = True
        return NoveltyFilter(np.packbits(marks, bitorder="little"), HASHES, count)

    @staticmethod
    def from_extras(extras: Mapping[str, Array]) -> NoveltyFilter | None:
        """The filter of a model file; ``None`` where it has none."""
        bits, shape = extras.get(BITS_NAME), extras.get(SHAPE_NAME)
        if bits is None or shape is None:
            return None
        whole = shape.shape == (3,) and shape.dtype == np.uint32 and bits.dtype == np.uint8 and bits.ndim == 1
        version, hashes, documents = map(int, shape) if whole else (0, 0, 0)
        if version != VERSION or not bits.size or not 1 <= hashes <= 64:
            raise ModelFileError(
                "the model's filter of its training documents is in a form that this "
                "pantoum does not know; use a newer pantoum, or leave out --novel"
            )
        return NoveltyFilter(bits, hashes, documents)

    def extras(self) -> dict[str, Array]:
        """What a model file keeps of it."""
        return {BITS_NAME: self.bits, SHAPE_NAME: np.array([VERSION, self.hashes, self.documents], np.uint32)}

    def knows(self, text: str) -> bool:
        """Whether it is one of the documents; wrongly so in few cases, never wrongly not."""
        found = digest(normalised(text.encode("utf-8", "replace")))
        first, step = int.from_bytes(found[:8], "little"), int.from_bytes(found[8:], "little") | 1
        size, bits = 8 * self.bits.size, self.bits.data
        places = ((first + i * step & MASK) % size for i in range(self.hashes))
        return all(bits[place >> 3] >> (place & 7) & 1 for place in places)


def normalised(text: bytes) -> bytes:
    """The text as it is compared."""
    return b" ".join(text.split())


def digest(text: bytes) -> bytes:
    """What the places of a text's bits are made from."""
    return hashlib.blake2b(text, digest_size=16).digest()


def documents_of(blocks: Iterable[Array], tokenizer: Tokenizer) -> Iterator[bytes]:
    """The documents of a text's tokens, which come in blocks, decoded; memory does not grow with the text but
    for its longest document."""
    held = np.zeros(0, np.uint32)
    for tokens in blocks:
        block = np.concatenate([held, tokens])
        borders = np.flatnonzero(block == tokenizer.eos)
        held = block[borders[-1] + 1 :] if borders.size else block
        yield from _decoded(block[: borders[-1]] if borders.size else block[:0], borders[:-1], tokenizer)
    yield tokenizer.decode_bytes(held)


def _decoded(block: Array, borders: Array, tokenizer: Tokenizer) -> Iterator[bytes]:
    if tokenizer.documents == "lines":  # a line holds no newline, so all can be decoded in one go
        yield from tokenizer.decode_bytes(block).split(b"\n")
        return
    for part in np.split(block, borders):
        yield tokenizer.decode_bytes(part[part != tokenizer.eos])


def _places(pairs_D2: Array, place: int, size: int) -> Array:
    """The ``place``-th bit of each digest; the arithmetic is that of 64-bit numbers."""
    first, step = pairs_D2[:, 0], pairs_D2[:, 1] | np.uint64(1)
    with np.errstate(over="ignore"):
        found: Array = (first + np.uint64(place) * step) % np.uint64(size)
    return found
