"""The time of one session of a run: what is used, left and reserved, and when something is due.

A session lasts from a command's start to its end; a run has one or, if it is resumed, several. Nothing here
is needed by a resumed run: that is the ``RunState``.

``BySteps``: evaluation and saving on a grid of ``max(1, steps // 20)`` steps, by counting alone, so that the
same command does the same things at the same steps wherever it is stopped and resumed.

``ByClock``: by the measured costs: evaluation takes at most 1.5 % of the time, saving 1 %, samples 1 %.
Twenty evaluations per run are enough. So that the curve of a short run is a curve, there are three early
evaluations and at least eight in all, as long as they take at most 6 % of the time. A save is due at least
once in five minutes, for that is what a crash would cost.

``Costs`` has what things took; its ``reserve`` is what the last evaluation and saving will. Where a machine
has become busy since the last evaluation, steps are slower, and the reserve is longer by as much.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pantoum.training.assembly import TrainingRun
from pantoum.training.run.budget import Clock, Schedule, Span

EVALUATIONS = 20
EVALUATION_SHARE, SAVING_SHARE, SAMPLING_SHARE = 0.015, 0.01, 0.01
EARLY, FEWEST, MOST_SHARE = (0.02, 0.05, 0.08), 8, 0.06
"""Shares of the run at the first evaluations; evaluations in a short run, and the most time for them."""
SOONEST_SAVE, LATEST_SAVE = 5.0, 300.0
SAVED_BYTES_PER_SECOND = 100e6
"""A cautious guess until a save was measured."""
FORWARD = 0.4
"""Seconds of a token scored, as a share of a token trained: a guess until an evaluation was measured."""
MOST_FORWARD = 0.5
"""The same share at most, whatever a short evaluation took: the rest of its time is not for its tokens."""
SLOWEST = 4.0
"""A step counts as at most so many times the mean: a pause of the machine is not its pace, which shows within
a few steps."""
LEAVING = 0.2
"""Seconds to write the page and to end the process."""
CURVE_POINTS = 100
LATE_SECONDS, LATE_SHARE = 2.0, 0.05
"""How much after the budget of minutes the last reading may end: the larger of the two."""
END_SHARE, TUNING_SHARE = 0.01, 0.01
"""Largest shares of the time for scoring the whole held-out text in float32, and for tuning a cache, which
looks at fewer tokens where these would take longer."""
BYTES_PER_PARAMETER = 4 * 4
"""In a checkpoint: the weight, its average and two moments, each in float32."""


class Costs:
    """Seconds that things took, the newer the heavier."""

    def __init__(self, *, saved_bytes: int = 0, exact: float = 1.0) -> None:
        """``exact``: the work of a token with all symbols, as a multiple of its work in training, where each
        target is compared with a sample of a large vocabulary."""
        self._exact = exact
        self.step = self.token = 0.0
        """A step, and a token trained."""
        self.evaluation: float | None = None
        """An evaluation of the monitored part, both kinds of weights."""
        self.scored: float | None = None
        """A token scored."""
        self._begun = 0.0
        """What an evaluation takes besides its tokens: buffers, packing, the first one's imports."""
        self._paced = 0.0
        """A token trained, when the last evaluation was measured."""
        self.saving = saved_bytes / SAVED_BYTES_PER_SECOND
        self.sampling = 0.0

    def stepped(self, seconds: float, tokens: int) -> None:
        """An update took so long. The first steps make buffers, so they are soon forgotten."""
        seconds = min(seconds, SLOWEST * self.step) if self.step else seconds
        self.step = seconds if self.step == 0.0 else self.step + 0.2 * (seconds - self.step)
        self.token = self.step / tokens

    def evaluated(self, seconds: float, tokens: int) -> None:
        """An evaluation took so long for so many tokens read, those that warm included."""
        most = MOST_FORWARD * self._exact * self.token if self.token else math.inf
        self.evaluation, self.scored = seconds, min(seconds / tokens, most)
        self._begun, self._paced = seconds - self.scored * tokens, self.token

    def saved(self, seconds: float) -> None:
        """Saving took so long."""
        self.saving = seconds

    def reserve(self, scored_at_the_end: int) -> float:
        """Seconds kept back for the last evaluation of so many tokens, and the last save."""
        scoring = self._begun * self.slower + self.a_token_scored * scored_at_the_end
        return scoring + 1.5 * self.saving + LEAVING

    @property
    def slower(self) -> float:
        """Times that steps take of what they took at the last evaluation; at least 1."""
        return max(1.0, self.token / self._paced) if self._paced else 1.0

    @property
    def a_token_scored(self) -> float:
        """Seconds of one, as measured at the pace of now or, before the first evaluation, guessed."""
        return self.token * FORWARD * self._exact if self.scored is None else self.scored * self.slower


