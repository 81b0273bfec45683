"""Bytes as tokens of a model, and back without a loss.

A tokenizer may lack characters or words, and not all bytes are UTF-8. A byte that is none becomes a lone
surrogate (Python's ``surrogateescape``); what the vocabulary lacks is ``<unk>``, and its bytes are kept
beside the tokens as a *literal*. Whatever is encoded is decoded at once and compared: where a tokenizer
cannot give some bytes back (one that splits at white space, say), that is found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pantoum.apps.archive.archive_parts import refusal
from pantoum.errors import ArchiveError
from pantoum.seams import Array, Tokenizer
from pantoum.seams import document_mark as mark
from pantoum.seams import joined_pieces as joined

__all__ = ["decoded", "encoded"]

AT_ONCE = 256
"""Tokens that are decoded at once: a word may have 64 KB, and what is too long is refused."""


def encoded(tokenizer: Tokenizer, data: bytes) -> tuple[Array, list[bytes]] | None:
    """(the tokens of some bytes, the literals of those that are unknown), no more of them than bytes;
    ``None`` where the tokenizer cannot give these bytes back."""
    text = (
        data.decode("latin-1") if tokenizer.encoding == "latin-1" else data.decode("utf-8", "surrogateescape")
    )
    for marked in {mark(text, tokenizer.documents): None, text: None}:
        try:
            tokens = joined(tokenizer.encode_blocks([marked]))
            literals = list(_unknown(tokenizer, marked, tokens))
            given = decoded(tokenizer, tokens, literals, len(data))
        except (ArchiveError, UnicodeEncodeError):
            continue
        if given == data and len(tokens) <= len(data):
            return tokens.astype(np.int32), literals
    return None


def _unknown(tokenizer: Tokenizer, text: str, tokens: Array) -> Iterator[bytes]:
    """The bytes of the unknown tokens of a text."""
    unknown = np.flatnonzero(tokens == tokenizer.unk) if tokenizer.unk is not None else ()
    if not len(unknown):
        return
    ends = np.cumsum([characters for characters, _ in tokenizer.token_lengths(text)])
    if len(ends) != len(tokens):
        raise refusal("a token is no piece of the text")
    for token in unknown:
        begin = int(ends[token - 1]) if token else 0
        yield text[begin : int(ends[token])].encode("utf-8", "surrogateescape")


def decoded(tokenizer: Tokenizer, tokens: Array, literals: Sequence[bytes], most: int) -> bytes:
    """The bytes of some tokens; ``ArchiveError`` where they are more than ``most``."""
    unk = -1 if tokenizer.unk is None else tokenizer.unk
    borders = [] if unk < 0 else np.flatnonzero(tokens == unk).tolist()
    if len(borders) != len(literals):
        raise refusal("a frame has too few literals, or too many")
    at_once = (
        len(tokens) + 1 if tokenizer.declared.spaces == "between" else AT_ONCE
    )  # spaces depend on neighbours
    found, have, begin = list[bytes](), 0, 0
    for border, literal in zip([*borders, len(tokens)], [*literals, b""], strict=True):
        for first in range(begin, border, at_once):
            found.append(tokenizer.decode_bytes(tokens[first : min(first + at_once, border)]))
            have += len(found[-1])
            if have > most:
                raise refusal(f"a frame stands for more than {most:,} bytes")
        found.append(literal)
        have += len(literal)
        begin = border + 1
    if have > most:
        raise refusal(f"a frame stands for more than {most:,} bytes")
    return b"".join(found)
