"""Settings as frozen dataclasses, checked where they are built.

A field is the one declaration of its setting (``setting``): the option of the command line, the keyword of
the Python interface, its type, its check, its help and what a run records are made from it. ``"auto"`` means
"chosen from the text, the time and this machine"; ``None`` means off. Nothing here imports NumPy.

One file per thing that is configured: ``model_config`` (the network), ``train``, ``sampling``, ``score``, all
over ``rules``; an app has its own. Import the names from here; a file is imported when one of its names is
used, so that a command does not pay for the settings of the others.
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
        several,
        text,
        truth,
        whole,
    )
    from pantoum.config.sampling import (
        AskedForm,
        CompleteConfig,
        GenerationConfig,
        SamplingConfig,
        StreamConfig,
    )
    from pantoum.config.score import UNITS, Alert, EvaluationConfig, ScoreConfig
    from pantoum.config.setting import declared
    from pantoum.config.tokens import token_unit
    from pantoum.config.train import (
        BUDGETS,
        DOCUMENTS,
        OF_ONE_COMMAND,
        OPTIMIZERS,
        SCHEDULES,
        TextSettings,
        TrainSettings,
        parse_softmax,
        spell_softmax,
    )

VERSION = "0.1.0"
"""The version of pantoum, the same as in ``pyproject.toml`` (tested)."""

_HOMES = {
    "cells": "CELLS CellSpec",
    "model_config": "SHAPE DropoutConfig ModelConfig check_table table_words",
    "rules": "AUTO function nearest number one_of path require several text truth whole",
    "sampling": "AskedForm CompleteConfig GenerationConfig SamplingConfig StreamConfig",
    "score": "UNITS Alert EvaluationConfig ScoreConfig",
    "setting": "declared",
    "tokens": "token_unit",
    "train": (
        "BUDGETS DOCUMENTS OF_ONE_COMMAND OPTIMIZERS SCHEDULES TextSettings TrainSettings parse_softmax "
        "spell_softmax"
    ),
}
"""The file of each name."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names.split():
            value: object = getattr(import_module(f"pantoum.config.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'pantoum.config' has no attribute {name!r}")
