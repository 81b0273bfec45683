"""Telling: notes and records to ``on_report``, ``metrics.jsonl`` and ``report.html``, and when each is due.

Training never ends because it cannot be told: a log that cannot be written is said once and tried again with
the next record; a terminal that was closed is left alone. Errors of the caller's own
``on_report`` reach the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pantoum.config import DropoutConfig, GenerationConfig, SamplingConfig, ScoreConfig
from pantoum.config.plain import Plain
from pantoum.errors import PantoumError, StorageError
from pantoum.formats import durable, metrics_file
from pantoum.inference.evaluation import Evaluation
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scorer import Scorer
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Generation, completed
from pantoum.report import run_page
from pantoum.report.record import Report
from pantoum.report.story import Story
from pantoum.training.assembly import TrainingRun
from pantoum.training.run.run_folder import RunFolder
from pantoum.training.run.run_state import Best, Curve, UpdateSums
from pantoum.training.timing import Timing
from pantoum.training.update.backend import StepResult

Passage = tuple[list[str], list[float]]
PASSAGE_TOKENS = 1000
PAGE_PAUSE = 1.0
"""Least seconds between two writings of the page."""
LEAST_PAUSE, MOST_PAUSE, RECORDS = 1.0, 30.0, 500.0
"""Least and most seconds between two records; in between, as many records in the time used so far."""
LEAST_RISE = 0.01
"""Nats per token. The learning rate ends close to 0, so a loss that ends higher by one percent of the
perplexity did not do so by chance."""
SAMPLE_TOKENS, SAMPLE_DOCUMENTS, DOCUMENT_TOKENS = 200, 10, 60
SAMPLE_DRAWS = 4
"""Seeds that are tried where a sample is mostly white space."""


class Reporter:
    """Makes the records of one session of a run, and hands them out."""

    def __init__(
        self,
        folder: RunFolder,
        on_report: Callable[[Report], None] | None = None,
    ) -> None:
        self.history: list[Report] = []
        """The records of this session."""
        self.notes: list[str] = []
        """Everything noted in this session."""
        self._folder = folder
        self._on_report = on_report
        self._untold: list[str] = []
        self._said: set[str] = set()
        self._config: Mapping[str, Plain] | None = None
        self._sums = UpdateSums()
        """Sums over the updates since the last record."""
        self._learning_rate = 0.0
        self._gradient_norm: float | None = None
        self._reported_at = self._trained_then = self._page_at = 0.0

    def note(self, text: str) -> None:
        """Something a person should be told: now, and with the next record."""
        self.notes.append(text)
        self._untold.append(text)

    def note_once(self, kind: str, text: str) -> None:
        """A note that is not repeated."""
        if kind not in self._said:
            self._said.add(kind)
            self.note(text)

    def updated(self, result: StepResult, learning_rate: float, targets: int) -> None:
        """An update was made from ``result``, with this rate, for so many targets."""
        self._sums.add(result.loss, result.accuracy, targets)
        self._learning_rate, self._gradient_norm = learning_rate, result.gradient_norm

    def is_due(self, seconds: float) -> bool:
        """Whether there is a note to tell, or enough time has passed: a second at first, later more."""
        pause = min(max(LEAST_PAUSE, seconds / RECORDS), MOST_PAUSE)
        return bool(self._untold) or seconds - self._reported_at >= pause

    def report(
        self,
        run: TrainingRun,
        timing: Timing,
        valid: float | None = None,
        sample: str | None = None,
        ended: str | None = None,
    ) -> None:
        """Hand out a record of this moment with the notes so far. ``RunError`` if the run folder was removed
        or replaced."""
        state, sums, seconds = run.state, self._sums, timing.clock.seconds
        trained = state.phases["training"]
        since, left = trained - self._trained_then, timing.time_left(seconds)
        # Without an update since the last record, as at the end, the pace is the last one that is known.
        pace = self.history[-1].tokens_per_second if self.history else 0.0
        self._sums, self._reported_at, self._trained_then = UpdateSums(), seconds, trained
        self._folder.require()
        notes, self._untold = tuple(self._untold), []
        report = Report(
            step=state.step,
            tokens=state.tokens,
            seconds=seconds,
            loss=sums.mean_loss,
            accuracy=sums.mean_accuracy,
            gradient_norm=self._gradient_norm,
            learning_rate=self._learning_rate,
            tokens_per_second=sums.tokens / since if sums.tokens and since > 0.0 else pace,
            epoch=state.step / run.batches.steps_per_epoch,
            progress=state.span.used(state.step, seconds),
            time_left=left,
            valid=valid,
            sample=sample,
            phases=dict(state.phases),
            sampled=state.recipe.samples is not None,
            notes=notes,
            ended=ended,
        )
        self.history.append(report)
        try:
            metrics_file.append(self._folder.metrics, report.to_dict())
        except StorageError as problem:
            self.note_once("metrics", f"the log cannot be written, training goes on: {problem}")
        if self._on_report is not None:
            try:
                self._on_report(report)
            except OSError:  # the terminal is gone
                self._on_report = None

    def forget(self) -> None:
        """The run went back: updates since the last record do not count."""
        self._sums = UpdateSums()

    def write_page_if_due(self, seconds: float) -> None:
        """``report.html``, but not several times per second."""
        if seconds - self._page_at >= PAGE_PAUSE:
            self._page_at = seconds
            self.write_page()

    def write_page(self, evaluation: Evaluation | None = None, held_out: Passage | None = None) -> None:
        """Write ``report.html`` anew from all records of the run."""
        self._folder.require()
        try:
            if self._config is None:
                self._config = self._folder.read_config()
            story = Story(
                self._folder.path.absolute().name,
                self._config,
                metrics_file.read(self._folder.metrics),
                None if evaluation is None else evaluation.to_dict(),
                held_out,
            )
            durable.write_file(self._folder.page, run_page.render(story).encode())
        except PantoumError as problem:
            self.note_once("page", f"report.html cannot be written, training goes on: {problem}")


def passage(model: LoadedModel, valid: Any) -> Passage:
    """The beginning of the validation text: its pieces token by token, and their nats under the model."""
    text = model.tokenizer.decode(valid[:PASSAGE_TOKENS])
    scores = list(Scorer(model, ScoreConfig(by="token")).read([text]))
    return [score.text for score in scores], [score.nats for score in scores]


def sample_of(model: LoadedModel, seed: int) -> str:
    """Something that the model writes with the default settings, the same for the same weights: a text, or
    ten documents where it learned short ones. A model of source code may write spaces alone, because min-p
    leaves nothing else after spaces: then other seeds are tried without min-p. Empty if all are blank."""
    documents, drawn = model.tokenizer.documents, ""
    count, length = (SAMPLE_DOCUMENTS, DOCUMENT_TOKENS) if documents == "lines" else (1, SAMPLE_TOKENS)
    for number in range(SAMPLE_DRAWS):
        how_much = GenerationConfig(length=length, seed=seed + number, count=count, exact=True)
        sampling = SamplingConfig(min_p=None) if number else SamplingConfig()
        generation = Generation(model, State.start(model), sampling, how_much)
        text = "\n".join(text.text for text in completed(generation).texts)
        drawn = max(drawn, text, key=lambda each: len("".join(each.split())))
        if 2 * len("".join(text.split())) > len(text):
            break
    return drawn


def learned_by_heart(curve: Curve, best: Best | None, dropout: DropoutConfig) -> str | None:
    """What a person should know and can do at the end of a run whose best weights are not its last ones;
    ``None`` where the text was not learned by heart."""
    points: list[dict[str, Any]] = curve.points
    judged = [point for point in points if point["valid"] is not None]
    trained = [point for point in points if point["loss"] is not None]
    before = [point for point in trained if best is not None and point["step"] <= best.step]
    if best is None or not judged or not before:
        return None
    end = judged[-1]["valid"]
    if end - best.loss < LEAST_RISE or trained[-1]["loss"] >= before[-1]["loss"]:
        return None
    more = f"more dropout than {dropout.spell()}" if dropout.active else "dropout"
    return (
        f"the best weights, which were saved, are those of step {best.step:,} of {points[-1]['step']:,}: "
        "after "
        f"that the validation loss rose from {best.loss:.3f} to {end:.3f} and the training loss fell, so "
        f"the model learned the text by heart; give less time, {more} (--dropout), a smaller --hidden-size "
        "or more text"
    )
