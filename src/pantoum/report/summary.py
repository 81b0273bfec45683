"""What a session of training came to, in a few lines for the terminal.

A pure function of a result's plain values: how far it went, how well the model predicts the validation text
and what that means beside the compressors xz and bz2, and where the files are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pantoum.config.plain import Plain
from pantoum.report.wording import count, figure, finite, perplexity, share, size, spoken

__all__ = ["judgement", "summary"]

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
    bits, xz, bz2 = (finite(found.get(f"{name}bits_per_byte")) for name in ("", "xz_", "bz2_"))
    loss = f"{figure(value)} nats per {unit}"
    if found.get("unit") == "word":
        nats = found["nats_per_token"]
        loss = f"{figure(nats)} nats per word, perplexity {perplexity(nats)} per word"
    line = f"validation loss: {loss}, accuracy {share(found['accuracy'])}"
    if bits is None or xz is None or bz2 is None:
        return [line]
    compared = f"bits per byte:   {figure(bits, 2)}, beside {figure(xz, 2)} (xz) and {figure(bz2, 2)} (bz2)"
    return [line, compared, judgement(bits, xz, bz2)]


def judgement(bits: float, xz: float, bz2: float) -> str:
    """What the bits per byte of a model and of two compressors on the same text mean."""
    if bits < min(xz, bz2):
        return "the model predicts the validation text better than xz and bz2 compress it"
    if bits < max(xz, bz2):
        better, other = ("xz", "bz2") if xz > bz2 else ("bz2", "xz")
        return (
            f"the model predicts the validation text better than {better} compresses it, not yet better than "
            f"{other}"
        )
    return "xz and bz2 compress the validation text better; more text or more time helps"
