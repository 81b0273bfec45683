"""Where a scorer of a growing text stands, in a file: a restart goes on as if there had been none, also
between two tokens.

A safetensors file, written whole or not at all: the arrays, and as array ``body`` everything else as JSON.
Its metadata is the SHA-256 over the whole file with its own 64 digits taken as ``0``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pantoum.errors import StateError
from pantoum.seams import Array, Plain, Scorer, bounded, durable, plain_json, tensor_layout

__all__ = ["read", "unusable", "verified", "write"]

NO_DIGITS = "0" * 64
KIND = " pantoum score state 1"
DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}
BODY = "body"
MOST_BYTES = 1 << 34
USE_ANOTHER = "name another file by --state-file, or remove this one to begin anew"


def write(scorer: Scorer, path: Path, of: Mapping[str, Plain], place: Mapping[str, Plain]) -> bool:
    """Write it; ``of``: what it is a state of; ``place``: how far the text was read. Whether it could be: not
    within a character."""
    kept = scorer.kept()
    if kept is None:
        return False
    arrays, plain = kept
    body = {"of": _listed(of), "place": place, "scorer": plain}
    named = {**arrays, BODY: np.frombuffer(plain_json.encode(body), np.uint8)}
    typed = {name: (DTYPES[array.dtype.name], array) for name, array in named.items()}
    header, order = tensor_layout.header_bytes(typed, NO_DIGITS + KIND)
    data = b"".join(bytes(chunk) for chunk in tensor_layout.data_chunks(typed, order))
    digest = hashlib.sha256(header + data).hexdigest()
    durable.write_file(path, header.replace(NO_DIGITS.encode(), digest.encode(), 1) + data)
    return True


def read(scorer: Scorer, path: Path, of: Mapping[str, Plain]) -> tuple[Mapping[str, Plain], int]:
    """Let a new scorer go on from the file: (how far the text was read, the lines of it that are unanswered).
    ``StateError`` where the file is damaged, or of another model or other settings."""
    arrays, body = verified(path)
    kept, place, was = body.get("scorer"), body.get("place"), body.get("of")
    if not (isinstance(kept, dict) and isinstance(place, dict) and isinstance(was, dict)):
        raise unusable(path, "it is not a state of score")
    other = [name for name, value in _listed(of).items() if was.get(name) != value]
    if other:
        raise unusable(path, f"it was made with another {other[0]}")
    try:
        scorer.resume(arrays, kept)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as problem:
        raise unusable(path, problem) from None
    return place, scorer.waiting_text.count("\n")


def verified(path: Path) -> tuple[dict[str, Array], dict[str, Plain]]:
    """The arrays and the rest of a state, verified."""
    data = bounded.read_small(path, MOST_BYTES, StateError)
    try:
        length = tensor_layout.header_length(data[:8], len(data))
        content = np.frombuffer(data, np.uint8)[8 + length :]
        words, tensors = tensor_layout.parse(data[8 : 8 + length], content.size)
        if words[64:] != KIND:
            raise ValueError("it is not a state of score")
        whole = data.replace(words[:64].encode(), NO_DIGITS.encode(), 1)
        if hashlib.sha256(whole).hexdigest() != words[:64]:
            raise ValueError("its SHA-256 does not match: it is truncated, damaged or was changed")
        arrays = {t.name: tensor_layout.view(content, t) for t in tensors if t.dtype in DTYPES.values()}
        body = plain_json.decode(arrays.pop(BODY).tobytes())
        if not isinstance(body, dict):
            raise ValueError("it has no body")
    except (ValueError, KeyError) as problem:
        raise unusable(path, problem) from None
    return arrays, body


def unusable(path: Path, problem: Exception | str) -> StateError:
    """The error for a state that cannot be used."""
    return StateError(f"cannot use the state {str(path)!r}: {problem}; {USE_ANOTHER}")


def _listed(of: Mapping[str, Plain]) -> dict[str, Plain]:
    """As JSON has it: a tuple is a list."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in of.items()}
