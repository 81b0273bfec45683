"""Ways in which a file goes bad, by accident or by intent.

``damaged`` is a pure function of a generator and two good files of one kind: a run of ten thousand is
repeated from its seed, and one case from its number. The result always differs from both. ``FORGERIES``
are edits by someone who knows the format, to be given a checksum that matches afterwards.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable
from io import BytesIO

import numpy as np

Damage = Callable[[np.random.Generator, bytes, bytes], bytes]
VALUES = [
    b"-1", b"0", b"1", b"2", b"4294967296", b"9223372036854775808", b"99999999999999999999999999",
    b"1e308", b"1e999", b"0.5", b"null", b"true", b"NaN", b"-Infinity", b"[]", b"{}", b'""', b'"F64"',
    b'"F4"', b'"x"', b"[0,0]", b"[" * 3_000, b'{"a":' * 3_000, b"9" * 5_000, b"\xff", b"\x00",
    b'"\\ud800"', b'"../../x"',
]  # fmt: skip


class Trap:
    """What a reader that unpickles would fall into."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


def flip_a_bit(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    changed[place(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def flip_many(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    for _ in range(int(rng.integers(2, 20))):
        data = flip_a_bit(rng, data, other)
    return data


def flip_near_the_beginning(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    changed[place(rng, data[:2_000])] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    return data[: place(rng, data)]


def cut_near_an_end(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    count = int(rng.integers(1, 100))
    return data[:-count] if rng.integers(2) else data[: min(count, len(data) - 1)]


def cut_out(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    begin, end = sorted((place(rng, data), place(rng, data)))
    return data[:begin] + data[end + 1 :]


def grow(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    count = int(rng.integers(1, 5_000))
    return data + [bytes(count), rng.bytes(count), data, other][int(rng.integers(4))]


def insert(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    at = place(rng, data)
    return data[:at] + rng.bytes(int(rng.integers(1, 64))) + data[at:]


def overwrite(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    at, count = place(rng, data), int(rng.integers(1, 4_096))
    block = bytes(count) if rng.integers(2) else rng.bytes(count)
    return (data[:at] + block + data[at + count :])[: len(data)]


def exchange(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    size = max(1, min(4_096, len(data) // 4))
    a, b = sorted((place(rng, data[:-size]), place(rng, data[:-size])))
    b = max(b, a + size)
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    at = place(rng, data)
    return data[:at] + other[at:]


def foreign(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", pickle.dumps(Trap()))
    kinds = [
        b"",
        rng.bytes(int(rng.integers(1, 5_000))),
        pickle.dumps(Trap()),
        archive.getvalue(),
        b"\x89PNG\r\n\x1a\n",
        b"{}",
        bytes(1_000),
        (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    ]
    return kinds[int(rng.integers(len(kinds)))]


def wrong_length_of_header(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    lengths = [0, 1, 8, len(data), 999_999, 1_000_000, 1_000_001, 1 << 32, (1 << 63) - 1, (1 << 64) - 1]
    return int(lengths[int(rng.integers(len(lengths)))]).to_bytes(8, "little") + data[8:]


def other_value_in_the_header(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    return with_length(edited(rng, data[8:]), data)


def key_gone_or_twice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    head, rest = header(data)
    keys = list(re.finditer(rb'"[A-Za-z0-9_.]{1,40}":', head))
    if not keys:
        return edited(rng, data)
    key = keys[int(rng.integers(len(keys)))]
    again = head[key.start() : key.end() + 20]
    new = head[: key.start()] + (again if rng.integers(2) else b"") + head[key.end() :]
    return with_length(new + rest, data)


def huge_header(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Up to and over the limit, in the place where a reader's work is greatest: behind what is in order."""
    head, rest = header(data)
    count = int(rng.integers(100_000, 1_010_000)) - len(head)
    kind = int(rng.integers(5))
    if kind == 3:
        tail = b"," + b",".join(b'"a%d":{}' % i for i in range(count // 12))
    else:
        values = [b" " * count, b"[" * count, b"[" + b"[]," * (count // 3) + b"1]", b"", b"9" * count]
        tail = b',"x":' + values[kind]
    return with_length(head.rstrip(b" }") + b"}" + tail + b"}" + rest, data)


DAMAGES: list[Damage] = [
    flip_a_bit, flip_many, flip_near_the_beginning, cut, cut_near_an_end, cut_out, grow, insert,
    overwrite, exchange, splice, foreign, wrong_length_of_header, other_value_in_the_header,
    key_gone_or_twice, huge_header,
]  # fmt: skip
FORGERIES: list[Damage] = [
    flip_near_the_beginning, flip_a_bit, cut, cut_out, grow, insert, overwrite, splice,
    wrong_length_of_header, other_value_in_the_header, key_gone_or_twice, huge_header,
]  # fmt: skip


def damaged(rng: np.random.Generator, data: bytes, other: bytes, number: int) -> tuple[str, bytes]:
    """The damage of case ``number`` and its result."""
    damage = DAMAGES[number % len(DAMAGES)]
    result = damage(rng, data, other)
    while result in (data, other):
        damage = flip_a_bit
        result = damage(rng, result, other)
    return damage.__name__, result


def place(rng: np.random.Generator, data: bytes) -> int:
    return int(rng.integers(max(1, len(data))))


def header(data: bytes) -> tuple[bytes, bytes]:
    """The header of a safetensors file, and the rest; of another file, its beginning."""
    length = int.from_bytes(data[:8], "little")
    end = 8 + length if length < len(data) else min(len(data), 500)
    return data[8:end], data[end:]


def edited(rng: np.random.Generator, data: bytes) -> bytes:
    """One value of JSON text replaced; where there is none, a few bytes."""
    head = data[:20_000]
    places = list(re.finditer(rb'(?<=[:,\[])(-?[0-9.]+|"[^"\\]{0,40}"|null|true)', head))
    value = VALUES[int(rng.integers(len(VALUES)))]
    if not places:
        at = place(rng, data)
        return data[:at] + value[:8] + data[at + len(value[:8]) :]
    chosen = places[int(rng.integers(len(places)))]
    return data[: chosen.start()] + value + data[chosen.end() :]


def with_length(body: bytes, data: bytes) -> bytes:
    """A body behind a header's length that fits it, as far as the original's fitted."""
    length = int.from_bytes(data[:8], "little")
    if length >= len(data):
        return data[:8] + body
    return max(0, length + len(body) + 8 - len(data)).to_bytes(8, "little") + body
