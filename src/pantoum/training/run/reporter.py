"""Telling: notes and records to ``on_report``, ``metrics.jsonl`` and ``report.html``.

Training never ends because it cannot be told: a log that cannot be written is said once and tried again with
the next record; a terminal that was closed is left alone. Errors of the caller's own
``on_report`` reach the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pantoum.config import SamplingConfig, ScoreConfig
from pantoum.config.plain import Plain
from pantoum.errors import PantoumError, StorageError
from pantoum.formats import durable, metrics
from pantoum.inference.evaluate import Evaluation
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.score import Scorer
from pantoum.inference.state import State
from pantoum.inference.writing.generate import Generation, completed
from pantoum.report import page
from pantoum.report.record import Report
from pantoum.report.story import Story
from pantoum.training.run.run_folder import RunFolder

__all__ = ["Reporter", "passage", "sample_of"]

Passage = tuple[list[str], list[float]]
PASSAGE_TOKENS = 1000
SAMPLE_TOKENS, SAMPLE_DOCUMENTS, DOCUMENT_TOKENS = 200, 10, 60


class Reporter:
    """Where the loop's records go."""

    def __init__(
        self,
        folder: RunFolder,
        on_report: Callable[[Report], None] | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self.history: list[Report] = []
        """The records of this session."""
        self.notes: list[str] = []
        """Everything noted in this session."""
        self._folder = folder
        self._on_report, self._on_note = on_report, on_note
        self._untold: list[str] = []
        self._said: set[str] = set()
        self._config: Mapping[str, Plain] | None = None

    @property
    def has_news(self) -> bool:
        """Whether there are notes that no record has carried yet."""
        return bool(self._untold)

    def note(self, text: str) -> None:
        """Something a person should be told: now, and with the next record."""
        self.notes.append(text)
        self._untold.append(text)
        if self._on_note is not None:
            self._safely(self._on_note, text)

    def note_once(self, kind: str, text: str) -> None:
        """A note that is not repeated."""
        if kind not in self._said:
            self._said.add(kind)
            self.note(text)

    def emit(self, make: Callable[[tuple[str, ...]], Report]) -> None:
        """Hand out the record that ``make`` makes with the notes so far. ``RunError`` if the run folder was
        removed or replaced."""
        self._folder.require()
        untold, self._untold = tuple(self._untold), []
        report = make(untold)
        self.history.append(report)
        try:
            metrics.append(self._folder.metrics, report.to_dict())
        except StorageError as problem:
            self.note_once("metrics", f"the log cannot be written, training goes on: {problem}")
        if self._on_report is not None:
            self._safely(self._on_report, report)

    def write_page(self, evaluation: Evaluation | None = None, held_out: Passage | None = None) -> None:
        """Write ``report.html`` anew from all records of the run."""
        self._folder.require()
        try:
            if self._config is None:
                self._config = self._folder.read_config()
            story = Story(
                self._folder.path.absolute().name,
                self._config,
                metrics.read(self._folder.metrics),
                None if evaluation is None else evaluation.to_dict(),
                held_out,
            )
            durable.write_file(self._folder.page, page.render(story).encode())
        except PantoumError as problem:
            self.note_once("page", f"report.html cannot be written, training goes on: {problem}")

    def _safely(self, tell: Callable[[Any], None], what: Any) -> None:
        """Tell, unless the terminal is gone: then tell no more."""
        try:
            tell(what)
        except OSError:
            self._on_report = self._on_note = None


def passage(model: LoadedModel, valid: Any) -> Passage:
    """The beginning of the validation text: its pieces token by token, and their nats under the model."""
    text = model.tokenizer.decode(valid[:PASSAGE_TOKENS])
    scores = list(Scorer(model, ScoreConfig(by="token")).read([text]))
    return [score.text for score in scores], [score.nats for score in scores]


def sample_of(model: LoadedModel, seed: int) -> str:
    """Something that the model writes with the default settings, the same for the same weights: a text, or
    ten documents where it learned short ones."""
    documents = model.tokenizer.documents
    count, length = (SAMPLE_DOCUMENTS, DOCUMENT_TOKENS) if documents == "lines" else (1, SAMPLE_TOKENS)
    generation = Generation(model, State.start(model), SamplingConfig(), length, seed, count)
    return "\n".join(text.text for text in completed(generation).texts)
