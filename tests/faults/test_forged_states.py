"""A state that does not fit its checkpoint is refused in one line, before anything is made."""

import copy
import shutil
from dataclasses import replace

import pytest

from pantoum.config import ModelConfig, TrainSettings
from pantoum.data.prepare import open_prepared
from pantoum.errors import CheckpointError, PantoumError
from pantoum.formats import checkpoint
from pantoum.network.spec import number
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train

SHAPES = {
    "plain": {},
    "ensemble": {"members": 2, "ngrams": "2,3", "ngram_rows": 64, "dropout": 0.1, "optimizer": "muon"},
}


@pytest.fixture(scope="module", params=SHAPES)
def stopped(request, tmp_path_factory):
    """A stopped run, and its checkpoint."""
    place = tmp_path_factory.mktemp("forged")
    (place / "text.txt").write_text("the cat sat on the mat. " * 60)
    small = {"hidden_size": 12, "num_layers": 1, "embedding_size": 6, "batch_size": 2, "seq_len": 8}
    asked = TrainSettings(run=str(place / "run"), steps=12, stop_after=5, **small, **SHAPES[request.param])
    train(TrainingCommand(asked, [str(place / "text.txt")]))
    return place, checkpoint.newest(place / "run")


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


def test_a_state_of_another_step_than_its_checkpoint_is_refused(stopped):
    place, good = stopped
    problem = outcome(place, good, {**good.state, "step": 4})
    assert isinstance(problem, CheckpointError) and "holds the state of step 4" in str(problem)


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
        f"{place / 'forged' / 'checkpoints' / 'step-00000005.safetensors'}: its state needs at least "
        f"{members * needed:,} numbers, its arrays hold {held:,}; go on from another checkpoint, or start a "
        "new run"
    )
