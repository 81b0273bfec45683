"""Settings as frozen dataclasses: one docstring per field, checked where they are built.

The options of the command line are made from these fields (``help``, ``choices``, ``metavar`` and ``chosen``
in the metadata of each field), so that an option, a Python keyword and a field have one name and one text.
``"auto"`` means "chosen from the text, the time and this machine"; ``None`` means off. Nothing here imports
NumPy.

One file per thing that is configured: ``model`` (the network), ``train``, ``writing``, ``score``, all over
``rules``. Import the names from here; a file is imported when one of its names is used, so that a command
does not pay for the settings of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pantoum.config.cells import CELLS, CellSpec
    from pantoum.config.model_config import SHAPE, DropoutConfig, ModelConfig, check_table, table_words
    from pantoum.config.rules import (
        AUTO,
        function,
        nearest,
        number,
        one_of,
        path,
        require,
        text,
        truth,
        whole,
    )
    from pantoum.config.sampling import GenerationConfig, SamplingConfig
    from pantoum.config.score import UNITS, Alert, ScoreConfig
    from pantoum.config.serve import ServeSettings
    from pantoum.config.softmax import parse_softmax, spell_softmax
    from pantoum.config.tokens import token_unit
    from pantoum.config.train import DOCUMENTS, OPTIMIZERS, SCHEDULES, TrainSettings

__all__ = [
    "AUTO",
    "CELLS",
    "DOCUMENTS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SHAPE",
    "UNITS",
    "VERSION",
    "Alert",
    "CellSpec",
    "DropoutConfig",
    "GenerationConfig",
    "ModelConfig",
    "SamplingConfig",
    "ScoreConfig",
    "ServeSettings",
    "TrainSettings",
    "check_table",
    "function",
    "nearest",
    "number",
    "one_of",
    "parse_softmax",
    "path",
    "require",
    "spell_softmax",
    "table_words",
    "text",
    "token_unit",
    "truth",
    "whole",
]

VERSION = "0.1.0"
"""The version of pantoum, the same as in ``pyproject.toml`` (tested)."""

_HOMES = {
    "cells": ("CELLS", "CellSpec"),
    "model_config": ("SHAPE", "DropoutConfig", "ModelConfig", "check_table", "table_words"),
    "rules": ("AUTO", "function", "nearest", "number", "one_of", "path", "require", "text", "truth", "whole"),
    "sampling": ("GenerationConfig", "SamplingConfig"),
    "score": ("UNITS", "Alert", "ScoreConfig"),
    "serve": ("ServeSettings",),
    "softmax": ("parse_softmax", "spell_softmax"),
    "tokens": ("token_unit",),
    "train": ("DOCUMENTS", "OPTIMIZERS", "SCHEDULES", "TrainSettings"),
}
"""The file of each name."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"pantoum.config.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'pantoum.config' has no attribute {name!r}")
