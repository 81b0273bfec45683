"""The state of a run without its arrays: what a checkpoint has beside its arrays.

All of it is plain (numbers, texts, lists, dicts), exact through JSON, and enough, with the arrays, to
continue as if the run had never stopped: the recipe, the span of the budget, the cursor, the guard's record,
the curve, the best so far, counters and seconds. Only ``seconds`` and ``phases`` come from a clock.

Other modules read the fields. Only the methods of ``RunState`` assign them, each for one event in the life of
a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from pantoum.config.plain import Plain
from pantoum.errors import CheckpointError
from pantoum.formats.checkpoint import Checkpoint
from pantoum.report.record import PHASES
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.run.budget import Budget, Span
from pantoum.training.update.update_guard import MOST_ROLLBACKS

VERSION = 1
MOST_EARLIER = 100
"""Earlier budgets that are kept."""


@dataclass(frozen=True)
class Best:
    """The best weights so far: those of the model file."""

    step: int
    averaged: bool
    """Whether they are the running average."""
    loss: float
    """Validation loss over the monitored part; nats per token by ``segments:64``."""


MOST_POINTS = 200


@dataclass
class UpdateSums:
    """Sums over accepted updates."""

    loss: float = 0.0
    accuracy: float = 0.0
    updates: int = 0
    tokens: int = 0

    def add(self, loss: float, accuracy: float, tokens: int) -> None:
        """Count one update."""
        self.loss += loss
        self.accuracy += accuracy
        self.updates += 1
        self.tokens += tokens

    @property
    def mean_loss(self) -> float | None:
        """``None`` if nothing was counted."""
        return self.loss / self.updates if self.updates else None

    @property
    def mean_accuracy(self) -> float | None:
        """``None`` if nothing was counted."""
        return self.accuracy / self.updates if self.updates else None


class Curve:
    """Points ``{step, tokens, loss, valid}`` of a whole run, at most ``MOST_POINTS``: then every second one
    goes.

    Points come by the steps (with minutes, by the time used), not by the clock as reports do. Their sums are
    in the checkpoint, so that a resumed run draws the same curve to the bit.
    """

    def __init__(self) -> None:
        self.points: list[dict[str, Plain]] = []
        self.sums = UpdateSums()
        """Since the last point."""

    def mark(self, step: int, tokens: int, valid: float | None) -> None:
        """Make a point of what was counted since the last one."""
        self.points.append({"step": step, "tokens": tokens, "loss": self.sums.mean_loss, "valid": valid})
        self.sums = UpdateSums()
        if len(self.points) > MOST_POINTS:
            # The newest stays; of the others those with a validation loss go last, being fewer.
            without = [point for point in self.points[:-1] if point["valid"] is None]
            going = without[::2] if len(without) > MOST_POINTS // 2 else self.points[:-1:2]
            gone = {id(point) for point in going}
            self.points = [point for point in self.points if id(point) not in gone]

    def spec(self) -> dict[str, Plain]:
        """Plain values, for the checkpoint."""
        return {"points": [dict(point) for point in self.points], "sums": asdict(self.sums)}

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> Curve:
        """The inverse of ``spec``."""
        curve = Curve()
        curve.points = [dict(point) for point in spec["points"]]
        curve.sums = UpdateSums(**spec["sums"])
        return curve


@dataclass
class RunState:
    """The plain half of a checkpoint."""

    recipe: Recipe
    span: Span
    budget: Budget
    """As asked, for people and to know a repeated one."""
    identity: dict[str, Plain]
    """What a resumed run must share: fingerprints of texts and tokenizer, the model it began from."""
    batch_size: int
    """Streams in use, fewer than the recipe's where the text is small."""
    seq_len: int
    monitored: int = 0
    """Held-out tokens that evaluations while training look at."""
    timeless: bool = True
    """Whether the budget was never counted in time, so that the same command gives the same bits."""
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    cursor: dict[str, int] | None = None
    guard: dict[str, Any] | None = None
    curve: Curve = field(default_factory=Curve)
    best: Best | None = None
    good: list[int] = field(default_factory=list)
    """Steps of the last good checkpoints, ascending, to which a rollback may go (``recovery``)."""
    decay_step: int | None = None
    """The step of the checkpoint where the rate began to fall; ``None`` before that."""
    finished: bool = False
    earlier: list[str] = field(default_factory=list)
    """Budgets that were used up before this one, in words."""
    run: str | None = None
    """The run's own name, drawn when it began and kept in ``config.json`` too."""

    @property
    def in_trouble(self) -> bool:
        """Whether the update before this state was bad: nothing to go back to."""
        return self.guard is not None and self.guard["bad_in_a_row"] > 0

    def require_run(self, run: str | None, path: Path) -> None:
        """``CheckpointError`` unless this state is of the run of that name; ``path``: where it was found."""
        if self.run != run:
            raise CheckpointError(
                f"the checkpoint {str(path)!r} belongs to another run; move it out of this run's folder"
            )

    @property
    def budget_in_words(self) -> str:
        """All that the run was given: ``1 minute + 2 minutes`` once it was prolonged."""
        return " + ".join([*self.earlier, str(self.budget)])

    @property
    def needed_checkpoints(self) -> set[int]:
        """Steps of the checkpoints that stay beside the last ones: where the decay of the learning rate
        began, and those that a rollback may ask for (of a finished run, the newest good one)."""
        needed = set(self.good[-1:] if self.finished else self.good)
        return needed if self.decay_step is None else {*needed, self.decay_step}

    # Events. --------------------------------------------------------------------------------------------

    def open_span(self, seconds: float) -> None:
        """The span of the budget, in seconds, begins now."""
        self.span = replace(self.span, begin=seconds)

    def spend(self, phase: str, seconds: float) -> None:
        """A phase of the run (``PHASES``) took so many seconds more."""
        self.phases[phase] += seconds

    def updated(self, loss: float, accuracy: float, targets: int) -> None:
        """An update was made from this mean loss and accuracy over so many targets."""
        self.curve.sums.add(loss, accuracy, targets)

    def step_done(self, targets: int, cursor: dict[str, int]) -> None:
        """A step is done, its update made or skipped; ``cursor``: where the batches are now."""
        self.step, self.tokens, self.cursor = self.step + 1, self.tokens + targets, cursor

    def add_point(self, valid: float | None) -> None:
        """The curve gets a point, with the validation loss if it was measured."""
        self.curve.mark(self.step, self.tokens, valid)

    def decay_begins(self) -> None:
        """The decay of the learning rate begins with the next step."""
        self.decay_step = self.step

    def add_good(self) -> None:
        """The checkpoint of this step is a good one. Later steps are of a future that was given up."""
        self.good = [*(known for known in self.good if known < self.step), self.step][-MOST_ROLLBACKS:]

    def remove_good(self, step: int) -> None:
        """The disk refused the checkpoint of ``step``: the run cannot go back to it."""
        self.good = [known for known in self.good if known != step]
        if self.decay_step == step:
            self.decay_step = None

    def record(self, seconds: float, guard: dict[str, Plain], best: Best | None) -> None:
        """What other parts of the run know, for the checkpoint that is made now."""
        self.seconds, self.guard, self.best = seconds, guard, best

    def has_taken(self, seconds: float) -> None:
        """All sessions have used so many seconds by now."""
        self.seconds = seconds

    def finish(self) -> None:
        """The budget is used."""
        self.finished = True

    def return_to(self, good: RunState | None) -> None:
        """Roll back to the state of a good checkpoint, or (``None``) to the start of training. The time that
        was used since stays used, and the best weights stay the best."""
        if good is None:
            self.step, self.tokens, self.cursor = 0, 0, None
            self.good, self.curve, self.decay_step = [], Curve(), None
        else:
            self.step, self.tokens, self.cursor = good.step, good.tokens, good.cursor
            self.good = [step for step in self.good if step <= good.step]
            self.curve, self.decay_step = good.curve, good.decay_step

    def with_budget(self, budget: Budget, span: Span, seconds: float, *, further: bool = False) -> RunState:
        """This state under another budget, with ``further`` on top of the one before; ``seconds``: those that
        all sessions have used."""
        return replace(
            self,
            span=span,
            budget=budget,
            earlier=[*self.earlier, str(self.budget)][-MOST_EARLIER:] if further else self.earlier,
            finished=False,
            good=self.good[-1:] if self.in_trouble else [self.step],
            decay_step=None,
            seconds=seconds,
            timeless=self.timeless and not budget.by_clock,
        )

    # Plain values. --------------------------------------------------------------------------------------

    def spec(self) -> dict[str, Plain]:
        """Plain values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"version": VERSION, **{name: _plain(value) for name, value in values.items()}}

    @staticmethod
    def from_spec(spec: Mapping[str, Plain]) -> RunState:
        """The inverse of ``spec``. ``CheckpointError``: another version of pantoum has written it."""
        plain: dict[str, Any] = dict(spec)
        version = plain.pop("version", None)
        if version != VERSION:
            raise CheckpointError(
                f"this pantoum reads version {VERSION} of a checkpoint, not {str(version)[:40]!r}; resume "
                "with the pantoum that wrote it"
            )
        try:
            return RunState(
                **{name: READ[name](value) if name in READ else value for name, value in plain.items()}
            )
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise CheckpointError(
                f"the checkpoint's state cannot be used: {problem}; resume with the pantoum that wrote it"
            ) from None

    @staticmethod
    def of(found: Checkpoint) -> RunState:
        """The state in a checkpoint, which must be of the checkpoint's own step."""
        state = RunState.from_spec(found.state)
        if state.step != found.step:
            raise CheckpointError(
                f"the checkpoint {str(found.path)!r} holds the state of step {state.step:,}; "
                "go on from another checkpoint"
            )
        return state


READ: dict[str, Callable[[Any], Any]] = {
    "recipe": Recipe.from_spec,
    "span": lambda plain: Span(**plain),
    "budget": lambda plain: Budget(**plain),
    "curve": Curve.from_spec,
    "best": lambda plain: plain and Best(**plain),
}
"""How the fields that are not plain are read."""


def _plain(value: Any) -> Plain:
    """A value of the state as JSON has it."""
    if hasattr(value, "spec"):
        found: Plain = value.spec()
        return found
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    same: Plain = copy(value)
    return same
