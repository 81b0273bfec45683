"""The time of one session of a run: what is used, left and reserved, and where that is in the schedule.

A session lasts from a command's start to its end; a run has one or, if it is resumed, several. Nothing here
is needed by a resumed run: that is the ``RunState``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pantoum.training.assembly import TrainingRun
from pantoum.training.run.budget import Clock
from pantoum.training.run.rhythm import ByClock, BySteps, Costs, Rhythm
from pantoum.training.update.schedule import Schedule

__all__ = ["Timing"]

LATE_SECONDS, LATE_SHARE = 2.0, 0.05
"""How much after the budget of minutes the last reading may end: the larger of the two."""
END_SHARE = 0.01
"""Largest share of the time for scoring the whole held-out text in float32."""
TUNING_SHARE = 0.01
"""The same for tuning a cache, which looks at fewer tokens where these would take longer."""
BYTES_PER_PARAMETER = 4 * 4
"""In a checkpoint: the weight, its average and two moments, each in float32."""


class Timing:
    """What one session of a run asks of the time."""

    def __init__(self, run: TrainingRun, clock: Clock) -> None:
        self.run, self.clock = run, clock
        self.took = 0.0
        """Seconds of the phase that ended last."""
        state = run.state
        if state.span.by_clock and run.opens_span:
            state.open_span(clock.seconds)
        self.schedule = Schedule(state.recipe.schedule, state.recipe.warm_up if state.span.warm_up else 0.0)
        vocab_size, recipe = run.prepared.tokenizer.vocab_size, state.recipe
        self.costs = Costs(
            saved_bytes=BYTES_PER_PARAMETER * run.parameters,
            exact=recipe.work_to_read(vocab_size) / recipe.work(vocab_size),
        )
        self.rhythm: Rhythm = (
            ByClock(state.span, self.costs, clock.seconds, run.checkpoint_every)
            if state.span.by_clock
            else BySteps(state.span, run.checkpoint_every)
        )
        state.spend("preparing", clock.seconds - clock.used_before)

    @property
    def progress(self) -> float:
        """Where in the schedule the next update is, 0 to 1."""
        state = self.run.state
        return state.span.progress(
            state.step, self.clock.seconds, step_seconds=self.costs.step, reserve=self.reserve
        )

    @property
    def rate_factor(self) -> float:
        """The learning rate of the next update, as a share of the highest one."""
        return self.schedule.factor(self.progress)

    @property
    def decays(self) -> bool:
        """Whether the next update is in the part of the schedule where the learning rate falls to its end."""
        begins = self.schedule.prolonged_from
        return begins < 1.0 and self.progress >= begins

    @property
    def over(self) -> bool:
        """Whether the budget is used."""
        state = self.run.state
        return state.span.over(
            state.step, self.clock.seconds, step_seconds=self.costs.step, reserve=self.reserve
        )

    @property
    def reserve(self) -> float:
        """Seconds reserved for the last evaluation and the last save, at most a third of the budget."""
        span = self.run.state.span
        if not span.by_clock:
            return 0.0
        needed = self.costs.reserve(self.last_scoring()[1]) + (self.tuning or 0.0)
        return min(needed, (span.end - span.begin) / 3.0)

    def has_to_end(self) -> bool:
        """Whether the reading of the held-out text must end. The reserve foresees what it takes; on a machine
        that became busy with something else it takes longer, and is cut short a little after the budget."""
        span = self.run.state.span
        late = max(LATE_SECONDS, LATE_SHARE * (span.end - span.begin))
        return self.clock.seconds + self.costs.reserve(0) >= span.end + late

    @property
    def tuning(self) -> float | None:
        """Seconds for tuning a cache; ``None``: as many as it takes."""
        span = self.run.state.span
        if not span.by_clock:
            return None
        return TUNING_SHARE * (span.end - span.begin) if self.run.keep_best.tunes_a_cache else 0.0

    def last_scoring(self) -> tuple[str, int]:
        """The precision in which the end of a run scores the held-out text, and the tokens that it reads."""
        span, keep = self.run.state.span, self.run.keep_best
        if not span.by_clock:
            return keep.at_the_end()
        return keep.at_the_end(END_SHARE * (span.end - span.begin) / max(self.costs.a_token_scored, 1e-12))

    def time_left(self, seconds: float) -> float | None:
        """Seconds to the end of the budget, after ``seconds``; ``None`` before a step was measured."""
        state = self.run.state
        if state.span.by_clock:
            return max(0.0, state.span.end - seconds)
        trained = state.phases["training"]
        whole = sum(state.phases.values()) - state.phases["preparing"]
        if trained == 0.0:
            return None
        return max(0.0, state.span.end - state.step) * self.costs.step * whole / trained

    def stepped(self, seconds: float, targets: int) -> None:
        """A step took so long, for so many targets."""
        self.run.state.spend("training", seconds)
        self.costs.stepped(seconds, targets)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the phase ``name`` of the run; ``took`` has it at the end."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.took = time.perf_counter() - began
            self.run.state.spend(name, self.took)
