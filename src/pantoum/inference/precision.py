"""The two precisions of a model file: floats, or matrices in int8 with a scale for each row.

A file in int8 says ``"precision": "int8"`` in its configuration. There every parameter with two axes (input
vectors, ``weight_ih``, ``weight_hh``, ``head.weight``) is int8 under its name, with ``NAME.scale``, float32,
one for each row; everything else is float32 as ever. Otherwise the matrices are float32, or float16 in the
file of a finished run (``half_matrices``). In both the table of n-grams may be compact (``compact_table``).
``weights`` gives each parameter as it is used, ``plain`` a file in float32 with the values that the codes
stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from pantoum.config import ModelConfig, one_of
from pantoum.formats.model_file import ModelFile
from pantoum.inference.compact_table import PARTS, is_compact, row_codes
from pantoum.inference.half_matrices import is_half, widened
from pantoum.kernels import Array
from pantoum.network.ngrams import TABLE
from pantoum.network.packing import Codes, Weight, floats

__all__ = ["PRECISION", "SCALE", "number", "plain", "shape_of", "weights"]

PRECISION = "precision"
PRECISIONS = ("float32", "int8")
SCALE = ".scale"
"""After a parameter's name: the scales of its rows."""
Arrays = Mapping[str, Array]


def shape_of(config: Mapping[str, Any]) -> tuple[ModelConfig, str]:
    """The network's shape and the file's precision, from a file's configuration."""
    precision = config.get(PRECISION, "float32")
    one_of(precision, "the model's precision", PRECISIONS)
    return ModelConfig.from_spec({key: value for key, value in config.items() if key != PRECISION}), precision


def weights(arrays: Arrays) -> dict[str, Weight]:
    """The parameters by name: arrays, or ``Codes`` where the file has these."""
    if is_compact(arrays):
        table, arrays = row_codes(arrays), {name: a for name, a in arrays.items() if name not in PARTS}
        return {**weights(arrays), TABLE: table}
    coded = {name[: -len(SCALE)] for name in arrays if name.endswith(SCALE)} & arrays.keys()
    found: dict[str, Weight] = {name: Codes(arrays[name], arrays[name + SCALE]) for name in coded}
    scales = {name + SCALE for name in coded}
    return found | {name: widened(array) for name, array in arrays.items() if name not in coded | scales}


def plain(content: ModelFile) -> ModelFile:
    """The same model in float32."""
    _, precision = shape_of(content.config)
    coded = is_compact(content.parameters) or any(map(is_half, content.parameters.values()))
    if precision == "float32" and not coded:
        return content
    parameters = {name: floats(weight) for name, weight in weights(content.parameters).items()}
    config = {key: value for key, value in content.config.items() if key != PRECISION}
    return replace(content, config=config, parameters=parameters)


def number(arrays: Arrays) -> int:
    """How many parameters a file's arrays are; scales are none."""
    return sum(prod(weight.shape) for weight in weights(arrays).values())
