"""Where a run stands, but for its arrays: what a checkpoint's ``state.json`` holds.

All of it is plain (numbers, texts, lists, dicts), exact through JSON, and enough, with the arrays, to go on
as if nothing had happened: the recipe, the span of the budget, the cursor, the guard's record, the curve, the
best so far, counters and seconds. Only ``seconds`` and ``phases`` come from a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pantoum.errors import CheckpointError, SettingError
from pantoum.formats.checkpoint import Checkpoint
from pantoum.report.record import PHASES
from pantoum.training.budget import Budget, Span
from pantoum.training.meter import Curve
from pantoum.training.recipe import Recipe
from pantoum.training.state_rules import require_state

__all__ = ["Best", "RunState"]

VERSION = 1


@dataclass(frozen=True)
class Best:
    """The best weights so far: those of the model file."""

    step: int
    averaged: bool
    """Whether they are the running average."""
    loss: float
    """Validation loss over the monitored part; nats per token by ``segments:64``."""


@dataclass
class RunState:
    """The plain half of a checkpoint."""

    recipe: Recipe
    span: Span
    budget: Budget
    """As asked, for people and to know a repeated one."""
    identity: dict[str, Any]
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
    run: str | None = None
    """The run's own name, drawn when it began and kept in ``config.json`` too; older runs have none."""

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

    def spec(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "version": VERSION,
            "recipe": self.recipe.spec(),
            "span": self.span.spec(),
            "budget": asdict(self.budget),
            "identity": dict(self.identity),
            "batch_size": self.batch_size,
            "seq_len": self.seq_len,
            "monitored": self.monitored,
            "timeless": self.timeless,
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "phases": dict(self.phases),
            "cursor": self.cursor,
            "guard": self.guard,
            "curve": self.curve.spec(),
            "best": None if self.best is None else asdict(self.best),
            "good": list(self.good),
            "decay_step": self.decay_step,
            "finished": self.finished,
            "run": self.run,
        }

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> RunState:
        """The inverse of ``spec``. ``CheckpointError``: it is of another version, or not as it must be."""
        if not isinstance(spec, dict) or spec.get("version") != VERSION:
            found = spec.get("version") if isinstance(spec, dict) else None
            raise CheckpointError(
                f"the checkpoint's version is {str(found)[:40]!r}, this pantoum reads "
                f"{VERSION}; resume with the pantoum that wrote it"
            )
        require_state(spec)
        values = {name: value for name, value in spec.items() if name != "version"}
        curve = Curve()
        curve.restore(values["curve"])
        try:
            recipe = Recipe.from_spec(values["recipe"])
        except SettingError as problem:
            raise CheckpointError(f"the checkpoint's recipe cannot be used: {problem}") from None
        return RunState(
            **{
                **values,
                "recipe": recipe,
                "span": Span(**values["span"]),
                "budget": Budget(**values["budget"]),
                "curve": curve,
                "best": None if values["best"] is None else Best(**values["best"]),
            }
        )

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
