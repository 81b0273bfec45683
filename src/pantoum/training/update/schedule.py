"""The learning rate over a run, as a share of its highest value: a pure function of the progress made.

Progress goes from 0 to 1 and is steps done by steps to do, or seconds by seconds (``budget.py`` says which);
a step asks at its own middle, so that neither its first nor its last update is wasted on a rate of zero,
and the rate reaches 0 exactly where the budget ends.

- ``linear``: linear warm-up, then linear fall to 0: the best model for a length that is known
  (Defazio et al. 2023), and what is chosen where nobody chose.
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

    kind: str = "linear"
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
        falls = 1.0 - self.warm_up if self.kind == "linear" else DECAY
        return min(1.0, rise, (1.0 - progress) / max(falls, 1e-9))

    @property
    def prolonged_from(self) -> float:
        """The progress up to which a longer run is the same run, so that a finished one goes back to there;
        1: on from the end. A rate that falls all along has no such part that would be worth going back to."""
        return 1.0 - DECAY if self.kind == "trapezoid" else 1.0

    @property
    def rises_again(self) -> bool:
        """Whether a prolonged run begins with a warm-up, because its rate had fallen to 0."""
        return self.kind in ("linear", "cosine")
