"""What a session of training came to, in a few lines for the terminal: how far it went, how well the model
predicts the validation text and what that means beside the compressors xz and bz2, and where the files are.

Nothing is said of a short text: a compressor starts from nothing and writes a header, so there it does worse
than it can. Nothing is said of a small difference either. The bits of one byte lie about ``SPREAD`` around
their mean, so the mean of n bytes is known to two standard errors, ``2 * SPREAD / sqrt(n)``; ``ALIKE`` of the
compressor is added, the size of its headers and of what nobody notices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pantoum.config.plain import Plain
from pantoum.report.wording import (
    LEAST_BYTES,
    comparable,
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

__all__ = ["judgement", "summary"]

SIGNALS = {"SIGINT": "by Ctrl-C", "SIGTERM": "by SIGTERM", "SIGHUP": "because the terminal was closed"}
SIGNALS["SIGBREAK"] = "by Ctrl-Break"
SPREAD, ALIKE = 3.0, 0.01
"""Bits, set by hand somewhat above what single bytes of prose have; a share."""


def summary(result: Mapping[str, Any]) -> list[str]:
    """The lines, from the values of ``train --json``."""
    stopped, steps, model = result["stopped"], f"step {result['steps']:,}", Path(result["model"])
    if stopped is None:
        lines = [f"finished after {steps}, {count(result['tokens'])} tokens and {spoken(result['seconds'])}"]
        lines += _validation(result["validation"], result.get("monitor") or {})
    else:
        why = SIGNALS.get(str(stopped), "as asked by --stop-after")
        lines = [f"stopped {why} at {steps}; the run is saved and goes on from there"]
    if model.exists():
        parameters = f", {count(result['parameters'])} parameters" if result["parameters"] else ""
        lines.append(f"model:  {model} ({size(model.stat().st_size)}{parameters})")
    return [*lines, f"report: {Path(result['run']) / 'report.html'}"]


def _validation(evaluation: Mapping[str, Plain] | None, monitor: Mapping[str, Plain]) -> list[str]:
    """The validation loss and its unit; why the loss that was shown during training is another one, where it
    is that of a part of the text; what it means beside xz and bz2."""
    if evaluation is None:
        return ["validation: none, because no text was held out"]
    loss, unit = " ".join(loss_in_words(evaluation)), unit_of(evaluation)
    if unit == "word":
        nats = evaluation["nats_per_token"]
        loss = f"{figure(nats)} nats per word, perplexity {perplexity(nats)} per word"
    lines = [f"validation loss: {loss}, accuracy {share(evaluation['accuracy'])}"]
    part, whole = finite(monitor.get("tokens")), finite(evaluation.get("tokens"))
    if part is not None and whole is not None and part < whole:
        lines.append(
            f"while training:  {figure(monitor.get('nats_per_token'))} nats per {unit} at best, on the first "
            f"{part:,.0f} of the {whole:,.0f} {unit}s held out"
        )
    names = ("bits_per_byte", "xz_bits_per_byte", "bz2_bits_per_byte", "bytes")
    bits, xz, bz2, many = (finite(evaluation.get(name)) for name in names)
    if bits is None or xz is None or bz2 is None:
        return lines
    if not comparable(many):
        text = "1 byte" if many == 1 else f"{many:,.0f} bytes"
        return [
            *lines,
            f"bits per byte:   {figure(bits, 2)} on a validation text of {text}: too few to compare with xz "
            f"and bz2 ({LEAST_BYTES:,} are enough)",
        ]
    beside = f"bits per byte:   {figure(bits, 2)}, beside {figure(xz, 2)} (xz) and {figure(bz2, 2)} (bz2)"
    return [*lines, beside, judgement(bits, xz, bz2, many)]


def judgement(bits: float, xz: float, bz2: float, size: float | None = None) -> str:
    """What the bits per byte of a model and of two compressors mean on a text of ``size`` bytes."""
    error = 0.0 if size is None else 2.0 * SPREAD / math.sqrt(size)
    others = {"xz": xz, "bz2": bz2}
    better = [name for name, other in others.items() if bits < other * (1.0 - ALIKE) - error]
    worse = [name for name, other in others.items() if bits > other * (1.0 + ALIKE) + error]
    alike = [name for name in others if name not in better + worse]
    model = "the model predicts the validation text"
    if len(better) == 2:
        return f"{model} better than xz and bz2 compress it"
    if better:
        return f"{model} better than {better[0]} compresses it, not yet better than {(alike + worse)[0]}"
    if len(alike) == 2:
        return f"{model} about as well as xz and bz2 compress it; more text or more time helps"
    if alike:
        return f"{model} about as well as {alike[0]} compresses it; {worse[0]} compresses it better"
    return "xz and bz2 compress the validation text better; more text or more time helps"
