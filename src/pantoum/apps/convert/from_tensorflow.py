"""Models of TensorFlow 1: the checkpoint of ``tf.train.Saver``, by the names of its variables.

    .../gru_cell/gates/kernel, bias; .../gru_cell/candidate/kernel, bias     GRUCell, gates r u
    .../basic_lstm_cell/kernel, bias or .../lstm_cell/kernel, bias           i j f o, 1 is added to f
    .../basic_rnn_cell/kernel, bias

Older versions say ``weights`` and ``biases``. A kernel has the rows of the input, then those of the state.
What optimisers keep is passed over, and so are single numbers. The output layer and the embedding are told
by their shapes; whatever is left over is refused by name.

The checkpoint is of the bundle format: ``NAME.index`` and ``NAME.data-00000-of-00001``. The index is a
sorted table of blocks (that of LevelDB): names of tensors, and for each a small protobuf with its type, its
shape and where in which data file it lies. Nothing in it is code. That a tensor has its size and lies within
its file is checked, the CRC-32C of blocks and tensors is not; the process that reads it is bounded.

Shapes: V symbols, I inputs, H units, G columns of gates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, blocks, natural
from pantoum.errors import ModelFileError
from pantoum.seams import Array, BadFileError, bounded

__all__ = ["is_index", "reader"]

PART = re.compile(
    r"(.*?)(gru_cell|basic_lstm_cell|lstm_cell|basic_rnn_cell)/(gates/|candidate/)?(kernel|bias)"
)
KEPT = re.compile(
    r"/(Adam|Adam_1|RMSProp|RMSProp_1|Momentum|Adagrad|ExponentialMovingAverage)$|^(beta\d_power|global_step)"
)
REFUSED = re.compile(r"w_[ifo]_diag|projection/|/(bw|fw)/")
FORGET = 1.0
"""``forget_bias``, which is no variable."""
Parts = Mapping[str, Array]
MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER = 48
"""Bytes of the end of an index."""
DTYPES = {1: "<f4", 2: "<f8", 19: "<f2"}


def reader(*endings: str) -> Callable[..., Iterator[bytes]]:
    """What reads an index, and the data files with these endings."""
    return lambda index, *files: blocks(_model(arrays_of(index, dict(zip(endings, files, strict=True)))))


def _model(arrays: Mapping[str, Array]) -> ForeignModel:
    layers: dict[str, dict[str, Array]] = {}
    others: dict[str, Array] = {}
    for name, array in arrays.items():
        if KEPT.search(name):
            continue
        if REFUSED.search(name):
            raise BadFileError(
                f"{name} belongs to peepholes, a projection or two directions",
                "only plain layers can be imported",
            )
        plain = re.sub("weights$", "kernel", re.sub("biases$", "bias", name))
        match = PART.fullmatch(plain)
        if match is None:
            others[name] = array
        else:
            layers.setdefault(match[1] + match[2], {})[(match[3] or "") + match[4]] = array
    try:
        made = tuple(_layer(place, layers[place]) for place in sorted(layers, key=natural))
    except KeyError as problem:
        raise BadFileError(f"a cell lacks {problem}") from None
    if not made:
        raise BadFileError("none of its variables belongs to a GRUCell, BasicLSTMCell or BasicRNNCell")
    head, bias = _head(others, made[-1].units)
    numbers = [name for name, array in others.items() if array.ndim == 0]
    bias_V, inputs = others[bias], made[0].inputs
    tables = [name for name, array in others.items() if array.shape == (len(bias_V), inputs) and name != head]
    one_hot = inputs == len(bias_V) and not tables
    if not one_hot and len(tables) != 1:
        raise BadFileError(f"it has {len(tables)} possible embeddings, not one")
    left = sorted(set(others) - {head, bias, *tables, *numbers})
    if left:
        raise BadFileError(
            f"it has variables that belong to no embedding, layer or output layer: {', '.join(left[:8])}",
            "only plain layers can be imported",
        )
    notes = ["forget_bias is assumed to be 1, TensorFlow's default"] * (made[0].cell == "lstm")
    notes += [f"scalars are ignored: {', '.join(sorted(numbers)[:8])}"] * bool(numbers)
    table = None if one_hot else others[tables[0]]
    return ForeignModel("TensorFlow 1", made, table, others[head].T, bias_V, tuple(notes))


def _layer(place: str, parts: Parts) -> SourceLayer:
    """A cell of these variables."""
    if place.endswith("gru_cell"):
        kernels = parts["gates/kernel"], parts["candidate/kernel"]
        kernel_G = np.concatenate(kernels, axis=1)
        bias_G = np.concatenate([parts["gates/bias"], parts["candidate/bias"]])
        return _made("gru-before", "rzn", kernel_G, bias_G)
    if place.endswith("lstm_cell"):
        bias_G = parts["bias"].copy()
        units = len(bias_G) // 4
        bias_G[2 * units : 3 * units] += FORGET
        return _made("lstm", "igfo", parts["kernel"], bias_G)
    return _made("rnn", "h", parts["kernel"], parts["bias"])


def _made(cell: str, gates: str, kernel_G: Array, bias_G: Array) -> SourceLayer:
    units = len(bias_G) // len(gates)
    inputs = len(kernel_G) - units
    return SourceLayer(cell, gates, kernel_G[:inputs].T, kernel_G[inputs:].T, bias_G, np.zeros_like(bias_G))


def _head(others: Parts, units: int) -> tuple[str, str]:
    """The names of the weight [H,V] and the bias [V]."""
    biases = {array.shape: name for name, array in others.items() if array.ndim == 1}
    found = [
        (name, biases[array.shape[1:]])
        for name, array in others.items()
        if array.ndim == 2 and len(array) == units and array.shape[1:] in biases
    ]
    if len(found) != 1:
        listed = ", ".join(sorted(others)[:8]) or "no other variables"
        raise BadFileError(
            f"it has {len(found)} possible output layers ({units} rows and a bias) among {listed}",
            "it must have one",
        )
    return found[0]


# The bundle format. --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BundleEntry:
    """Where a tensor lies."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def is_index(path: Path) -> bool:
    """Whether a file ends as an index does."""
    try:
        with bounded.opened(path, ModelFileError) as (file, size):
            file.seek(max(0, size - len(MAGIC)))
            return file.read(len(MAGIC)) == MAGIC
    except ModelFileError:
        return False


