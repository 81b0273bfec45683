"""A training run that has ended, as Python users see it: its model, its figures, its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pantoum.config.calls import public
from pantoum.config.plain import quoted
from pantoum.errors import PantoumError

if TYPE_CHECKING:
    from pantoum.inference.evaluation import Evaluation
    from pantoum.model import Model
    from pantoum.report.record import Report
    from pantoum.report.story import Story
    from pantoum.training.result import RunResult


class Run:
    """A training run that has ended, by itself or early."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        self.folder = Path(result.run)

    @property
    def model(self) -> Model:
        """The best model, read from its file."""
        from pantoum.model import load

        return load(self.folder)

    @property
    def history(self) -> list[Report]:
        """What the run reported, from its beginning."""
        return list(self.result.history)

    @property
    def evaluation(self) -> Evaluation | None:
        """The evaluation on the validation text; ``None`` without one, or if the run ended too early."""
        from pantoum.inference.evaluation import Evaluation

        found = self.result.validation
        return None if found is None else Evaluation.from_dict(found)

    @property
    def stopped(self) -> str | None:
        """What ended it early: a signal's name, ``stop_after``, or ``None``."""
        return self.result.stopped

    @property
    def rank(self) -> int:
        """The rank of this process among those that trained; 0 without a launcher."""
        return self.result.rank

    @property
    def next_command(self) -> str:
        """The command to type next, which continues the run or lets the model write."""
        name = quoted(str(self.folder))
        if self.stopped is not None or not (self.folder / "model.safetensors").exists():
            return f"pantoum train --run {name} --resume"
        return f"pantoum generate {name}"

    @property
    def summary(self) -> list[str]:
        """The result of the run, in a few lines."""
        from pantoum.report.wording import summary

        return summary(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The object that ``train --json`` prints."""
        return dict(self.result.to_dict())

    def __repr__(self) -> str:
        found = self.evaluation
        loss = ""
        if found is not None:
            from pantoum.report.wording import how_measured

            loss = f", validation loss {found.nats_per_token:.4g} nats per token"
            loss += f", perplexity {found.perplexity:.4g} per word" if found.unit == "word" else ""
            loss += f" ({how_measured(found.to_dict())})"
        stopped = "" if self.stopped is None else f", stopped ({self.stopped})"
        return f"<Run {self.folder}: {self.result.steps:,} steps, {self.result.seconds:.0f} s{loss}{stopped}>"

    def _repr_html_(self) -> str:
        from pantoum.inference.evaluation import figures_html

        heads = [line.partition(":") for line in self.summary]
        table = figures_html(f"run {self.folder}", [(name, rest.strip()) for name, _, rest in heads])
        story = self._story()
        if not story.history.records:
            return table
        from pantoum.report import loss, svg

        drawn = svg.curve(loss.by_time(story.history, story.references, story.unit), standalone=True)
        return f"<div style='max-width:640px;background:#fdfcf9'>{drawn}</div>{table}"

    @public
    def plot(self, by: str = "time", ax: Any = None) -> Any:
        """Draw the curves with matplotlib, over ``time`` or ``tokens``, on ``ax`` or on new axes, which are
        returned."""
        from pantoum.report import plotted

        return plotted.plot_run(self._story(), by, ax)

    def _story(self) -> Story:
        """The run as its pictures take it: from its folder, or from what it reported if that is gone."""
        from pantoum.report.story import Story, read

        try:
            return read(self.folder)
        except PantoumError:
            records = [record.to_dict() for record in self.history]
            return Story(self.folder.name, {}, records, self.result.validation)
