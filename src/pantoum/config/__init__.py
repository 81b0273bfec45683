"""Settings as frozen dataclasses: one docstring per field, checked where they are built.

The options of the command line are made from these fields (``help``, ``choices``, ``metavar`` and ``chosen``
in the metadata of each field), so that an option, a Python keyword and a field have one name and one text.
``"auto"`` means "chosen from the text, the time and this machine"; ``None`` means off. Nothing here imports
NumPy.

One file per thing that is configured: ``model`` (the network), ``train``, ``writing``, ``score``, all over
``rules``. Import the names from here.
"""

from __future__ import annotations

from pantoum.config.cells import CELLS, CellSpec
from pantoum.config.model import NORMS, DropoutConfig, ModelConfig, check_table
from pantoum.config.rules import AUTO, function, nearest, number, one_of, path, require, text, truth, whole
from pantoum.config.score import UNITS, Alert, ScoreConfig
from pantoum.config.serve import ServeSettings
from pantoum.config.softmax import parse_softmax, spell_softmax
from pantoum.config.train import DOCUMENTS, OPTIMIZERS, SCHEDULES, TOKENS_RULE, TrainSettings, token_unit
from pantoum.config.writing import GenerationConfig, SamplingConfig

__all__ = [
    "AUTO",
    "CELLS",
    "DOCUMENTS",
    "NORMS",
    "OPTIMIZERS",
    "SCHEDULES",
    "TOKENS_RULE",
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
    "text",
    "token_unit",
    "truth",
    "whole",
]

VERSION = "0.1.0"
"""The version of pantoum, the same as in ``pyproject.toml`` (tested)."""
