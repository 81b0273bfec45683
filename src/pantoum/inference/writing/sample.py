"""Sampling settings as the draw takes them: a value for each column of a row.

``kernels.reference.sample`` defines what is drawn, and from which random numbers. Here settings become
numbers: greedy is temperature 0, and a filter that is not asked for is off.
"""

from __future__ import annotations

from pantoum.config import SamplingConfig

__all__ = ["columns"]

LARGEST = 2**31 - 1
"""The largest ``top_k`` that its column holds: more than any vocabulary has, so that the filter is off."""


def columns(sampling: SamplingConfig) -> dict[str, float]:
    """The columns of ``kernels.DrawRows`` that a row with these settings has."""
    asked = {
        "top_k": None if sampling.top_k is None else min(sampling.top_k, LARGEST),
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "penalty": sampling.repetition_penalty,
    }
    found: dict[str, float] = {name: value for name, value in asked.items() if value is not None}
    found["temperature"] = 0.0 if sampling.greedy else sampling.temperature
    return found