def arrays_of(index: IO[bytes], data: Mapping[str, IO[bytes]]) -> dict[str, Array]:
    """The float tensors of a checkpoint by name, from its index and its data files by their endings."""
    shards, entries = _entries(index.read())
    found, held = dict[str, Array](), dict[int, memoryview]()
    for entry in entries.values():
        ending = f".data-{entry.shard:05d}-of-{shards:05d}"
        if ending not in data:
            raise BadFileError(f"its file {ending} is missing", "copy it beside the index")
        if entry.shard not in held:
            held[entry.shard] = memoryview(data[ending].read())
    for name, entry in entries.items():
        part = held[entry.shard][entry.offset : entry.offset + entry.size]
        kind = DTYPES.get(entry.dtype)
        if kind is None:
            continue
        if len(part) != entry.size or prod(entry.shape) * np.dtype(kind).itemsize != entry.size:
            raise BadFileError(f"tensor {name} is cut short or has the wrong size")
        found[name] = np.frombuffer(part, kind).reshape(entry.shape)
    return found


def _entries(data: bytes) -> tuple[int, dict[str, BundleEntry]]:
    """(the number of data files, where each tensor lies)."""
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise BadFileError("it is not the index of a checkpoint")
    place, footer = 0, data[-FOOTER:]
    for _ in range(2):  # past the handle of the block of metadata
        _, place = _number(footer, place)
    shards, found = 1, dict[str, BundleEntry]()
    for _, handle in _block(data, *_handle(footer, place)):
        for key, value in _block(data, *_handle(handle, 0)):
            if key:
                found[key.decode("utf-8", "replace")] = _entry(value)
            else:
                header = dict(_fields(value))
                shards = int(header.get(1, 1))
                if header.get(2, 0):
                    raise BadFileError("it comes from a big-endian machine")
    return shards, found


def _handle(data: bytes, place: int) -> tuple[int, int]:
    """Where a block lies, and its size."""
    start, place = _number(data, place)
    size, _ = _number(data, place)
    return start, size


def _block(data: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block."""
    block = data[start : start + size]
    if data[start + size]:
        raise BadFileError("it is compressed, which TensorFlow itself does not do")
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    place, key = 0, b""
    while place < end:
        shared, place = _number(block, place)
        added, place = _number(block, place)
        length, place = _number(block, place)
        key = key[:shared] + block[place : place + added]
        place += added
        yield key, block[place : place + length]
        place += length


def _entry(data: bytes) -> BundleEntry:
    """A ``BundleEntryProto``."""
    fields: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 7:
            raise BadFileError("it has a variable in slices, which is not supported")
        fields[number] = value
    shape = []
    held = fields.get(2, b"")
    for number, value in _fields(held if isinstance(held, bytes) else b""):
        if number == 2 and isinstance(value, bytes):
            shape.append(int(dict(_fields(value)).get(1, 0)))
    numbers = [int(fields.get(number, 0)) for number in (1, 3, 4, 5)]
    return BundleEntry(numbers[0], tuple(shape), *numbers[1:])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf: a number or bytes each."""
    place = 0
    while place < len(data):
        tag, place = _number(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _number(data, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, place = _number(data, place)
        else:
            size = {1: 8, 5: 4}[kind]
        part = data[place : place + size]
        yield tag >> 3, part if kind == 2 else int.from_bytes(part, "little")
        place += size


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits per byte, and the place after it."""
    found, shift = data[place] & 0x7F, 7
    while data[place] >= 0x80:
        place += 1
        found |= (data[place] & 0x7F) << shift
        shift += 7
    return found, place + 1
