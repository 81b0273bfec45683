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
from pantoum.report.wording import count, figure, finite, perplexity, share, size, spoken

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
        lines += _validation(result["validation"])
    if model.exists():
        parameters = f", {count(result['parameters'])} parameters" if result["parameters"] else ""
        lines.append(f"model:  {model} ({size(model.stat().st_size)}{parameters})")
    return [*lines, f"report: {run / 'report.html'}"]


def _validation(found: Mapping[str, Plain] | None) -> list[str]:
    """The validation loss, its unit, and what it means beside xz and bz2 on the same text."""
    if found is None:
        return ["validation: none, because no text was held out"]
    per_character = finite(found.get("nats_per_character"))
    value, unit = (
        (found["nats_per_token"], "token") if per_character is None else (per_character, "character")
    )
    loss = f"{figure(value)} nats per {unit}"
    if found.get("unit") == "word":
        nats = found["nats_per_token"]
        loss = f"{figure(nats)} nats per word, perplexity {perplexity(nats)} per word"
    line = f"validation loss: {loss}, accuracy {share(found['accuracy'])}"
    return [line, *in_words(found)]
