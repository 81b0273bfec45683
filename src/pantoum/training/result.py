"""What became of a session of training: the keys of ``train --json``, and the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pantoum.errors import PantoumError
from pantoum.formats import metrics_file, model_file
from pantoum.inference.evaluation import Evaluation
from pantoum.report.record import Report
from pantoum.training.assembly import TrainingRun
from pantoum.training.reporting import Reporter
from pantoum.training.run.run_folder import RunFolder
from pantoum.training.run.run_state import RunState
from pantoum.training.run.training_card import monitor_of

__all__ = ["RunResult", "of_finished", "of_session"]


@dataclass(frozen=True)
class RunResult:
    """A session of a run, ended."""

    run: Path
    """The run folder."""
    model: Path
    """The best model so far."""
    steps: int
    tokens: int
    """Targets trained on."""
    seconds: float
    """The seconds of all sessions together."""
    parameters: int
    """Those of the model, as ``info`` counts them."""
    validation: dict[str, Any] | None
    """The best model's held-out figures by ``segments:64``; ``None`` where nothing is held out, or before the
    budget is used."""
    finished: bool
    """Whether the budget is used."""
    monitor: dict[str, Any] | None = None
    """The best loss during training, with the ``tokens`` of the part of the held-out text that it is of."""
    stopped: str | None = None
    """What ended the session before: ``SIGINT``, ``SIGTERM``, ``SIGHUP``, ``stop_after``."""
    already: bool = False
    """Whether the run was finished before, and nothing was done."""
    notes: tuple[str, ...] = ()
    history: tuple[Report, ...] = ()
    """The records of all sessions."""
    rank: int = 0
    """The rank on which this is the result; ranks other than 0 have no records."""

    @staticmethod
    def of(plain: Mapping[str, Any], rank: int) -> RunResult:
        """The inverse of ``to_dict``, on another rank."""
        paths = {name: Path(plain[name]) for name in ("run", "model")}
        return RunResult(**{**plain, **paths, "notes": tuple(plain["notes"]), "rank": rank})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; the records are in ``metrics.jsonl``."""
        names = [each.name for each in fields(self) if each.name not in ("history", "rank")]
        plain = {name: getattr(self, name) for name in names}
        return {**plain, "run": str(self.run), "model": str(self.model), "notes": list(self.notes)}


def of_session(
    run: TrainingRun, seconds: float, stopped: str | None, evaluation: Evaluation | None, reporter: Reporter
) -> RunResult:
    """The result of a session that has just ended."""
    state = run.state
    return RunResult(
        run.folder.path,
        run.folder.model,
        state.step,
        state.tokens,
        seconds,
        run.parameters,
        None if evaluation is None else evaluation.to_dict(),
        finished=state.finished,
        monitor=monitor_of(state, run.keep_best.best),
        stopped=stopped,
        notes=tuple(reporter.notes),
        history=_records(run.folder, tuple(reporter.history)),
    )


def of_finished(folder: RunFolder, state: RunState) -> RunResult:
    """The result of a run that was finished before: its model's card says how well."""
    card: Mapping[str, Any] = {}
    notes = [f"the run is finished at step {state.step:,}; give --steps, --minutes or --epochs to go further"]
    try:
        card = model_file.read(folder.model).card
    except PantoumError as problem:
        notes.append(str(problem))
    return RunResult(
        folder.path,
        folder.model,
        state.step,
        state.tokens,
        state.seconds,
        int(card.get("parameters", 0)),
        card.get("validation"),
        finished=True,
        monitor=card.get("monitor"),
        already=True,
        notes=tuple(notes),
        history=_records(folder, ()),
    )


def _records(folder: RunFolder, told: tuple[Report, ...]) -> tuple[Report, ...]:
    """All records in the log; those told in this session where the log has not even them."""
    try:
        logged = tuple(Report.from_dict(line) for line in metrics_file.read(folder.metrics))
    except (PantoumError, TypeError):
        return told
    return logged if len(logged) >= len(told) else told
