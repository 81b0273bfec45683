"""When to evaluate, save, sample and report, and how much time the end needs.

``BySteps``: evaluation and saving on a grid of ``max(1, steps // 20)`` steps, by counting alone, so that the
same command does the same things at the same steps wherever it is stopped and resumed.

``ByClock``: by the measured costs: evaluation takes at most 1.5 % of the time, saving 1 %, samples 1 %.
Twenty evaluations per run are enough. So that the curve of a short run is a curve, there are two early
evaluations and at least eight in all, as long as they take at most 6 % of the time. A save is due at least
once in five minutes, for that is what a crash would cost.

``Costs`` remembers what things took; ``reserve`` is what the last evaluation and saving will. Where a machine
has become busy since the last evaluation, steps are slower, and the reserve is longer by as much.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from pantoum.training.run.budget import Span

__all__ = ["ByClock", "BySteps", "Costs", "Rhythm"]

EVALUATIONS = 20
EVALUATION_SHARE, SAVING_SHARE, SAMPLING_SHARE = 0.015, 0.01, 0.01
EARLY, FEWEST, MOST_SHARE = (0.02, 0.05), 8, 0.06
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


class Costs:
    """Seconds that things took, the newer the heavier."""

    def __init__(self, *, saved_bytes: int = 0, exact: float = 1.0) -> None:
        """``exact``: the work of a token with all symbols, as a multiple of its work in training, where each
        target is compared with a sample of a large vocabulary."""
        self._exact = exact
        self.step = 0.0
        self.token = 0.0
        """A token trained."""
        self.evaluation: float | None = None
        """An evaluation of the monitored part, both kinds of weights."""
        self.scored: float | None = None
        """A token scored."""
        self._begun = 0.0
        """What an evaluation takes besides its tokens: buffers, packing, the first one's imports."""
        self._paced = 0.0
        """A token trained, when the last evaluation was measured."""
        self.saving = saved_bytes / SAVED_BYTES_PER_SECOND
        self.sampling: float | None = None

    def stepped(self, seconds: float, tokens: int) -> None:
        """An update took so long. The first steps make buffers, so they are soon forgotten."""
        seconds = min(seconds, SLOWEST * self.step) if self.step else seconds
        self.step = seconds if self.step == 0.0 else self.step + 0.2 * (seconds - self.step)
        self.token = self.step / tokens

    def evaluated(self, seconds: float, tokens: int) -> None:
        """An evaluation took so long for so many tokens read, those that warm included."""
        self.evaluation = seconds
        self.scored = (
            min(seconds / tokens, MOST_FORWARD * self._exact * self.token) if self.token else seconds / tokens
        )
        self._begun = seconds - self.scored * tokens
        self._paced = self.token

    def saved(self, seconds: float) -> None:
        """Saving took so long, the part in the background included."""
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
    """On a grid of steps; reads no clock."""

    def __init__(self, span: Span, checkpoint_every: int | None) -> None:
        self._begin, self._length = int(span.begin), int(span.end - span.begin)
        self._every = max(1, self._length // EVALUATIONS)
        """Steps between evaluations, and between saves that are always made."""
        self._save_every = checkpoint_every
        self._point_every = max(1, self._length // CURVE_POINTS)

    def evaluation_due(self, step: int, seconds: float) -> bool:
        """On the grid, and at the end."""
        done = step - self._begin
        return done % self._every == 0 or done == self._length

    def saving_due(self, step: int, seconds: float) -> bool:
        """On the same grid, and on the one that was asked for."""
        asked = self._save_every is not None and step % self._save_every == 0
        return asked or self.evaluation_due(step, seconds)

    def sample_due(self, step: int, seconds: float) -> bool:
        """With every fourth evaluation, and at the end."""
        done = step - self._begin
        return done % (4 * self._every) == 0 or done == self._length

    def point_due(self, step: int, seconds: float) -> bool:
        """A hundred times a run, and with each evaluation."""
        return (step - self._begin) % self._point_every == 0

    def recovers_here(self, step: int, seconds: float) -> bool:
        """On the grid alone: where a rollback goes must not depend on stops and on what else is saved."""
        return self.evaluation_due(step, seconds)

    def evaluated(self, step: int, seconds: float) -> None:
        """Nothing depends on it."""

    def saved(self, step: int, seconds: float) -> None:
        """Nothing depends on it."""


class ByClock:
    """By the time that has gone and what things cost."""

    def __init__(self, span: Span, costs: Costs, begin: float, checkpoint_every: int | None) -> None:
        self._costs, self._begin = costs, span.begin
        self._length = max(span.end - span.begin, 1e-9)
        self._save_every = checkpoint_every
        self._evaluated = self._saved = self._sampled = self._marked = begin
        self._recovers = -math.inf

    def evaluation_due(self, step: int, seconds: float) -> bool:
        """Every twentieth of the run, more rarely where that would cost too much; and early on."""
        cost = self._costs.evaluation or 0.0
        if cost <= MOST_SHARE / FEWEST * self._length and any(
            self._evaluated < self._begin + early * self._length <= seconds for early in EARLY
        ):
            return True
        cheap = min(cost / EVALUATION_SHARE, max(self._length / FEWEST, cost / MOST_SHARE))
        return seconds - self._evaluated >= max(self._length / EVALUATIONS, cheap)

    def saving_due(self, step: int, seconds: float) -> bool:
        """By the steps asked for; else by time: rarely enough to be cheap, often enough to lose little."""
        if self._save_every is not None:
            return step % self._save_every == 0
        pause = min(max(SOONEST_SAVE, self._costs.saving / SAVING_SHARE), LATEST_SAVE)
        return seconds - self._saved >= pause

    def recovers_here(self, step: int, seconds: float) -> bool:
        """A twentieth of the run after the last: of every step, all would stand beside the trouble."""
        due = seconds - self._recovers >= self._length / EVALUATIONS
        if due:
            self._recovers = seconds
        return due

    def sample_due(self, step: int, seconds: float) -> bool:
        """Where the last sample's time has become a small share of what has passed since."""
        due = seconds - self._sampled >= (self._costs.sampling or 0.0) / SAMPLING_SHARE
        if due:
            self._sampled = seconds
        return due

    def point_due(self, step: int, seconds: float) -> bool:
        """A hundred times a run."""
        due = seconds - self._marked >= self._length / CURVE_POINTS
        if due:
            self._marked = seconds
        return due

    def evaluated(self, step: int, seconds: float) -> None:
        """Count from here."""
        self._evaluated = seconds

    def saved(self, step: int, seconds: float) -> None:
        """Count from here."""
        self._saved = seconds


Rhythm: TypeAlias = BySteps | ByClock
"""Asked after every step, evaluation first, saving last."""
