"""A state whose hash is right and whose content is not is refused in one line, whatever is wrong in it."""

import copy
import random
import shutil
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.config import ModelConfig, TrainSettings
from pantoum.data.prepare import open_prepared
from pantoum.errors import CheckpointError, PantoumError
from pantoum.formats import checkpoint
from pantoum.network.spec import number
from pantoum.training.begin import TrainingCommand
from pantoum.training.run.run_state import RunState
from pantoum.training.run_session import train

VALUES = (
    None,
    True,
    -1,
    0,
    3,
    2**70,
    -(2**70),
    1e308,
    0.5,
    "x",
    "",
    [],
    [1],
    ["x"],
    {},
    {"a": 1},
    "x" * 9999,
)
SHAPES = {
    "plain": {},
    "ensemble": {"members": 2, "ngrams": "2,3", "ngram_rows": 64, "dropout": 0.1, "optimizer": "muon"},
}


def places(value, at=()):
    """Every place in a state; of lists the first two items."""
    yield at
    if isinstance(value, (dict, list)):
        keys = value if isinstance(value, dict) else range(min(2, len(value)))
        for key in keys:
            yield from places(value[key], (*at, key))


def forged(state):
    """The state with one place changed, removed, or with something unknown beside it."""
    for at in places(state):
        for change in (*VALUES, "remove", "add") if at else ():
            made = copy.deepcopy(state)
            inside = made
            for key in at[:-1]:
                inside = inside[key]
            if change == "remove":
                del inside[at[-1]]
            elif change != "add":
                inside[at[-1]] = change
            elif isinstance(inside[at[-1]], dict):
                inside[at[-1]]["novel"] = 1
            yield at, made


@pytest.fixture(scope="module", params=SHAPES)
def stopped(request, tmp_path_factory):
    """A stopped run, and its checkpoint."""
    place = tmp_path_factory.mktemp("forged")
    (place / "text.txt").write_text("the cat sat on the mat. " * 60)
    small = {"hidden_size": 12, "num_layers": 1, "embedding_size": 6, "batch_size": 2, "seq_len": 8}
    asked = TrainSettings(run=str(place / "run"), steps=12, stop_after=5, **small, **SHAPES[request.param])
    train(TrainingCommand(asked, [str(place / "text.txt")]))
    return place, checkpoint.newest(place / "run")


def test_no_value_is_believed_before_it_is_checked(stopped):
    _, good = stopped
    refused = 0
    for at, state in forged(good.state):
        try:
            RunState.from_spec(state)
        except CheckpointError as problem:
            assert "\n" not in str(problem) and len(str(problem)) < 400, at
            refused += 1
    assert refused > 1000


def outcome(place, good, state):
    """Resume from a forged state: a result, or one of our errors."""
    folder = place / "forged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / "run", folder, ignore=shutil.ignore_patterns("checkpoints"))
    try:
        checkpoint.commit(folder, good.step, good.arrays, state)
        return train(TrainingCommand(TrainSettings(run=str(folder), resume=True, stop_after=7)))
    except PantoumError as problem:
        return problem


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_run_resumes_from_a_forged_state_or_says_why_not(stopped, data):
    place, good = stopped
    _, state = data.draw(st.sampled_from(list(forged(good.state))))
    outcome(place, good, state)  # anything else that is raised is the failure


@pytest.mark.slow
def test_nor_does_one_in_three_of_all_forged_states_end_in_a_traceback(stopped):
    place, good = stopped
    for _, state in list(forged(good.state))[random.randrange(3) :: 3]:  # another third each time
        outcome(place, good, state)


def test_a_state_of_another_step_than_its_checkpoint_is_refused(stopped):
    place, good = stopped
    problem = outcome(place, good, {**good.state, "step": 4})
    assert isinstance(problem, CheckpointError) and "holds the state of step 4" in str(problem)


def test_the_refusal_names_the_place_the_value_and_the_rule(stopped):
    _, good = stopped
    state = copy.deepcopy(good.state)
    state["guard"]["losses"][1] = "x"
    with pytest.raises(CheckpointError, match=r"guard\.losses\[1\] is 'x': it must be a number from"):
        RunState.from_spec(state)


def test_a_state_that_asks_for_more_than_the_arrays_hold_is_refused_before_anything_is_made(stopped):
    place, good = stopped
    count, held = len(good.arrays), sum(array.size for array in good.arrays.values())
    members = good.state["recipe"].get("members", 1)
    asks = [("shards", 3, 2), *([("members", 64, count)] if count < 64 else [])]
    for name, value, most in asks:
        state = copy.deepcopy(good.state)
        state["recipe"][name] = value
        rule = f"it must be a whole number from 1 to {most}"
        assert str(outcome(place, good, state)) == f"{name} is {value}: {rule}; give such a number"
    without = {name: array for name, array in good.arrays.items() if name != "streams"}
    for arrays, streams, most in ((good.arrays, 3, 2), (without, 2, 1)):
        problem = outcome(place, replace(good, arrays=arrays), {**good.state, "batch_size": streams})
        rule = f"it must be a whole number from 1 to {most}"
        assert str(problem) == f"batch_size is {streams}: {rule}; give such a number"
    state = copy.deepcopy(good.state)
    state["recipe"]["model"]["hidden_size"] = 4096
    vocab_size = open_prepared(place / "run" / "data").tokenizer.vocab_size
    needed = number(ModelConfig.from_spec(state["recipe"]["model"]), vocab_size) + 2 * 4096
    assert str(outcome(place, good, state)) == (
        f"{place / 'forged' / 'checkpoints' / 'step-00000005'}: its state needs at least "
        f"{members * needed:,} numbers, its arrays hold {held:,}; go on from another checkpoint, or start a "
        "new run"
    )
