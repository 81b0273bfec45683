"""The two precisions of a model file: floats, or matrices in int8 with a scale for each row.

A file in int8 says ``"precision": "int8"`` in its configuration. There every parameter with two axes (input
vectors, ``weight_ih``, ``weight_hh``, ``head.weight``) is int8 under its name, with ``NAME.scale``, float32,
one for each row; everything else is float32 as ever. Otherwise the model is float32, and its matrices are
float32, or in the file of a finished run codes or float16 that are read as float32 (``compact_matrices``). In
both, tables of logits may be compact (``compact_table``).
``weights`` gives each parameter as it is used, ``plain`` a file in float32 with the values that the codes
stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from pantoum.config import ModelConfig, one_of
from pantoum.errors import ModelFileError
from pantoum.formats.model_file import ModelFile
from pantoum.inference.files.compact_matrices import SCALE, coded_names, is_half, widened
from pantoum.inference.files.compact_table import compact_tables, parts_of, row_codes
from pantoum.network.packing import Codes, Weight, floats
from pantoum.network.spec import declared, named
from pantoum.network.spec import number as declared_number
from pantoum.text.tokenizer import declared_size

PRECISION = "precision"
PRECISIONS = ("float32", "int8")
SPARE = 1 << 20
"""Numbers that the arrays of a file may lack until the check of each array names the wrong one."""


def shape_of(config: Mapping[str, Any]) -> tuple[ModelConfig, str]:
    """The network's shape and the file's precision, from a file's configuration."""
    precision = config.get(PRECISION, "float32")
    one_of(precision, "the model's precision", PRECISIONS)
    return ModelConfig.from_spec({key: value for key, value in config.items() if key != PRECISION}), precision


def weights(content: ModelFile) -> dict[str, Weight]:
    """The parameters by name: arrays, or codes where the file has these. ``ValueError`` says what is wrong
    with a compact table."""
    arrays = content.parameters
    config, precision = shape_of(content.config)
    compact, coded = compact_tables(arrays, named(config, "table")), coded_names(arrays)
    found: dict[str, Weight] = {}
    if compact:
        parameters = declared(config, declared_size(content.tokenizer))
        for table in compact:
            rows, symbols = parameters[table].shape
            found[table] = row_codes(arrays, table, (rows, symbols))
    for name in coded:
        found[name] = Codes(arrays[name], arrays[name + SCALE], stored=precision == "float32")
    parts = {part for table in compact for part in parts_of(table)}
    parts |= {part for name in coded for part in (name, name + SCALE)}
    return found | {name: widened(array) for name, array in arrays.items() if name not in parts}


def plain(content: ModelFile) -> ModelFile:
    """The same model in float32."""
    shape, precision = shape_of(content.config)
    compact = compact_tables(content.parameters, named(shape, "table"))
    small = compact or coded_names(content.parameters) or any(map(is_half, content.parameters.values()))
    if precision == "float32" and not small:
        return content
    parameters = {name: floats(weight) for name, weight in weights(content).items()}
    config = {key: value for key, value in content.config.items() if key != PRECISION}
    return replace(content, config=config, parameters=parameters)


def require_filled(config: ModelConfig, vocab_size: int, found: int, path: object) -> None:
    """Raise ``ModelFileError`` where the arrays of a file hold ``found`` numbers, far fewer than its
    configuration needs: a few bytes that could ask for gigabytes."""
    config.check_tables(vocab_size)
    needed = declared_number(config, vocab_size)
    if found + SPARE < needed:
        raise ModelFileError(
            f"{path}: its configuration needs {needed:,} numbers for {vocab_size:,} symbols, its "
            f"arrays hold {found:,}; use another copy of it, or train again"
        )


def number(weights: Mapping[str, Weight]) -> int:
    """How many parameters these weights are; scales are none."""
    return sum(prod(weight.shape) for weight in weights.values())
