"""The state of a run: what each event changes, and that nothing else assigns its fields."""

import ast
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum import training
from pantoum.config import TrainSettings
from pantoum.errors import CheckpointError
from pantoum.formats.checkpoint import Checkpoint
from pantoum.report.record import PHASES
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import Outlook
from pantoum.training.run.budget import Budget, Span
from pantoum.training.run.run_state import MOST_EARLIER, MOST_POINTS, Best, Curve, RunState, UpdateSums
from pantoum.training.update.update_guard import MOST_ROLLBACKS, UpdateGuard

FIELDS = {field.name for field in fields(RunState)}
CURSOR = {"epoch": 1, "batch": 2, "batch_size": 2, "seq_len": 8, "tokens": 99}


@pytest.fixture
def state():
    recipe = replace(choose(TrainSettings(steps=40), Outlook(1000, 50, steps=40)), reasons=())
    identity = {"text": "", "held-out text": None, "tokenizer": "", "began_from": None}
    return RunState(recipe, Span(False, 0, 40), Budget("steps", 40), identity, 2, 8, step=7, tokens=112)


def at(state, step):
    state.step = step
    return state


def test_every_field_comes_back_from_plain_values(state):
    state.updated(2.0, 0.5, 16)
    state.add_point(3.0)
    state.updated(1.5, 0.25, 16)
    state.step_done(16, CURSOR)
    state.add_good()
    state.decay_begins()
    state.spend("training", 5.0)
    state.record(9.0, UpdateGuard(50).spec(), Best(8, True, 1.5))
    state.finish()
    changed = {"monitored": 600, "timeless": False, "run": "ours", "earlier": ["1 minute"]}
    spec = json.loads(json.dumps(replace(state, **changed).spec()))
    assert set(spec) == FIELDS | {"version"}
    found = RunState.from_spec(spec)
    assert found == replace(state, **changed, curve=found.curve) and found.spec() == spec
    assert (found.step, found.tokens, found.cursor, found.seconds) == (8, 128, CURSOR, 9.0)
    assert (found.good, found.decay_step, found.finished, found.best) == ([8], 8, True, Best(8, True, 1.5))
    assert found.curve.points == [{"step": 7, "tokens": 112, "loss": 2.0, "valid": 3.0}]
    assert found.curve.sums == UpdateSums(1.5, 0.25, 1, 16)


def test_phases_and_the_beginning_of_the_span_are_counted(state):
    state.spend("training", 5.0)
    state.spend("training", 0.5)
    state.open_span(12.5)
    assert state.phases == {**dict.fromkeys(PHASES, 0.0), "training": 5.5}
    assert state.span == Span(False, 12.5, 40)


@pytest.mark.parametrize(("bad_in_a_row", "good"), [(0, [7]), (1, [20])])
@pytest.mark.parametrize("by_clock", [False, True])
def test_another_budget_begins_a_span_from_here(state, bad_in_a_row, good, by_clock):
    at(state, 7).decay_begins()
    state.good = [10, 15, 20]
    state.record(9.0, {"bad_in_a_row": bad_in_a_row}, Best(8, True, 1.5))
    state.finish()
    budget = Budget("minutes", 2.0) if by_clock else Budget("steps", 60)
    span = Span(by_clock, 7, 60, warm_up=False)
    found = state.with_budget(budget, span, 11.0)
    expected = {"budget": budget, "span": span, "seconds": 11.0, "finished": False, "decay_step": None}
    assert found == replace(state, **expected, good=good, timeless=not by_clock)
    assert replace(state, timeless=False).with_budget(budget, span, 11.0).timeless is False


def test_a_budget_on_top_of_another_is_told_with_it_and_one_in_its_place_without(state):
    assert state.budget_in_words == "40 steps"
    further = state.with_budget(Budget("steps", 20), Span(False, 40, 60), 11.0, further=True)
    assert further.budget_in_words == "40 steps + 20 steps"
    instead = further.with_budget(Budget("epochs", 1), Span(False, 40, 70), 12.0)
    assert instead.budget_in_words == "40 steps + 1 epoch"
    for _ in range(MOST_EARLIER + 3):
        further = further.with_budget(Budget("steps", 20), Span(False, 40, 60), 11.0, further=True)
    assert RunState.from_spec(further.spec()).earlier == further.earlier == ["20 steps"] * MOST_EARLIER


def test_a_state_of_an_older_version_knows_no_earlier_budgets(state):
    spec = {name: value for name, value in state.spec().items() if name != "earlier"}
    assert RunState.from_spec(spec).earlier == []


def test_what_is_no_state_of_this_version_is_refused_in_these_words(state):
    for spec, version in (
        ({}, "None"),
        ({"version": 2}, "2"),
        ({"version": "9" * 60}, "9" * 40),
    ):
        with pytest.raises(CheckpointError) as caught:
            RunState.from_spec(spec)
        told = f"this pantoum reads version 1 of a checkpoint, not '{version}'; resume with the pantoum that "
        assert str(caught.value) == told + "wrote it"
    spec = state.spec()
    spec["recipe"]["model"]["cell"] = "brain"
    with pytest.raises(CheckpointError, match=r"^the checkpoint's state cannot be used: cell is 'brain': "):
        RunState.from_spec(spec)


