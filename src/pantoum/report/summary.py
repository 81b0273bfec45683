"""What a session of training came to, in a few lines for the terminal.

A pure function of a result's plain values: how far it went, how well the model predicts the validation text
and what that means beside the compressors xz and bz2, and where the files are.

What the bits per byte of a model mean beside those of the compressors xz and bz2 on the same text.

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

__all__ = ["comparable", "judgement", "summary"]

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


LEAST_BYTES = 5_000
"""Bytes of a validation text on which a model and a compressor are compared."""
SPREAD, ALIKE = 3.0, 0.01
"""Bits, set by hand somewhat above what single bytes of prose have; a share."""


def comparable(size: object) -> bool:
    """Whether a validation text of so many bytes is long enough; one of unknown size counts as long."""
    known = finite(size)
    return known is None or known >= LEAST_BYTES


def in_words(found: Mapping[str, object]) -> list[str]:
    """The bits per byte of these validation figures, and what they mean; nothing where they are missing."""
    bits, xz, bz2, size = (
        finite(found.get(name))
        for name in ("bits_per_byte", "xz_bits_per_byte", "bz2_bits_per_byte", "bytes")
    )
    if bits is None or bits <= 0 or xz is None or bz2 is None:
        return []
    if not comparable(size):
        many = "1 byte" if size == 1 else f"{size:,.0f} bytes"
        return [
            f"bits per byte:   {figure(bits, 2)} on a validation text of {many}: too few to compare with xz "
            f"and bz2 ({LEAST_BYTES:,} are enough)"
        ]
    return [
        f"bits per byte:   {figure(bits, 2)}, beside {figure(xz, 2)} (xz) and {figure(bz2, 2)} (bz2)",
        judgement(bits, xz, bz2, size),
    ]


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
