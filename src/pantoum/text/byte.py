"""Bytes as tokens: byte b is number b + 1, and 0 is ``<eos>``: 257 numbers, nothing to learn, never unknown.

Inside streams a byte is the character of the same number (Latin-1), so that borders can be marked in it
as in any text. Where documents are lines, byte 10 is ``<eos>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pantoum.config.plain import Plain
from pantoum.text.across import Across, here
from pantoum.text.decoder import Utf8Decoder
from pantoum.text.documents import eos_text, mark, sign_of
from pantoum.text.numbers import EOS, Ids, Numbers, Tokens, UnknownCount, joined, whole_numbers
from pantoum.text.spec import require_documents, require_keys
from pantoum.text.unicode import as_bytes

__all__ = ["ByteTokenizer", "from_spec"]


class ByteTokenizer:
    """Every byte a token."""

    kind = "bytes"
    vocab_size = 257
    eos = EOS
    unk = None
    encoding = "latin-1"

    def __init__(self, documents: str | None = None) -> None:
        self.documents = documents
        self.eos_text = eos_text(documents)
        self._sign = sign_of(documents)
        self._pieces = [self.eos_text.encode("ascii"), *(bytes([b]) for b in range(256))]

    def encode(self, text: str | bytes) -> Tokens:
        """One number a byte; ``<eos>`` where documents meet."""
        return joined(self.encode_blocks([mark(as_bytes(text).decode("latin-1"), self.documents)]))

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = here
    ) -> Iterator[Numbers]:
        """The numbers of each block of Latin-1 text, in this process: to send a block takes longer. No byte
        is unknown."""
        for block in blocks:
            first, *others = block.split(self._sign)
            yield _numbers(first)
            for other in others:
                yield np.zeros(1, np.uint16)
                yield _numbers(other)

    def token_lengths(self, text: str) -> list[tuple[int, int]]:
        """Each byte is encoded apart."""
        return [(1, 1)] * len(text)

    def decode(self, ids: Ids) -> str:
        """The bytes as UTF-8; what is none reads U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids: Ids) -> bytes:
        """The bytes."""
        return b"".join(map(self._pieces.__getitem__, whole_numbers(ids, self.vocab_size)))

    def decoder(self, pending: bytes = b"") -> Utf8Decoder:
        """Holds back a character's first bytes until the last."""
        return Utf8Decoder(self._pieces, pending)

    def spec(self) -> dict[str, Plain]:
        """All there is: what a document is."""
        return {"kind": self.kind, "documents": self.documents}


def _numbers(text: str) -> Numbers:
    numbers = np.frombuffer(text.encode("latin-1"), np.uint8).astype(np.uint16)
    numbers += 1
    return numbers


def from_spec(spec: Mapping[str, Plain]) -> ByteTokenizer:
    """The inverse of ``ByteTokenizer.spec``."""
    require_keys(spec, "kind", "documents")
    return ByteTokenizer(require_documents(spec))
