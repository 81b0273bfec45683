"""Records of a run while it trains, and its page: when each is written, and what a record holds."""

from __future__ import annotations

from pantoum.report.record import Report
from pantoum.training.moment import Moment
from pantoum.training.run.meter import Sums
from pantoum.training.run_session import RunSession
from pantoum.training.update.backend import StepResult

__all__ = ["Reporting"]

PAGE_PAUSE = 1.0
"""Least seconds between two writings of the page."""
LEAST_PAUSE, MOST_PAUSE, RECORDS = 1.0, 30.0, 500.0
"""Least and most seconds between two records; in between, as many records in the time used so far."""


class Reporting:
    """Makes the records of one session of a run."""

    def __init__(self, session: RunSession) -> None:
        self._session, self._run = session, session.run
        self._sums = Sums()
        """Sums over the updates since the last record."""
        self._learning_rate = 0.0
        self._gradient_norm: float | None = None
        self._reported_at = self._trained_then = self._page_at = 0.0

    def updated(self, result: StepResult, learning_rate: float, targets: int) -> None:
        """An update was made from ``result``, with this rate, for so many targets."""
        self._sums.add(result.loss, result.accuracy, targets)
        self._learning_rate, self._gradient_norm = learning_rate, result.gradient_norm

    # Hooks. ---------------------------------------------------------------------------------------------

    def report_if_due(self, now: Moment) -> None:
        """A record with each evaluation, with each note, and from time to time."""
        if now.evaluated or self._session.reporter.has_news or self._is_due():
            self.report(now.valid, now.sample)

    def write_page_if_due(self, now: Moment) -> None:
        """``report.html`` with each evaluation, but not several times per second."""
        seconds = self._session.clock.seconds
        if now.evaluated and seconds - self._page_at >= PAGE_PAUSE:
            self._page_at = seconds
            self._session.reporter.write_page()

    # What they do. --------------------------------------------------------------------------------------

    def report(self, valid: float | None = None, sample: str | None = None, ended: str | None = None) -> None:
        """Write a record of this moment."""
        state, sums, seconds = self._run.state, self._sums, self._session.clock.seconds
        trained = state.phases["training"]
        since, left = trained - self._trained_then, self._session.time_left(seconds)
        self._sums, self._reported_at, self._trained_then = Sums(), seconds, trained
        self._session.reporter.emit(
            lambda notes: Report(
                step=state.step,
                tokens=state.tokens,
                seconds=seconds,
                loss=sums.mean_loss,
                accuracy=sums.mean_accuracy,
                gradient_norm=self._gradient_norm,
                learning_rate=self._learning_rate,
                tokens_per_second=sums.tokens / since if since > 0.0 else 0.0,
                epoch=state.step / self._run.batches.steps_per_epoch,
                progress=state.span.used(state.step, seconds),
                time_left=left,
                valid=valid,
                sample=sample,
                phases=dict(state.phases),
                sampled=state.recipe.samples is not None,
                notes=notes,
                ended=ended,
            )
        )

    def forget(self) -> None:
        """The run went back: updates since the last record do not count."""
        self._sums = Sums()

    def _is_due(self) -> bool:
        """Every second at first, more rarely the longer the run."""
        seconds = self._session.clock.seconds
        return seconds - self._reported_at >= min(max(LEAST_PAUSE, seconds / RECORDS), MOST_PAUSE)
