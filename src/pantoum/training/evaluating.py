"""The validation loss after a step, and a text that the model writes beside it."""

from __future__ import annotations

from pantoum.training.moment import Moment
from pantoum.training.run.reporter import sample_of
from pantoum.training.run_session import RunSession
from pantoum.training.saving import Saving

__all__ = ["Evaluating"]


class Evaluating:
    """Evaluates the weights of one session of a run; the best so far become the model file."""

    def __init__(self, session: RunSession, saving: Saving) -> None:
        self._session, self._run, self._saving = session, session.run, saving
        self._last_step: int | None = None

    # Hooks. ---------------------------------------------------------------------------------------------

    def evaluate_if_due(self, now: Moment) -> None:
        """The validation loss."""
        now.evaluated = self._session.rhythm.evaluation_due(now.step, now.seconds)
        if now.evaluated:
            now.valid = self.evaluate()

    def sample_if_due(self, now: Moment) -> None:
        """A text, the same for the same weights; only after an evaluation, which chose the weights."""
        session = self._session
        if now.evaluated and session.rhythm.sample_due(now.step, session.clock.seconds):
            with session.phase("sampling") as spent:
                now.sample = sample_of(self._run.keep_best.model(), self._run.state.recipe.seed)
            session.costs.sampling = spent.seconds

    def add_point_if_due(self, now: Moment) -> None:
        """A point of the curve that the model's card keeps."""
        if now.evaluated or self._session.rhythm.point_due(now.step, now.seconds):
            self._run.state.add_point(now.valid)

    def release(self, now: Moment) -> None:
        """Release the evaluated weights: saving needs the memory."""
        self._run.keep_best.release()

    # What they do. --------------------------------------------------------------------------------------

    def evaluate(self) -> float | None:
        """The validation loss of this moment; weights that are the best so far go to the saver."""
        session, keep, step = self._session, self._run.keep_best, self._run.state.step
        with session.phase("evaluation") as spent:
            valid, improved = keep.monitor(step, self._run.backend)
        self._last_step = step
        if self._run.state.span.by_clock:
            keep.measure_mixing()
        if keep.tokens_scored:
            session.costs.evaluated(spent.seconds, keep.tokens_scored)
        session.rhythm.evaluated(step, session.clock.seconds)
        if improved:
            self._saving.model()
        return valid

    @property
    def is_current(self) -> bool:
        """Whether the weights of this step were evaluated."""
        return self._last_step == self._run.state.step

    def forget(self) -> None:
        """The run went back: an evaluation of the same step number was one of other weights."""
        self._last_step = None
