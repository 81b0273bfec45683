"""How long a run trains: steps, epochs or minutes, how far along it is, and how fast it learns there.

``Budget`` is what was asked. ``Span`` is one stretch of training under one schedule: from where to where,
counted in steps, or in seconds used where the budget is minutes. A run has one span; prolonging a finished
run opens another at the point where its rate began to fall.

``Schedule`` is the learning rate as a function of the progress in a span, 0 to 1. A step asks at its own
middle, so neither its first nor its last update is wasted on a rate of zero, and the rate reaches 0 exactly
where the budget ends.

- ``linear``: linear warm-up, then linear fall to 0: the best model for a length that is known
  (Defazio et al. 2023), and what is chosen where nobody chose.
- ``trapezoid``: linear warm-up, constant, linear decay to 0 over the last 40 % (Haegele et al. 2024): a run
  can be prolonged from the point where the decay begins as if it had been longer from the first.
- ``cosine``: linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter 2017).
- ``constant``: always 1, without warm-up: the original's.

Minutes are minutes of the whole command: ``Clock`` counts from the command's start, which the command
passes in, and goes on from the seconds that earlier sessions of a resumed run used. Steps and epochs read
no clock at all, so that the same command gives the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from pantoum.config import SCHEDULES, TrainSettings, one_of
from pantoum.config.plain import Plain

DEFAULT_MINUTES = 5.0
DECAY = 0.4
"""Share of a trapezoid that is decay."""


@dataclass(frozen=True)
class Budget:
    """An amount of training, in one of three units."""

    kind: str
    """``minutes``, ``steps`` or ``epochs``."""
    amount: float

    @staticmethod
    def asked(settings: TrainSettings) -> Budget | None:
        """The budget that the settings name; ``None`` if they name none."""
        for kind in ("minutes", "steps", "epochs"):
            amount = getattr(settings, kind)
            if amount is not None:
                return Budget(kind, float(amount))
        return None

    @property
    def by_clock(self) -> bool:
        """Whether it is counted in time."""
        return self.kind == "minutes"

    def steps(self, steps_per_epoch: int) -> int:
        """The updates in it, at least one; for steps and epochs."""
        exact = self.amount * (steps_per_epoch if self.kind == "epochs" else 1)
        return max(1, math.ceil(exact - 1e-9))

    def size(self, steps_per_epoch: int) -> float:
        """Its length in the unit that a span counts: seconds, or steps."""
        return self.amount * 60.0 if self.by_clock else float(self.steps(steps_per_epoch))

    def __str__(self) -> str:
        unit = self.kind if self.amount != 1 else self.kind[:-1]
        return f"{self.amount:g} {unit}"


@dataclass(frozen=True)
class Span:
    """One stretch of training under one schedule, from ``begin`` to ``end``.

    In seconds ``end`` is that of the whole command, and training stops before it: the ``reserve`` is kept
    back for what follows, the last evaluation and saving.
    """

    by_clock: bool
    """Whether ``begin`` and ``end`` are seconds used; else steps done."""
    begin: float
    end: float
    warm_up: bool = True
    """Whether the rate rises at its beginning; not where a run is prolonged."""

    @property
    def length(self) -> float:
        """Steps, or seconds."""
        return self.end - self.begin

    def progress(
        self, step: int, seconds: float, *, step_seconds: float = 0.0, reserve: float = 0.0
    ) -> float:
        """How far along, 0 to 1, the middle of the update is that would come now, after ``step`` updates."""
        if self.by_clock:
            here, length = seconds + 0.5 * step_seconds - self.begin, self.end - reserve - self.begin
        else:
            here, length = step + 0.5 - self.begin, self.end - self.begin
        return min(max(here / length, 0.0), 1.0) if length > 0.0 else 1.0

    def over(self, step: int, seconds: float, *, step_seconds: float = 0.0, reserve: float = 0.0) -> bool:
        """Whether nothing is left to train: by the clock, if half of another update would be late."""
        if self.by_clock:
            return seconds + 0.5 * step_seconds >= self.end - reserve
        return step >= self.end

    def used(self, step: int, seconds: float) -> float:
        """Share of the budget used after ``step`` updates and ``seconds``, 0 to 1, for people to see."""
        here = (seconds if self.by_clock else step) - self.begin
        return min(max(here / self.length, 0.0), 1.0) if self.length > 0.0 else 1.0

    def spec(self) -> dict[str, Plain]:
        """Plain values, as a checkpoint keeps them; ``Span(**spec)`` reads them back."""
        return asdict(self)


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


class Clock:
    """Seconds used by a run: those of earlier sessions, and those since this command's start."""

    def __init__(
        self, started: float | None = None, used: float = 0.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._started = now() if started is None else started
        self.used_before = used

    @property
    def seconds(self) -> float:
        """Seconds used until now."""
        return self.used_before + self._now() - self._started
