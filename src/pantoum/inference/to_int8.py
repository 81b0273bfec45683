"""A model's file in int8, and what that costs.

Each row of each matrix becomes codes of eight bits and a scale, and tables of logits become compact
(``compact_table``); biases stay float32. The file is an ordinary model, with a SHA-256 and
therefore states of its own; its products are those of the codes. What it costs is measured, not promised:
both models read the same text by ``carried``, and the difference of their losses goes into the card, with the
protocol and the number of targets. The file of a finished run may hold codes itself: the cost is that beside
its weights as they are read.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pantoum.config.plain import Plain
from pantoum.errors import ModelFileError, SettingError
from pantoum.formats.model_file import ModelFile
from pantoum.inference.evaluation import Progress, evaluate
from pantoum.inference.files.compact_matrices import coded_names
from pantoum.inference.files.compact_table import compacted
from pantoum.inference.files.precision import PRECISION, SCALE, shape_of
from pantoum.inference.loaded_model import LoadedModel
from pantoum.kernels import Array, backend
from pantoum.network.spec import named

__all__ = ["CARD_KEY", "cost", "to_int8", "with_cost"]

CARD_KEY = "int8"
"""Where the card of an int8 model says what it was made from and what that cost."""


def to_int8(content: ModelFile) -> ModelFile:
    """The same model with its matrices in int8."""
    shape, precision = shape_of(content.config)
    if precision == "int8":
        raise SettingError("to", "int8", "is what this model is already", "give the float32 model")
    kernels, made = backend(np.float32), dict[str, Array]()
    parameters, _ = compacted(content.parameters, named(shape, "table"))
    coded = coded_names(parameters)
    for name, array in parameters.items():
        if name.endswith(SCALE) and name[: -len(SCALE)] not in coded:
            raise ModelFileError(f"parameter {name!r} has the name of a scale; use another model")
        if array.ndim != 2 or name in coded:  # codes are what they will be
            made[name] = array
            continue
        made[name], made[name + SCALE] = kernels.quantize(np.ascontiguousarray(array, np.float32))
    card = {**content.card, CARD_KEY: {"made_from": content.sha256, "cost": None}}
    return replace(content, config={**content.config, PRECISION: "int8"}, parameters=made, card=card)


def cost(
    before: LoadedModel, after: LoadedModel, tokens: Array, progress: Progress | None = None
) -> dict[str, Plain]:
    """What the change costs on a text, nats per token by ``carried``."""
    total = 2 * (len(tokens) - 1)
    losses, scored = [], 0

    def count(done: int, _: int) -> None:
        if progress is not None:
            progress(scored + done, total)

    for model in (before, after):
        found = evaluate(model.program, tokens, model.tokenizer, "carried", compress=False, progress=count)
        losses.append(found.nats_per_token)
        scored += found.tokens
    return {
        "protocol": "carried",
        "tokens": len(tokens) - 1,
        "float32": losses[0],
        "int8": losses[1],
        "nats_per_token": losses[1] - losses[0],
    }


def with_cost(content: ModelFile, measured: dict[str, Plain]) -> ModelFile:
    """The int8 model with the measured cost on its card."""
    return replace(content, card={**content.card, CARD_KEY: {**content.card[CARD_KEY], "cost": measured}})
