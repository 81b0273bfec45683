"""Bytes as tokens: byte b is number b + 1, and 0 is ``<eos>``: 257 numbers, nothing to learn, never unknown.

Inside streams a byte is the character of the same number (Latin-1), so that borders can be marked in it
as in any text. Where documents are lines, byte 10 is ``<eos>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from pantoum.config.plain import Plain
from pantoum.text.decoder import Utf8Decoder
from pantoum.text.documents import mark, sign_of
from pantoum.text.numbers import Ids, Numbers, Tokens, UnknownCount, joined, whole_numbers
from pantoum.text.tokenizer import Across, Tokenizer, require_documents, require_keys
from pantoum.text.unicode import as_bytes

BYTES = [bytes([b]) for b in range(256)]


class OfBytes(Tokenizer):
    """Every token some bytes."""

    def __init__(self, kind: str, documents: str | None, pieces: Sequence[bytes]) -> None:
        super().__init__(kind, documents, pieces)
        self._pieces[0] = self.eos_text.encode("ascii")

    def decode(self, ids: Ids) -> str:
        """The bytes as UTF-8; what is none reads U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids: Ids) -> bytes:
        """The bytes of all tokens."""
        return b"".join(map(self._pieces.__getitem__, whole_numbers(ids, self.vocab_size)))

    def decoder(self, pending: bytes = b"") -> Utf8Decoder:
        """Holds back a character's first bytes until the last."""
        return Utf8Decoder(self._pieces, pending)


class ByteTokenizer(OfBytes):
    """Every byte a token."""

    encoding = "latin-1"

    def __init__(self, documents: str | None = None) -> None:
        super().__init__("bytes", documents, BYTES)
        self._sign = sign_of(documents)

    def encode(self, text: str | bytes) -> Tokens:
        """One number a byte; ``<eos>`` where documents meet."""
        return joined(self.encode_blocks([mark(as_bytes(text).decode("latin-1"), self.documents)]))

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = map
    ) -> Iterator[Numbers]:
        """The numbers of each block of Latin-1 text, in this process: to send a block takes longer. No byte
        is unknown."""
        for block in blocks:
            first, *others = block.split(self._sign)
            yield _numbers(first)
            for other in others:
                yield np.zeros(1, np.uint16)
                yield _numbers(other)


def _numbers(text: str) -> Numbers:
    numbers = np.frombuffer(text.encode("latin-1"), np.uint8).astype(np.uint16)
    numbers += 1
    return numbers


def declared_size(spec: Mapping[str, Plain]) -> int:
    """One number for each byte, and ``<eos>``."""
    return 1 + len(BYTES)


def from_spec(spec: Mapping[str, Plain]) -> ByteTokenizer:
    """The inverse of ``ByteTokenizer.spec``."""
    require_keys(spec, "kind", "documents")
    return ByteTokenizer(require_documents(spec))
