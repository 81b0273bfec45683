"""What a session of training came to, in a few lines for the terminal.

A pure function of a result's plain values: how far it went, how well the model predicts the validation text
and what that means beside the compressors xz and bz2, and where the files are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pantoum.config.plain import Plain
from pantoum.report.judgement import in_words
from pantoum.report.wording import (
    count,
    figure,
    finite,
    loss_in_words,
    perplexity,
    share,
    size,
    spoken,
    unit_of,
)

__all__ = ["summary"]

SIGNALS = {"SIGINT": "by Ctrl-C", "SIGTERM": "by SIGTERM", "SIGHUP": "because the terminal was closed"}


def summary(result: Mapping[str, Any]) -> list[str]:
    """The lines, from the values of ``train --json``."""
    run, model, stopped = Path(result["run"]), Path(result["model"]), result["stopped"]
    steps = f"step {result['steps']:,}"
    if stopped is not None:
        why = SIGNALS.get(str(stopped), "as asked by --stop-after")
        lines = [f"stopped {why} at {steps}; the run is saved and goes on from there"]
    else:
        tokens = f"{count(result['tokens'])} tokens"
        lines = [f"finished after {steps}, {tokens} and {spoken(result['seconds'])}"]
    if stopped is None:
        lines += _validation(result["validation"], result.get("monitor"))
    if model.exists():
        parameters = f", {count(result['parameters'])} parameters" if result["parameters"] else ""
        lines.append(f"model:  {model} ({size(model.stat().st_size)}{parameters})")
    return [*lines, f"report: {run / 'report.html'}"]


def _validation(found: Mapping[str, Plain] | None, monitor: Mapping[str, Plain] | None) -> list[str]:
    """The validation loss, its unit, how it differs from the curve's, and what it means beside xz and bz2 on
    the same text."""
    if found is None:
        return ["validation: none, because no text was held out"]
    loss = " ".join(loss_in_words(found))
    if found.get("unit") == "word":
        nats = found["nats_per_token"]
        loss = f"{figure(nats)} nats per word, perplexity {perplexity(nats)} per word"
    line = f"validation loss: {loss}, accuracy {share(found['accuracy'])}"
    return [line, *_monitored(found, monitor), *in_words(found)]


def _monitored(found: Mapping[str, Plain], monitor: Mapping[str, Plain] | None) -> list[str]:
    """Why the loss that was shown during training is another one, where it is: it is that of a part."""
    part, whole = finite((monitor or {}).get("tokens")), finite(found.get("tokens"))
    if monitor is None or part is None or whole is None or part >= whole:
        return []
    unit = unit_of(found)
    return [
        f"while training:  {figure(monitor.get('nats_per_token'))} nats per {unit} at best, on the first "
        f"{part:,.0f} of the {whole:,.0f} {unit}s held out"
    ]
