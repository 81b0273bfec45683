"""What follows a step: hooks, in one fixed order.

The order is part of the promise that a resumed run has the same bits: an evaluation comes before the
checkpoint of the same step, so a run that continues from the checkpoint knows the evaluation (decision 042).
Each hook decides whether it is due; what one finds for the next ones is in the ``Moment``.
"""

from __future__ import annotations

from pantoum.training.evaluating import Evaluating
from pantoum.training.moment import Hook, Moment
from pantoum.training.reporting import Reporting
from pantoum.training.run_session import RunSession
from pantoum.training.saving import Saving

__all__ = ["AfterStep"]


class AfterStep:
    """Calls the hooks of one session of a run."""

    def __init__(self, session: RunSession) -> None:
        self._session = session
        self.saving = saving = Saving(session)
        self.evaluating = evaluating = Evaluating(session, saving)
        self.reporting = reporting = Reporting(session)
        self.hooks: tuple[Hook, ...] = (
            saving.wait_where_due,
            evaluating.evaluate_if_due,
            evaluating.sample_if_due,
            evaluating.add_point_if_due,
            reporting.report_if_due,
            reporting.write_page_if_due,
            evaluating.release,
            saving.save_if_due,
        )

    def call(self) -> None:
        """Call every hook for the step that was just made."""
        now = Moment(self._session.run.state.step, self._session.clock.seconds)
        for hook in self.hooks:
            hook(now)

    def went_back(self) -> None:
        """The run was rolled back: what was measured after this step is void, as are later checkpoints."""
        self.reporting.forget()
        self.evaluating.forget()
        self.saving.checkpoint(anew=True)
