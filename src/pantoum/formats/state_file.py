"""The state of a session as bytes: of one size for a given model, and no changed byte passes.

    at        bytes   what
    0         8       b"PANTOUMS"
    8         2       version, 1
    10        2       n, the number of arrays (network.program says which)
    12        4       the last token, not fed yet; 0xFFFFFFFF: none
    16        8       tokens seen
    24        32      SHA-256 of the model file; zeros: a model that was never written
    56        1       how many undecoded bytes there are, 0 to 15
    57        15      the undecoded bytes, then zeros
    72        4 n     each array's number of values
    72 + 4 n  4 each  the arrays, float32, one after the other
    the end   32      SHA-256 of everything before it

All numbers are little-endian. A 3 x 512 GRU takes 6,260 bytes. No sampling settings and no text are in it,
but the last few tokens where the model has n-grams, and the cached ones where it has a cache.
Whether the state belongs to a model is checked by whoever uses it.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import StateError
from pantoum.formats import bounded, durable

MAGIC = b"PANTOUMS"
VERSION = 1
HEAD = struct.Struct("<8sHHIQ32sB15s")
DIGEST_SIZE = 32
NO_TOKEN = 0xFFFFFFFF
MOST_ARRAYS = 1024
MOST_PENDING = 15
MOST_BYTES = 1 << 28
USE_ANOTHER = "use another copy of it, or start without a state"


@dataclass(frozen=True, eq=False)
class StateRecord:
    """What a state file holds."""

    layers: Sequence[NDArray[np.float32]]
    """The layers' states of one stream; last the n-grams'."""
    last_token: int | None
    """The token that was seen last and is read by the network next; ``None`` before the first."""
    tokens_seen: int
    """Tokens fed or written so far: the position of the next random draw."""
    pending: bytes
    """Bytes of the last tokens that do not make a whole character yet, or a space that waits for its word."""
    model_sha256: str
    """The model file it belongs to, 64 hex digits; empty for a model that was never written."""


def to_bytes(record: StateRecord) -> bytes:
    """The record's bytes; what cannot be kept is refused."""
    arrays = [np.ascontiguousarray(layer, "<f4").reshape(-1) for layer in record.layers]
    last = NO_TOKEN if record.last_token is None else record.last_token
    _require(0 < len(arrays) <= MOST_ARRAYS, f"it has {len(arrays)} arrays, not 1 to {MOST_ARRAYS}")
    _require(all(bool(np.isfinite(array).all()) for array in arrays), "it holds values that are not finite")
    _require(record.last_token is None or 0 <= last < NO_TOKEN, f"its last token is {last}")
    _require(0 <= record.tokens_seen < 1 << 63, f"its count of tokens is {record.tokens_seen}")
    _require(len(record.pending) <= MOST_PENDING, f"it has {len(record.pending)} undecoded bytes, at most 15")
    _require(
        re.fullmatch(r"([0-9a-f]{64})?", record.model_sha256) is not None, "its model's SHA-256 is wrong"
    )
    model = bytes.fromhex(record.model_sha256 or "00" * DIGEST_SIZE)
    head = HEAD.pack(
        MAGIC, VERSION, len(arrays), last, record.tokens_seen, model, len(record.pending), record.pending
    )
    sizes = np.array([array.size for array in arrays], "<u4").tobytes()
    body = head + sizes + b"".join(array.tobytes() for array in arrays)
    size = len(body) + DIGEST_SIZE
    if size > MOST_BYTES:
        raise StateError(
            f"the state cannot be saved: it would have {size:,} bytes, more than the {MOST_BYTES:,} allowed; "
            "use a smaller cache"
        )
    return body + hashlib.sha256(body).digest()


def from_bytes(data: bytes, source: str = "the state") -> StateRecord:
    """The record of ``to_bytes``'s bytes; anything else is a ``StateError``, which names the ``source``.

    Its arrays are read-only.
    """

    def require(fits: bool, problem: str) -> None:
        _require(fits, problem, source)

    require(data[: len(MAGIC)] == MAGIC, "it is not a state of pantoum")
    require(HEAD.size + DIGEST_SIZE <= len(data) <= MOST_BYTES, f"it has {len(data):,} bytes")
    body, digest = memoryview(data)[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
    require(
        hashlib.sha256(body).digest() == digest, "its checksum does not match: it is truncated or was changed"
    )
    _, version, count, last, seen, model, pending_size, pending = HEAD.unpack_from(body)
    require(version == VERSION, f"this pantoum reads version {VERSION}, not {version}")
    begin = HEAD.size + 4 * count
    require(0 < count <= MOST_ARRAYS and begin <= len(body), "its number of arrays is impossible")
    sizes = [int(size) for size in np.frombuffer(body, "<u4", count, HEAD.size)]
    require(begin + 4 * sum(sizes) == len(body), "its arrays do not fit its size")
    require(seen < 1 << 63, "its count of tokens is impossible")
    fits = pending_size <= MOST_PENDING and not any(pending[pending_size:])
    require(fits, "its undecoded bytes are impossible")
    layers = []
    for size in sizes:
        layers.append(np.frombuffer(body, "<f4", size, begin))
        begin += 4 * size
    require(all(bool(np.isfinite(layer).all()) for layer in layers), "it holds values that are not finite")
    return StateRecord(
        layers,
        None if last == NO_TOKEN else last,
        seen,
        pending[:pending_size],
        model.hex() if any(model) else "",
    )


def write(path: Path | str, record: StateRecord) -> None:
    """Write a state file whole or not at all."""
    durable.write_file(path, to_bytes(record))


def read(path: Path | str) -> StateRecord:
    """Read and verify a state file."""
    return from_bytes(read_bytes(path), f"the state {str(path)!r}")


def read_bytes(path: Path | str) -> bytes:
    """A state file's bytes, for ``from_bytes``; only their number is checked."""
    return bounded.read_small(path, MOST_BYTES, StateError)


def _require(fits: bool, problem: str, source: str = "the state") -> None:
    if not fits:
        raise StateError(f"{source} cannot be used: {problem}; {USE_ANOTHER}")
