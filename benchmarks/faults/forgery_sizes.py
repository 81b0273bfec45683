"""Forgeries that aim at memory: files in which most bytes cost a reader as much as a format allows, or more.

Each function makes a model of about ``size`` bytes. Some are whole, and are answered; of others one number at
the end is wrong, so that a reader has done all of its work before it refuses them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from forgery_changes import pick
from forgery_parts import Parts

from pantoum.config import ModelConfig
from pantoum.network import LanguageModel
from pantoum.network.spec import TABLE
from pantoum.text.tokenizer import Tokenizer, from_spec

__all__ = ["AIMS", "forged_size"]

LETTERS = 0x20000
"""The first of 42,720 characters of one kind."""
NAMES = {"float32": "F32", "float16": "F16", "int8": "I8", "uint8": "U8", "uint32": "U32"}


def forged_size(rng: np.random.Generator, size: int) -> tuple[str, Parts]:
    """What was done, and the parts of the model."""
    aim = pick(rng, sorted(AIMS))
    words, parts = AIMS[aim](rng, size)
    return f"{aim} {words} of {size:,}", parts


def characters(number: int) -> Tokenizer:
    letters = "".join(map(chr, range(LETTERS, LETTERS + number - 2)))
    return from_spec({"kind": "characters", "documents": None, "characters": letters})


def fresh(tokenizer: Tokenizer, **shape: Any) -> tuple[Parts, dict[str, np.ndarray[Any, Any]]]:
    """A model of zeros without its arrays, and these."""
    config = ModelConfig(**{"hidden_size": 8, "num_layers": 1, **shape})
    network = LanguageModel(tokenizer.vocab_size, config=config, seed=None)
    body = {"format": "pantoum model", "version": 1, "config": config.spec(), "card": {}}
    return Parts(body, tokenizer.spec(), {}), dict(network.parameters)


def put(parts: Parts, arrays: dict[str, np.ndarray[Any, Any]]) -> Parts:
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        parts.arrays[name] = (NAMES[array.dtype.name], list(array.shape), data)
    return parts


def counts(rng: np.random.Generator, size: int) -> tuple[str, Parts]:
    """N-grams, most of them of the last order or of the last ones."""
    V, orders = int(pick(rng, [16, 200, 256, 300, 5000])), int(rng.integers(2, 9))
    width, lost = (1 if V <= 256 else 2), bool(rng.integers(4) == 0)
    sizes, room = [V], size // (3 + width + lost) // max(1, orders - 1 if rng.integers(2) else 1)
    for _ in range(orders - 1):
        sizes.append(max(1, min(room, sizes[-1] * min(V, 254))))
    parts, arrays = fresh(characters(V))
    arrays["extras.counts.weights"] = np.full(8 * orders, 0.5, np.float32)
    arrays["extras.counts.discounts"] = np.full((orders, 3), 0.5, np.float32)
    following = np.zeros(0, np.int64)
    for number, held in enumerate(sizes, start=1):
        name = f"extras.counts.{number}."
        if number > 1:
            begins = np.repeat(np.cumsum(following) - following, following)
            wide = (np.arange(held) - begins).astype("<u4").view(np.uint8).reshape(-1, 4)
            arrays[name + "tokens"] = wide[:, :width]
        arrays[name + "counts"] = np.full(held, int(rng.integers(1, 200)), np.uint8)
        if number < orders:
            following = np.full(held, sizes[number] // held)
            following[: sizes[number] % held] += 1
            arrays[name + "children"] = following.astype(np.uint8)
            if lost:
                arrays[name + "lost"] = np.ones(held, np.uint8)
    last, how = f"extras.counts.{orders}.", int(rng.integers(7))
    if how == 0:
        arrays[last + "tokens"] = arrays[last + "tokens"][::-1]
    elif how == 1:
        arrays[last + "counts"][-1] = 0
    elif how == 2:
        arrays[last + "counts"][:] = 255
    elif how == 3:
        arrays[last + "counts"][:] = 255
        arrays[last + "counts.large"] = np.full(sizes[-1], 2**32 - 1, np.uint32)
    elif how == 4:
        name = f"extras.counts.{int(rng.integers(1, orders))}.children"
        arrays[name] = np.full(size // 2, 254, np.uint8)
    return f"{how}, orders {sizes}", put(parts, arrays)


def table(rng: np.random.Generator, size: int) -> tuple[str, Parts]:
    """A compact table: many bits, many exponents, a long stream, or a short one of many codes."""
    V, rows = int(pick(rng, [3, 50, 1000, 4000])), int(2 ** rng.integers(10, 25))
    parts, arrays = fresh(characters(V), ngrams=(2,))
    parts.body["config"]["ngram_rows"] = rows
    del arrays[TABLE]
    how = int(rng.integers(5))
    bits = size if how == 0 else min(rows // 8, size)
    used = int(min(8 * bits, rows, 2 ** rng.integers(25)))
    marks = np.zeros(8 * bits, bool)
    marks[:used] = True
    exponents = size if how == 1 else used
    amount = {2: 1100 * size, 3: used}.get(how, used * V)
    level, data = (0, bytes(size)) if how == 4 else (9, bytes(min(amount, 256 << 20)))
    arrays[TABLE + ".used"] = np.packbits(marks, bitorder="little")
    arrays[TABLE + ".exponents"] = np.zeros(exponents, np.int8)
    arrays[TABLE + ".codes"] = np.frombuffer(zlib.compress(data, level), np.uint8)
    return f"{how}, {rows} x {V}, {used} used", put(parts, arrays)


def matrices(rng: np.random.Generator, size: int) -> tuple[str, Parts]:
    """Codes, or numbers of 16 bits, that are read as float32."""
    half, one_hot, precision = rng.integers(4) == 0, bool(rng.integers(2)), bool(rng.integers(4) == 0)
    V = int(pick(rng, [40, 3000, 30_000]))
    room = size // (2 if half else 1)
    H = int(max(8, min(room // (8 * V), (room / 8) ** 0.5)))
    cell = pick(rng, ["rnn", "gru", "lstm"])
    shape = {"hidden_size": H, "cell": cell, "embedding_size": None if one_hot else H}
    if not one_hot and rng.integers(3) == 0:
        shape |= {"tied": True}
    parts, arrays = fresh(characters(V), **shape)
    if precision and not half:
        parts.body["config"]["precision"] = "int8"
    for name, array in list(arrays.items()):
        if array.ndim == 2 and half:
            arrays[name] = array.astype(np.float16)
        elif array.ndim == 2:
            arrays[name] = np.ones(array.shape, np.int8)
            arrays[name + ".scale"] = np.full(len(array), 0.001, np.float32)
    return f"{'half' if half else 'codes'}, {V} x {H} {cell}", put(parts, arrays)


def extras(rng: np.random.Generator, size: int) -> tuple[str, Parts]:
    """Arrays beside the weights, known and not."""
    parts, arrays = fresh(characters(50))
    of_floats = ["adapt.head.weight", "counts.weights", "counts.discounts"]
    name = pick(rng, [*of_floats, "novelty.bits", "x", "counts.9.counts"])
    dtype = np.float32 if name in of_floats else np.uint8
    arrays["extras." + name] = np.ones(size // np.dtype(dtype).itemsize, dtype)
    arrays["extras.novelty.shape"] = np.array([1, 8, size // 2], np.uint32)
    return name, put(parts, arrays)


def vocabulary(rng: np.random.Generator, size: int) -> tuple[str, Parts]:
    """A large vocabulary, and a network as small as it can be."""
    how = int(rng.integers(4))
    if how == 0:
        pairs = [[1 + at % 250, 1 + at // 250 % 250] for at in range(min(size // 8, 60_000))]
        spec: dict[str, Any] = {"kind": "bpe", "documents": None, "split": 1, "merges": pairs}
    elif how == 1:
        number = min(size // 20, 300_000)
        spec = {"kind": "words", "documents": None, "pieces": [f"w{at}" for at in range(number)]}
    elif how == 2:
        number = max(1, size // 60_000)
        spec = {"kind": "words", "documents": None, "pieces": [f"{at:060000d}" for at in range(number)]}
    else:
        letters = "".join(map(chr, range(LETTERS, LETTERS + min(size // 12, 40_000))))
        spec = {"kind": "characters", "documents": None, "characters": letters}
    V = len(spec.get("merges", spec.get("pieces", spec.get("characters")))) + (257 if how == 0 else 2)
    config = ModelConfig(hidden_size=1, num_layers=1, embedding_size=1)
    body = {"format": "pantoum model", "version": 1, "config": config.spec(), "card": {}}
    network = LanguageModel(V, config=config, seed=None)
    return f"{how}, {V} symbols", put(Parts(body, spec, {}), dict(network.parameters))


AIMS: dict[str, Callable[[np.random.Generator, int], tuple[str, Parts]]] = {
    "counts": counts,
    "extras": extras,
    "matrices": matrices,
    "table": table,
    "vocabulary": vocabulary,
}
