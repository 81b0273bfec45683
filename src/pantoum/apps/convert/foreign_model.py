"""A model as another program has it: the gates of its layers and its symbols in their order there.

``nats`` reads a text with it as it is, in float64, so that what it becomes can be compared with what it was.
Its file is read in another process (``seams.read_apart``), which sends the model in the layout of
safetensors: ``blocks``, and ``of_blocks`` here.

Shapes: V symbols there, E embedding, H units, G gate rows, I inputs, N tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pantoum.seams import CELLS, Array, BadFileError, equations, plain_json, tensor_layout
from pantoum.seams import CellInputs as Given

__all__ = ["ForeignModel", "SourceLayer", "blocks", "natural", "of_blocks", "split"]

ROWS_AT_ONCE = 256
"""Rows of logits that are in memory at once."""


def split(array: Array, gates: Sequence[str]) -> dict[str, Array]:
    """The blocks of rows of an array by the names of their gates."""
    return dict(zip(gates, np.split(array, len(gates)), strict=True))


def natural(name: str) -> list[Any]:
    """A key by which ``cell_2`` comes before ``cell_10``."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


@dataclass(frozen=True, eq=False)
class SourceLayer:
    """A layer. A bias that it lacks is zeros."""

    cell: str
    """The cell of ``config.CELLS`` that has its equations."""
    gates: str
    """Their names there, in the order of its rows."""
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array

    def __post_init__(self) -> None:
        rows, units = len(self.weight_hh), self.units
        shapes = {self.weight_ih.shape[:1], self.bias_ih.shape, self.bias_hh.shape}
        axes = (self.weight_ih.ndim, self.weight_hh.ndim)
        if axes != (2, 2) or not rows or rows != len(self.gates) * units or shapes != {(rows,)}:
            raise BadFileError(
                f"a layer has weights of the shapes {self.weight_ih.shape} and {self.weight_hh.shape} and "
                f"biases of {self.bias_ih.shape} and {self.bias_hh.shape}, which no {self.cell} has",
                "use another file",
            )

    @property
    def units(self) -> int:
        """Its units."""
        return int(self.weight_hh.shape[-1])

    @property
    def inputs(self) -> int:
        """The size of its input."""
        return int(self.weight_ih.shape[1])


