"""The learning rate over a run, as a share of its highest value: a pure function of the progress made.

Progress goes from 0 to 1 and is steps done by steps to do, or seconds by seconds (``budget.py`` says which);
a step asks at its own middle, so that neither its first nor its last update is wasted on a rate of zero,
and the rate reaches 0 exactly where the budget ends.

- ``trapezoid``: linear warm-up, constant, linear decay to 0 over the last 40 % (Haegele et al. 2024): a run
  can be prolonged from the point where the decay begins as if it had been longer from the first.
- ``cosine``: linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter 2017).
- ``constant``: always 1, without warm-up: the original's.

Nothing here knows a clock, a step or an optimiser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pantoum.config import SCHEDULES, one_of

__all__ = ["DECAY", "Schedule"]

DECAY = 0.4
"""Share of a trapezoid that is decay."""


@dataclass(frozen=True)
class Schedule:
    """A shape of the rate, and the share of the run that is warm-up (0 where a run is prolonged)."""

    kind: str = "trapezoid"
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        one_of(self.kind, "schedule", SCHEDULES)

    def factor(self, progress: float) -> float:
        """The rate at ``progress`` (0 to 1) as a share of the highest."""
        if self.kind == "constant":
            return 1.0
        progress = min(max(progress, 0.0), 1.0)
        rise = progress / self.warm_up if self.warm_up > 0.0 else 1.0
        if self.kind == "cosine":
            if progress < self.warm_up:
                return rise
            return 0.5 * (1.0 + math.cos(math.pi * (progress - self.warm_up) / (1.0 - self.warm_up)))
        return min(1.0, rise, (1.0 - progress) / DECAY)

    @property
    def decay_begins(self) -> float:
        """The progress at which the rate begins to fall; 1 if it never does."""
        return {"constant": 1.0, "cosine": self.warm_up, "trapezoid": 1.0 - DECAY}[self.kind]
