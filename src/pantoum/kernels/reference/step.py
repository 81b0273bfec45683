"""A step of a whole model at once: NumPy has none, since a product a layer is all that it could do."""

from __future__ import annotations

from collections.abc import Sequence

from pantoum.kernels.step_model import StepModel
from pantoum.kernels.types import Array

__all__ = ["stepper"]


def stepper(model: StepModel, tokens_R: Array, states: Sequence[Array], logits_CV: Array) -> None:
    """None: read by scans of one step."""
