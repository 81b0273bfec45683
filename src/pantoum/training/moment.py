"""What the hooks after a step know of one another: the step, and what the earlier hooks found at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Hook", "Moment"]


@dataclass
class Moment:
    """The moment after a step."""

    step: int
    """Updates done."""
    seconds: float
    """Seconds used when the first hook was called."""
    evaluated: bool = False
    """Whether the validation loss was measured at this step."""
    valid: float | None = None
    """The validation loss; nats per token by ``segments:64``."""
    sample: str | None = None
    """A text that the model wrote at this step."""


Hook = Callable[[Moment], None]
"""Decides by itself whether it is due, and acts if it is."""
