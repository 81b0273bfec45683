"""A step of a whole model at once: NumPy has none, since a product a layer is all that it could do."""

from __future__ import annotations

from collections.abc import Sequence

from pantoum.kernels.types import Array, StepPart

__all__ = ["stepper"]


def stepper(parts: Sequence[StepPart], tokens_R: Array, states: Sequence[Array], logits_CV: Array) -> None:
    """None: read by scans of one step."""