class BySteps:
    """What is due on a grid of steps; reads no clock."""

    def __init__(self, span: Span, checkpoint_every: int | None) -> None:
        self._begin, self._length = int(span.begin), int(span.end - span.begin)
        self._every = max(1, self._length // EVALUATIONS)
        """Steps between evaluations, and between saves that are always made."""
        self._save_every = checkpoint_every

    def _on_grid(self, step: int, every: int) -> bool:
        done = step - self._begin
        return done % every == 0 or done == self._length

    def evaluation_due(self, step: int, seconds: float) -> bool:
        """On the grid, and at the end."""
        return self._on_grid(step, self._every)

    def saving_due(self, step: int, seconds: float) -> bool:
        """On the same grid, and on the one that was asked for."""
        asked = self._save_every is not None and step % self._save_every == 0
        return asked or self.evaluation_due(step, seconds)

    def sample_due(self, step: int, seconds: float) -> bool:
        """With every fourth evaluation, and at the end."""
        return self._on_grid(step, 4 * self._every)

    def point_due(self, step: int, seconds: float) -> bool:
        """A hundred times a run, and with each evaluation."""
        return (step - self._begin) % max(1, self._length // CURVE_POINTS) == 0

    def recovers_here(self, step: int, seconds: float) -> bool:
        """On the grid alone: where a rollback goes must not depend on stops and on what else is saved."""
        return self.evaluation_due(step, seconds)

    def done(self, what: str, seconds: float) -> None:
        """Nothing depends on it."""


class ByClock:
    """What is due by the time that has gone and what things cost."""

    def __init__(self, span: Span, costs: Costs, begin: float, checkpoint_every: int | None) -> None:
        self._costs, self._begin = costs, span.begin
        self._length = max(span.end - span.begin, 1e-9)
        self._save_every = checkpoint_every
        self._last = {**dict.fromkeys(("evaluation", "saving", "sample", "point"), begin), "good": -math.inf}
        """When each was done last."""

    def evaluation_due(self, step: int, seconds: float) -> bool:
        """Every twentieth of the run, more rarely where that would cost too much; and early on."""
        cost, last = self._costs.evaluation or 0.0, self._last["evaluation"]
        if cost <= MOST_SHARE / FEWEST * self._length and any(
            last < self._begin + early * self._length <= seconds for early in EARLY
        ):
            return True
        cheap = min(cost / EVALUATION_SHARE, max(self._length / FEWEST, cost / MOST_SHARE))
        return seconds - last >= max(self._length / EVALUATIONS, cheap)

    def saving_due(self, step: int, seconds: float) -> bool:
        """By the steps asked for; else by time: rarely enough to be cheap, often enough to lose little."""
        if self._save_every is not None:
            return step % self._save_every == 0
        pause = min(max(SOONEST_SAVE, self._costs.saving / SAVING_SHARE), LATEST_SAVE)
        return seconds - self._last["saving"] >= pause

    def recovers_here(self, step: int, seconds: float) -> bool:
        """A twentieth of the run after the last: of every step, all would stand beside the trouble."""
        return self._passed("good", seconds, self._length / EVALUATIONS)

    def sample_due(self, step: int, seconds: float) -> bool:
        """Where the last sample's time has become a small share of what has passed since."""
        return self._passed("sample", seconds, self._costs.sampling / SAMPLING_SHARE)

    def point_due(self, step: int, seconds: float) -> bool:
        """A hundred times a run."""
        return self._passed("point", seconds, self._length / CURVE_POINTS)

    def done(self, what: str, seconds: float) -> None:
        """An ``evaluation`` or a ``saving`` was done: count from here."""
        self._last[what] = seconds

    def _passed(self, what: str, seconds: float, pause: float) -> bool:
        due = seconds - self._last[what] >= pause
        if due:
            self._last[what] = seconds
        return due


Rhythm: TypeAlias = BySteps | ByClock
"""Asked after every step, evaluation first, saving last."""


class Timing:
    """What one session of a run asks of the time."""

    def __init__(self, run: TrainingRun, clock: Clock) -> None:
        self.run, self.clock = run, clock
        self.took = 0.0
        """Seconds of the phase that ended last."""
        state, recipe = run.state, run.state.recipe
        if state.span.by_clock and run.opens_span:
            state.open_span(clock.seconds)
        self.schedule = Schedule(recipe.schedule, recipe.warm_up if state.span.warm_up else 0.0)
        vocab_size = run.prepared.tokenizer.vocab_size
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
        return min(needed, span.length / 3.0)

    def has_to_end(self) -> bool:
        """Whether the reading of the held-out text must end. The reserve foresees what it takes; on a machine
        that became busy with something else it takes longer, and is cut short a little after the budget."""
        span = self.run.state.span
        late = max(LATE_SECONDS, LATE_SHARE * span.length)
        return self.clock.seconds + self.costs.reserve(0) >= span.end + late

    @property
    def tuning(self) -> float | None:
        """Seconds for tuning a cache; ``None``: as many as it takes."""
        span = self.run.state.span
        if not span.by_clock:
            return None
        return TUNING_SHARE * span.length if self.run.keep_best.tunes_a_cache else 0.0

    def last_scoring(self) -> tuple[str, int]:
        """The precision in which the end of a run scores the held-out text, and the tokens that it reads."""
        span, keep = self.run.state.span, self.run.keep_best
        if not span.by_clock:
            return keep.at_the_end()
        return keep.at_the_end(END_SHARE * span.length / max(self.costs.a_token_scored, 1e-12))

    def time_left(self, seconds: float) -> float | None:
        """Seconds to the end of the budget, after ``seconds``; ``None`` before a step was measured."""
        state = self.run.state
        if state.span.by_clock:
            return max(0.0, state.span.end - seconds)
        trained = state.phases["training"]
        if trained == 0.0:
            return None
        whole = sum(state.phases.values()) - state.phases["preparing"]
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
