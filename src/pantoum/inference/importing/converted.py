"""A model of ours from one of another program: the same function of the same tokens.

Gates get our order, and symbols our numbers. Layers of different sizes become as wide as the widest: a unit
whose weights are all zero stays zero in every cell, so nothing changes but the time that a step takes. A
symbol that the other program lacks (``<eos>`` or ``<unk>``) gets a bias under which it is never probable.
"""

from __future__ import annotations

import numpy as np

from pantoum.config import CELLS, ModelConfig
from pantoum.config.plain import Plain
from pantoum.errors import ModelFileError
from pantoum.formats.model_file import ModelFile
from pantoum.inference.importing.foreign_model import ForeignModel, SourceLayer, split
from pantoum.inference.importing.foreign_vocabulary import Vocabulary
from pantoum.kernels import Array
from pantoum.network.spec import number

__all__ = ["converted", "of_layer"]

NEVER = -100.0
EXPANDS, AND = 10, 16 << 20
"""What a model may become: ten times as many numbers, and 64 MB of them."""


def converted(source: ForeignModel, vocabulary: Vocabulary, card: dict[str, Plain]) -> ModelFile:
    """The content of a model file."""
    numbers_V = vocabulary.numbers_V
    embedding_VE, tied = source.embedding_VE, source.tied
    units = max(layer.units for layer in source.layers)
    width = None if embedding_VE is None else embedding_VE.shape[1]
    shape = ModelConfig(source.layers[0].cell, units, len(source.layers), width, tied=tied)
    most = EXPANDS * source.numbers + AND
    if number(shape, len(numbers_V)) > most:
        raise ModelFileError(
            f"this {source.program} model would become more than ten times as large: its layers have very "
            f"different sizes, and all get the {units:,} units of the widest; it cannot be imported"
        )
    parameters: dict[str, Array] = {}
    if embedding_VE is not None:
        parameters["embedding.weight"] = _rows(embedding_VE, numbers_V, 0.0)
    for place, layer in enumerate(source.layers):
        inputs = units if place else layer.inputs
        for name, array in of_layer(layer, units, inputs).items():
            if place == 0 and embedding_VE is None and name == "weight_ih":
                array = _rows(array.T, numbers_V, 0.0).T
            parameters[f"stack.{place}.{name}"] = np.ascontiguousarray(array, np.float32)
    if not tied:
        parameters["head.weight"] = _widened(_rows(source.head_VH, numbers_V, 0.0), units)
    elif width is not None and width != units:
        parameters["head.projection.weight"] = np.eye(width, units, dtype=np.float32)
    parameters["head.bias"] = _rows(source.bias_V, numbers_V, NEVER)
    return ModelFile(shape.spec(), parameters, vocabulary.tokenizer.spec(), card)


def _rows(array: Array, numbers_V: Array, missing: float) -> Array:
    """The rows of symbols in our order."""
    found = np.full((len(numbers_V), *array.shape[1:]), missing, np.float32)
    known = numbers_V >= 0
    found[known] = array[numbers_V[known]]
    return found


def _widened(array: Array, columns: int) -> Array:
    found = np.zeros((len(array), columns), np.float32)
    found[:, : array.shape[1]] = array
    return found


def of_layer(layer: SourceLayer, units: int, inputs: int) -> dict[str, Array]:
    """The parameters of a layer with so many units and inputs."""
    cell = CELLS[layer.cell]

    def ordered(array: Array) -> Array:
        blocks = split(array, layer.gates)
        return np.concatenate([_padded(blocks[gate], units) for gate in cell.gates])

    biases = {"bias_ih": layer.bias_ih, "bias_hh": layer.bias_hh}
    if not cell.hidden_bias:
        biases = {"bias_ih": layer.bias_ih + layer.bias_hh}
    weights = {
        "weight_ih": _widened(ordered(layer.weight_ih), inputs),
        "weight_hh": _widened(ordered(layer.weight_hh), units),
    }
    return weights | {name: ordered(bias) for name, bias in biases.items()}


def _padded(block: Array, rows: int) -> Array:
    found = np.zeros((rows, *block.shape[1:]), np.float32)
    found[: len(block)] = block
    return found