@dataclass(frozen=True, eq=False)
class ForeignModel:
    """A model: tokens, embedding or one-hot vectors, layers, head."""

    program: str
    """Whose it is, as people read it."""
    layers: tuple[SourceLayer, ...]
    embedding_VE: Array | None
    """``None``: one-hot."""
    head_VH: Array
    bias_V: Array
    notes: tuple[str, ...] = ()
    """What a person should know."""
    tokenizer: dict[str, Any] | None = field(default=None, repr=False)
    """The specification of one of ours, where the file has it."""

    def __post_init__(self) -> None:
        arrays = {"the output layer": self.head_VH, "the embedding": self.embedding_VE}
        odd = [name for name, array in arrays.items() if array is not None and array.ndim != 2]
        if odd or self.bias_V.ndim != 1:
            raise BadFileError(f"the shape of {(odd or ['the bias of the output layer'])[0]} is impossible")
        V, sizes = len(self.bias_V), [layer.units for layer in self.layers]
        first = V if self.embedding_VE is None else self.embedding_VE.shape[1]
        chain = [first, *sizes], [*(layer.inputs for layer in self.layers), self.head_VH.shape[1]]
        symbols = {V, len(self.head_VH), V if self.embedding_VE is None else len(self.embedding_VE)}
        cells = sorted({layer.cell for layer in self.layers})
        if not sizes or chain[0] != chain[1] or symbols != {V} or len(cells) > 1:
            raise BadFileError(
                f"the parts of this {self.program} model do not match: layers of {cells} give "
                f"{chain[0]} numbers and take {chain[1]}, and there are {sorted(symbols)} symbols",
                "it must be an embedding or one-hot vectors, layers of one kind, and an output layer",
            )

    @property
    def tied(self) -> bool:
        """Whether the head has the weights of the embedding."""
        return self.embedding_VE is not None and np.array_equal(self.embedding_VE, self.head_VH)

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        weights = (array for layer in self.layers for array in (layer.weight_ih, layer.weight_hh))
        return sum(array.size for array in (*weights, self.head_VH))

    def nats(self, numbers_N: Array) -> Array:
        """The nats of each number after the first."""
        hidden_NH = self._hidden(numbers_N[:-1])
        found = np.empty(len(hidden_NH))
        for start in range(0, len(found), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            logits = hidden_NH[part] @ self.head_VH.T.astype(np.float64) + self.bias_V
            of_targets = logits[np.arange(len(logits)), numbers_N[1:][part]]
            most = logits.max(axis=1)
            found[part] = most + np.log(np.exp(logits - most[:, None]).sum(axis=1)) - of_targets
        return found

    def _hidden(self, numbers_N: Array) -> Array:
        """The outputs of the last layer."""
        if self.embedding_VE is None:
            first = self.layers[0]
            rows: Array = first.weight_ih.T[numbers_N].astype(np.float64) + first.bias_ih
        else:
            rows = self._projected(self.layers[0], self.embedding_VE[numbers_N])
        for place, layer in enumerate(self.layers):
            rows = _run(layer, rows if place == 0 else self._projected(layer, rows))
        return rows

    @staticmethod
    def _projected(layer: SourceLayer, x_NI: Array) -> Array:
        found: Array = x_NI.astype(np.float64) @ layer.weight_ih.T.astype(np.float64) + layer.bias_ih
        return found


WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
DTYPES = {"float32": "F32", "float64": "F64"}


def blocks(model: ForeignModel) -> Iterator[bytes]:
    """The bytes of a model."""
    arrays: dict[str, Array] = {"head": model.head_VH, "bias": model.bias_V}
    if model.embedding_VE is not None:
        arrays["embedding"] = model.embedding_VE
    for place, layer in enumerate(model.layers):
        arrays |= {f"{place}.{name}": getattr(layer, name) for name in WEIGHTS}
    made: dict[str, tuple[str, Array]] = {}
    for name, array in arrays.items():
        array = array if array.dtype.name in DTYPES else array.astype(np.float32)
        tensor_layout.require_finite(name, DTYPES[array.dtype.name], array)
        made[name] = DTYPES[array.dtype.name], array
    about: dict[str, Any] = {
        "program": model.program,
        "notes": list(model.notes),
        "tokenizer": model.tokenizer,
    }
    about["layers"] = [[layer.cell, layer.gates] for layer in model.layers]
    made["about"] = "U8", np.frombuffer(plain_json.encode(about), np.uint8)
    header, order = tensor_layout.header_bytes(made, "model")
    yield header
    yield from (bytes(chunk) for chunk in tensor_layout.data_chunks(made, order))


def of_blocks(parts: Iterable[bytes], most: int) -> ForeignModel:
    """The model of such bytes, which may be at most ``most``; ``ValueError`` if they are not."""
    data = bytearray()
    for part in parts:
        data += part
        if len(data) > most:
            raise BadFileError("it would become more than ten times as large")
    length = tensor_layout.header_length(bytes(data[:8]), len(data))
    rest = np.frombuffer(data, np.uint8)[8 + length :]
    _, tensors = tensor_layout.parse(bytes(data[8 : 8 + length]), rest.size)
    arrays = {tensor.name: tensor_layout.view(rest, tensor) for tensor in tensors}
    about: Any = plain_json.decode(arrays["about"].tobytes())
    layers = []
    for place, (cell, gates) in enumerate(about["layers"]):
        if sorted(gates) != sorted(CELLS[cell].gates):
            raise ValueError("the gates of a layer are not those of its cell")
        layers.append(SourceLayer(cell, gates, *(arrays[f"{place}.{name}"] for name in WEIGHTS)))
    notes = tuple(str(note) for note in about["notes"])
    embedding_VE, head_VH, bias_V = arrays.get("embedding"), arrays["head"], arrays["bias"]
    program, tokenizer = str(about["program"]), about["tokenizer"]
    return ForeignModel(program, tuple(layers), embedding_VE, head_VH, bias_V, notes, tokenizer)


def _run(layer: SourceLayer, projection_NG: Array) -> Array:
    """The outputs of a layer after each input projection, from zeros on."""
    cell = CELLS[layer.cell]
    of_cell, units = equations(cell), layer.units
    weights = split(layer.weight_hh.astype(np.float64), layer.gates)
    biases = split(layer.bias_hh.astype(np.float64), layer.gates)
    added = {gate: bias * (not (cell.biased and gate == cell.gates[-1])) for gate, bias in biases.items()}
    last_bias = biases[cell.gates[-1]]
    h, c = np.zeros(units), np.zeros(units)
    found = np.empty((len(projection_NG), units))
    for place, row in enumerate(projection_NG):
        blocks = split(row, layer.gates)
        inputs = [blocks[gate] + added[gate] for gate in cell.gates]
        sums, early, operand = list[Array](), (), h
        for number, gates in enumerate(cell.products):
            if number:
                early, operand = of_cell.early(Given(sums, inputs, h, c, last_bias))
            sums += [weights[gate] @ operand for gate in cell.gates[len(sums) : len(sums) + gates]]
        after = of_cell.forward(Given(sums, inputs, h, c, last_bias, early))
        h, c = after.h, c if after.c is None else after.c
        found[place] = h
    return found
