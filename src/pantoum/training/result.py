"""What a run comes to: the card in its model, the keys of ``train --json``, the records.

The card says what a model learned from, how, and how well, in units that compare. With steps or epochs there
is no time, host or path in it, so that the same command gives the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pantoum.config import VERSION
from pantoum.config.plain import Plain
from pantoum.errors import PantoumError
from pantoum.formats import metrics_file, model_file
from pantoum.formats.model_file import named_texts
from pantoum.inference.evaluation import Evaluation
from pantoum.inference.scoring.protocols import SEGMENTS
from pantoum.report.record import Report
from pantoum.training.assembly import TrainingRun
from pantoum.training.reporting import Reporter
from pantoum.training.run.run_folder import RunFolder
from pantoum.training.run.run_state import Best, RunState

UNITS = "losses are mean nats per token over the targets scored; tokens are counted after tokenisation"


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


def card(
    state: RunState,
    best: Best | None,
    evaluation: Evaluation | None,
    facts: Mapping[str, Any],
    parameters: int,
    peaks: Mapping[str, Plain] | None = None,
) -> dict[str, Plain]:
    """The card of the weights that ``best`` names (``None``: the last ones, nothing was held out)."""
    valid = facts.get("valid_text")
    made = {
        "pantoum": VERSION,
        "units": UNITS,
        **named_texts(facts.get("texts", ())),
        "valid_text": named_texts([valid])["texts"][0] if valid else None,
        "tokens": {part: facts[part]["tokens"] for part in ("train", "valid") if facts.get(part)},
        "parameters": parameters,
        "settings": state.recipe.spec(),
        "batch": {"batch_size": state.batch_size, "seq_len": state.seq_len},
        "budget": state.budget_in_words,
        "step": state.step if best is None else best.step,
        "tokens_trained": state.tokens,
        "averaged": best is not None and best.averaged,
        "monitor": monitor_of(state, best),
        "validation": None if evaluation is None else evaluation.to_dict(),
        "peaks": None if evaluation is None or peaks is None else dict(peaks),
        "curve": [dict(point) for point in state.curve.points],
        "began_from": state.identity.get("began_from"),
    }
    if facts.get("new_symbols"):
        made["new_symbols"] = facts["new_symbols"]
    if not state.timeless:
        made["seconds"] = round(state.seconds, 1)
    return made


def monitor_of(state: RunState, best: Best | None) -> dict[str, Plain] | None:
    """The best loss during training, of tokens that are spread over the held-out text."""
    if best is None:
        return None
    return {"protocol": SEGMENTS, "tokens": state.monitored - 1, "nats_per_token": best.loss}
