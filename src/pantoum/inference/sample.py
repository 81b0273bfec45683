"""Sampling settings as the draw takes them: a value for each column of a row.

What is drawn, and from which random numbers, stands in ``kernels.reference.sample``. Here a person's settings
become numbers: greedy is temperature 0, and a filter that is not asked for is off.
"""

from __future__ import annotations

from pantoum.config import SamplingConfig

__all__ = ["columns"]


def columns(sampling: SamplingConfig) -> dict[str, float]:
    """The columns of ``kernels.DrawRows`` that a row with these settings has."""
    asked = {
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "penalty": sampling.repetition_penalty,
    }
    found: dict[str, float] = {name: value for name, value in asked.items() if value is not None}
    found["temperature"] = 0.0 if sampling.greedy else sampling.temperature
    return found
