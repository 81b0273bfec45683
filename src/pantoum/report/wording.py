"""Formats figures for people: counts, durations, shares, sizes.

Page, live view and tables use the same formats, so that two views of one run never disagree. A number that is
missing or not finite is an em dash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pantoum.config.plain import Plain

MISSING = "—"
UNITS = ("byte", "character", "word")
HELD_OUT = "segments:64"
"""The protocol of every validation loss of a run (``SEGMENTS`` of evaluation)."""
LEAST_BYTES = 5_000
"""Bytes of a validation text on which a model and a compressor are compared."""


def finite(value: object) -> float | None:
    """The number that ``value`` is, or ``None`` where it is missing, no number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond every float
        return None


def comparable(size: object) -> bool:
    """Whether a validation text of so many bytes is long enough to compare a model with a compressor; one of
    unknown size counts as long."""
    known = finite(size)
    return known is None or known >= LEAST_BYTES


def part_of(whole: Mapping[str, Plain], name: str) -> Mapping[str, Plain]:
    """A part that is a mapping; empty for anything else, for a file may say anything."""
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}


def figure(value: object, digits: int = 3) -> str:
    """A loss or a like figure with a fixed number of decimals, so that columns align."""
    number = finite(value)
    return MISSING if number is None else f"{number:.{digits}f}"


def unit_of(evaluation: Mapping[str, object]) -> str:
    """What a token of an evaluation is; a file may say anything, so one of the words that we know."""
    unit = evaluation.get("unit")
    return unit if isinstance(unit, str) and unit in UNITS else "token"


def loss_in_words(evaluation: Mapping[str, object]) -> tuple[str, str]:
    """The loss of an evaluation as people compare it, and its unit: per character, or per token where these
    are not known. A model of bytes has a loss per byte, for its text may have no characters."""
    per_character, unit = finite(evaluation.get("nats_per_character")), unit_of(evaluation)
    if per_character is None or unit == "byte":
        return figure(evaluation.get("nats_per_token")), f"nats per {unit}"
    return figure(per_character), "nats per character"


def how_measured(evaluation: Mapping[str, object]) -> str:
    """What belongs beside a loss or a perplexity, for brackets: the protocol, and how many targets the
    vocabulary lacks, which make both look better. ``segments:64, 1,234 unknown words``."""
    words = [f"{evaluation.get('protocol') or 'unknown protocol'!s:.40}"]
    words += ["adapting"] if evaluation.get("adapt") is True else []
    if (size := finite(evaluation.get("cache"))) is not None:
        words.append(f"cache of {count(size)} tokens")
    if lacking := finite(evaluation.get("unknown_tokens")):
        words.append(f"{lacking:,.0f} unknown {unit_of(evaluation)}{'' if lacking == 1 else 's'}")
    return ", ".join(words)


def perplexity(nats: object) -> str:
    """The perplexity of a loss in nats, in four digits as papers give it: ``96.42``, ``141.9``, ``1,203``."""
    number = finite(nats)
    if number is None:
        return MISSING
    value = math.exp(min(number, 700.0))
    if value >= 1e6:
        return f"{value:.3g}"
    return f"{value:,.{2 if value < 99.995 else 1 if value < 999.95 else 0}f}"


def scaled(value: float) -> tuple[float, str]:
    """A number and the letter of its thousands: ``(5.14, " M")``; the last letter takes every number."""
    for unit, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= 0.9995 * unit:
            return value / unit, letter
    return value, ""


def count(value: object) -> str:
    """How many, in three digits: ``999``, ``1,234``, ``15.0 k``, ``5.14 M``, ``1.20 G``."""
    number = finite(value)
    if number is None:
        return MISSING
    if abs(number) < 9_999.5:
        return f"{number:,.0f}"
    few, letter = scaled(number)
    return f"{few:,.{2 if abs(few) < 9.995 else 1 if abs(few) < 99.95 else 0}f}{letter}"


def clock(seconds: object) -> str:
    """A duration: ``0:07``, ``4:05``, ``1:02:33``."""
    number = finite(seconds)
    if number is None:
        return MISSING
    minutes, second = divmod(int(max(number, 0.0) + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def spoken(seconds: object) -> str:
    """A duration in words, its two largest parts: ``40 seconds``, ``5 minutes``, ``1 hour 12 minutes``."""
    number = finite(seconds)
    if number is None:
        return MISSING
    whole = int(max(number, 0.0) + 0.5)
    parts = {"hour": whole // 3600, "minute": whole // 60 % 60, "second": whole % 60 if whole < 3600 else 0}
    words = [f"{many:,} {name}{'' if many == 1 else 's'}" for name, many in parts.items() if many]
    return " ".join(words) or "0 seconds"


def share(part: object) -> str:
    """A share of one in percent: ``58.1 %``."""
    number = finite(part)
    return MISSING if number is None else f"{100 * number:.1f} %"


def rate(value: object) -> str:
    """A learning rate or a norm, in three significant digits: ``0.002``, ``3.1e-05``."""
    number = finite(value)
    return MISSING if number is None else f"{number:.3g}"


def size(value: object) -> str:
    """Bytes as people read them: ``6.3 kB``, ``16.5 MB``."""
    number = finite(value)
    if number is None:
        return MISSING
    for unit, letters in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(number) >= unit:
            return f"{number / unit:.1f} {letters}"
    return f"{number:.0f} B"


SIGNALS = {"SIGINT": "by Ctrl-C", "SIGTERM": "by SIGTERM", "SIGHUP": "because the terminal was closed"}
SIGNALS["SIGBREAK"] = "by Ctrl-Break"
SPREAD, ALIKE = 3.0, 0.01
"""Bits, set by hand somewhat above what single bytes of prose have; a share."""


def summary(result: Mapping[str, Any]) -> list[str]:
    """What a session of training came to, in a few lines for the terminal, from the values of ``train
    --json``."""
    stopped, steps, model = result["stopped"], f"step {result['steps']:,}", Path(result["model"])
    if stopped is None:
        lines = [f"finished after {steps}, {count(result['tokens'])} tokens and {spoken(result['seconds'])}"]
        lines += _validation(result["validation"], result.get("monitor") or {})
    else:
        why = SIGNALS.get(str(stopped), "as asked by --stop-after")
        lines = [f"stopped {why} at {steps}; the run is saved and can continue there"]
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
    accuracy = share(evaluation["accuracy"])
    lines = [f"validation loss: {loss} ({how_measured(evaluation)}), accuracy {accuracy}"]
    part, whole = finite(monitor.get("tokens")), finite(evaluation.get("tokens"))
    if part is not None and whole is not None and part < whole:
        lines.append(
            f"while training:  {figure(monitor.get('nats_per_token'))} nats per {unit} at best "
            f"({monitor.get('protocol')}), on {part:,.0f} of these {whole:,.0f} {unit}s"
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
    beside = (
        f"bits per byte:   {figure(bits, 2)}, compared with {figure(xz, 2)} (xz) and {figure(bz2, 2)} (bz2)"
    )
    return [*lines, beside, judgement(bits, xz, bz2, many)]


def judgement(bits: float, xz: float, bz2: float, size: float | None = None) -> str:
    """What the bits per byte of a model and of two compressors mean on a text of ``size`` bytes.

    Nothing is said of a small difference. The bits of one byte lie about ``SPREAD`` around their mean, so the
    mean of n bytes is known to two standard errors, ``2 * SPREAD / sqrt(n)``; ``ALIKE`` of the compressor is
    added, the size of its headers and of what nobody notices.
    """
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
