"""``export``: a model in another form, in a file of its own; the model itself is only read.

``int8`` gives an ordinary model file. Other forms are those of the entry points ``pantoum.exporters``: a
function ``(content, out, texts)`` that writes the file or folder and returns facts of it for JSON. ``notes``
among them are warnings, ``hints`` lines for the person.

In int8 each row of each matrix becomes codes of eight bits and a scale, and tables of logits become compact
(``compact_table``); biases stay float32. The file is an ordinary model, with a SHA-256 and
therefore states of its own; its products are those of the codes. What it costs is measured, not promised:
both models read the same text by ``carried``, and the difference of their losses goes into the card, with the
protocol and the number of targets. The file of a finished run may hold codes itself: the cost is that beside
its weights as they are read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pantoum import extensions
from pantoum.config import one_of, require
from pantoum.config.plain import Plain
from pantoum.config.rules import require_apart
from pantoum.errors import ModelFileError, SettingError
from pantoum.formats import durable, model_file
from pantoum.formats.model_file import ModelFile, named_texts
from pantoum.inference.cache_settings import CARD_KEY
from pantoum.inference.evaluation import Progress, evaluate
from pantoum.inference.files.precision import PRECISION, SCALE, coded_names, compacted, plain, shape_of
from pantoum.inference.loaded_model import (
    checked,
    counts_of,
    load,
    model_path,
    of_content,
)
from pantoum.kernels import Array, backend
from pantoum.network.spec import named

INT8 = "int8"
"""Where the card of an int8 model says what it was made from and what that cost."""


def forms() -> tuple[str, ...]:
    """All forms that ``export`` can give."""
    return (INT8, *extensions.names("exporters"))


def export(
    model: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    texts: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write ``model`` as ``to`` into ``out``; the facts of the new file, for JSON."""
    one_of(to, "to", forms())
    if to != INT8:
        require(not texts, "text", " ".join(map(str, texts)), "measures what int8 costs", "leave it out")
    path, target = model_path(Path(model)), Path(out)
    require_apart("out", out, "the model itself", [path])
    require_apart("out", out, "a text that is read", texts)
    durable.clear_left_behind(target)
    content = model_file.read(path)
    network, _, _ = checked(content, path)
    counts_of(content.extras, network.vocab_size, path)
    told: dict[str, Any] = {
        "out": os.fspath(out),
        "to": to,
        "made_from": content.sha256,
        "bytes_before": path.stat().st_size,
    }
    if to != INT8:
        facts = extensions.find("exporters", to)(content, target, texts)
        return {**told, "bytes": target.stat().st_size, "notes": [], **facts}
    made, notes = to_int8(content), list[str]()
    if texts:
        measured, notes = _cost(path, made, texts, progress)
        made = replace(made, card={**made.card, INT8: {**made.card[INT8], "cost": measured}})
    sha256 = model_file.write(target, made)
    return {
        **told,
        "bytes": target.stat().st_size,
        "sha256": sha256,
        "cost": made.card[INT8]["cost"],
        "notes": notes,
    }


def _cost(
    path: Path, made: ModelFile, texts: Sequence[str], progress: Progress | None
) -> tuple[dict[str, Plain], list[str]]:
    """(what int8 costs on some texts, nats per token by ``carried``; notes on the texts)."""
    from pantoum.data.prepare import prepare

    models = load(path), of_content(made, path, lambda: plain(made).parameters)
    prepared = prepare(list(texts), tokenizer=models[0].tokenizer, valid_fraction=0.0, out=None)
    tokens, losses = prepared.train.tokens, list[float]()
    targets = len(tokens) - 1

    def count(done: int, _: int) -> None:
        if progress is not None:
            progress(len(losses) * targets + done, 2 * targets)

    for model in models:
        found = evaluate(model.program, tokens, model.tokenizer, "carried", compress=False, progress=count)
        losses.append(found.nats_per_token)
    figures = {"float32": losses[0], "int8": losses[1], "nats_per_token": losses[1] - losses[0]}
    measured: dict[str, Plain] = {"protocol": "carried", "tokens": targets, **figures}
    return {**measured, **named_texts(prepared.facts["texts"])}, prepared.notes


def notes_on_cache(content: ModelFile, what: str) -> list[str]:
    """The note that a model that knows a cache loses it in another form."""
    cached = f"{what} does not have the cache, which `evaluate --cache` and others use"
    return [cached] if CARD_KEY in content.card else []


def to_int8(content: ModelFile) -> ModelFile:
    """The same model with its matrices in int8."""
    shape, precision = shape_of(content.config)
    if precision == "int8":
        raise SettingError("to", "int8", "is already the precision of this model", "give the float32 model")
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
    card = {**content.card, INT8: {"made_from": content.sha256, "cost": None}}
    return replace(content, config={**content.config, PRECISION: "int8"}, parameters=made, card=card)
