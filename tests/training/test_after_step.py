"""What follows a step: the order, and what it promises."""

import pytest

from pantoum.formats import checkpoint
from pantoum.training.keep_best import KeepBest
from pantoum.training.reporting import Reporter
from pantoum.training.run.run_state import RunState
from pantoum.training.saving import Saving
from pantoum.training.trainer import Trainer

HELPERS = {
    KeepBest: ("monitor", "release"),
    RunState: ("add_point",),
    Reporter: ("report", "write_page_if_due"),
    Saving: ("checkpoint",),
}


@pytest.fixture
def called(monkeypatch):
    """The names of what is called at each step, by its number."""
    at, inside = {}, []

    def recorded(name, honest):
        def call(self, *arguments, **named):
            if inside:
                at[inside[-1]].append(name)
            return honest(self, *arguments, **named)

        return call

    def after_step(self):
        inside.append(self.run.state.step)
        at[self.run.state.step] = []
        after(self)
        inside.clear()

    for kind, names in HELPERS.items():
        for name in names:
            monkeypatch.setattr(kind, name, recorded(name, getattr(kind, name)))
    after = Trainer.after_step
    monkeypatch.setattr(Trainer, "after_step", after_step)
    return at


def test_the_order_is_that_of_decision_042_at_every_step(run, called):
    run(steps=3)
    hooks = ["monitor", "add_point", "report", "write_page_if_due", "release", "checkpoint"]
    assert called == dict.fromkeys((1, 2, 3), hooks)


def test_the_checkpoint_of_a_step_knows_the_evaluation_of_that_step(run):
    result = run(steps=40, stop_after=8)
    for step in checkpoint.steps(result.run):
        state = RunState.of(checkpoint.read(result.run, step))
        assert state.curve.points[-1]["step"] == step and state.curve.points[-1]["valid"] is not None
        assert state.best is not None and state.best.step <= step
    assert checkpoint.steps(result.run)[-1] == 8


def test_a_record_holds_what_was_found_before_it(run):
    reports = [report for report in run(steps=8).history if report.ended is None]
    evaluated = [report for report in reports if report.valid is not None]
    assert [report.step for report in evaluated] == list(range(1, 9))
    assert [report.step for report in evaluated if report.sample is not None] == [4, 8]
