"""The hooks after a step: their order, and what it promises."""

import pytest

from pantoum.formats import checkpoint
from pantoum.training import loop
from pantoum.training.run.run_state import RunState


@pytest.fixture
def called(monkeypatch):
    """The names of the hooks, as they are called."""
    names, made = [], loop.AfterStep

    def make(session):
        after = made(session)
        after.hooks = tuple(recorded(hook) for hook in after.hooks)
        return after

    def recorded(hook):
        def call(now):
            names.append(hook.__name__)
            hook(now)

        return call

    monkeypatch.setattr(loop, "AfterStep", make)
    return names


def test_the_order_is_that_of_decision_042_at_every_step(run, called):
    run(steps=3)
    assert called == 3 * [
        "wait_where_due",
        "evaluate_if_due",
        "sample_if_due",
        "add_point_if_due",
        "report_if_due",
        "write_page_if_due",
        "release",
        "save_if_due",
    ]


def test_the_checkpoint_of_a_step_knows_the_evaluation_of_that_step(run):
    result = run(steps=40, stop_after=8)
    for step in checkpoint.steps(result.run):
        state = RunState.of(checkpoint.read(result.run, step))
        assert state.curve.points[-1]["step"] == step and state.curve.points[-1]["valid"] is not None
        assert state.best is not None and state.best.step <= step
    assert checkpoint.steps(result.run)[-1] == 8


def test_a_record_holds_what_the_hooks_before_it_found(run):
    reports = [report for report in run(steps=8).history if report.ended is None]
    evaluated = [report for report in reports if report.valid is not None]
    assert [report.step for report in evaluated] == list(range(1, 9))
    assert [report.step for report in evaluated if report.sample is not None] == [4, 8]