def test_a_state_must_be_of_its_checkpoint_and_of_its_run(state, tmp_path):
    found = Checkpoint(7, {}, state.spec(), tmp_path)
    same = RunState.of(found)
    assert same == replace(state, curve=same.curve)
    name = repr(str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        RunState.of(replace(found, step=8))
    told = f"the checkpoint {name} holds the state of step 7; go on from another checkpoint"
    assert str(caught.value) == told
    state.require_run(None, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        state.require_run("another", tmp_path)
    told = f"the checkpoint {name} belongs to another run; move it out of this run's folder"
    assert str(caught.value) == told


def test_the_list_of_good_steps_ascends_and_is_as_long_as_rollbacks_can_ask_for(state):
    for step in (10, 20, 20, 30, 40, 40):
        at(state, step).add_good()
    assert state.good == [20, 30, 40] and len(state.good) == MOST_ROLLBACKS
    at(state, 30).add_good()
    assert state.good == [20, 30]


def test_a_refused_checkpoint_is_neither_good_nor_the_one_where_the_decay_begins(state):
    state.good = [10, 20, 30]
    at(state, 20).decay_begins()
    state.remove_good(30)
    assert state.good == [10, 20] and state.decay_step == 20
    state.remove_good(20)
    assert state.good == [10] and state.decay_step is None


def test_a_rollback_returns_to_the_place_and_keeps_the_time_and_the_best(state):
    state.updated(2.0, 0.5, 16)
    state.add_point(3.0)
    good = RunState.from_spec(state.spec())
    state.spend("training", 5.0)
    state.record(9.0, {"bad_in_a_row": 0}, Best(8, False, 1.5))
    state.step_done(16, {"epoch": 1})
    state.good = [3, 7, 8]
    state.return_to(good)
    assert (state.step, state.tokens, state.cursor, state.good) == (7, 112, None, [3, 7])
    assert state.curve.spec() == good.curve.spec() and len(state.curve.points) == 1
    assert state.phases["training"] == 5.0 and state.best == Best(8, False, 1.5)


def test_a_rollback_to_the_start_has_no_curve_and_no_good_checkpoint(state):
    at(state, 8).decay_begins()
    state.good = [5]
    state.add_point(3.0)
    state.return_to(None)
    assert (state.step, state.tokens, state.good, state.decay_step) == (0, 0, [], None)
    assert state.curve.points == []


def test_checkpoints_of_a_finished_run_that_stay_are_the_newest_good_one_and_that_of_the_decay(state):
    state.good = [10, 20, 30]
    at(state, 25).decay_begins()
    assert state.needed_checkpoints == {10, 20, 25, 30}
    state.finish()
    assert state.needed_checkpoints == {25, 30}


def assigned(source):
    """Fields of a run state that a module assigns, or assigns into (``state.phases["training"] += 1.0``)."""
    for node in ast.walk(ast.parse(source)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in (each for one in targets if one is not None for each in ast.walk(one)):
            inside = target.value if isinstance(target, ast.Subscript) else target
            if isinstance(inside, ast.Attribute) and inside.attr in FIELDS:
                owner = inside.value
                if (owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")) == "state":
                    yield inside.attr


def test_only_the_state_itself_assigns_its_fields():
    files = [file for file in Path(training.__file__).parent.rglob("*.py") if file.name != "run_state.py"]
    assert len(files) > 20 and [file.name for file in files if list(assigned(file.read_text()))] == []
    told = "run.state.step, x = 1, 2\nstate.phases['a'] += 1.0\nstate.good: list = []\nother.step = 3"
    assert sorted(set(assigned(told))) == ["good", "phases", "step"]


@pytest.mark.parametrize("change", [{"novel": 1}, {"span": {"begin": 0}}, {"recipe": None}, {"curve": {}}])
def test_a_state_that_another_pantoum_has_written_is_refused(state, change):
    with pytest.raises(CheckpointError, match=r"^the checkpoint's state cannot be used: .*that wrote it$"):
        RunState.from_spec({**state.spec(), **change})


def test_means_of_what_was_added():
    sums = UpdateSums()
    assert sums.mean_loss is None and sums.mean_accuracy is None
    sums.add(2.0, 0.25, 64)
    sums.add(4.0, 0.75, 64)
    assert (sums.mean_loss, sums.mean_accuracy, sums.tokens) == (3.0, 0.5, 128)


@given(st.integers(1, 2000), st.integers(1, 40))
@settings(max_examples=20)
def test_a_curve_keeps_its_newest_point_and_at_most_so_many(marks, every):
    curve = Curve()
    for step in range(1, marks + 1):
        curve.sums.add(1.0, 0.5, 8)
        curve.mark(step, 8 * step, 1.5 if step % every == 0 else None)
    steps = [point["step"] for point in curve.points]
    assert len(steps) <= MOST_POINTS and steps[-1] == marks and steps == sorted(set(steps))


def test_goes_on_the_same_after_json():
    curve, twin = Curve(), Curve()
    for step in range(1, 150):
        curve.sums.add(1 / step, 0.1, 3)
        curve.mark(step, step, None)
    curve.sums.add(0.1, 0.2, 3)
    twin = Curve.from_spec(json.loads(json.dumps(curve.spec())))
    for one in (curve, twin):
        for step in range(150, 300):
            one.mark(step, step, None)
    assert curve.spec() == twin.spec()
