"""Which checkpoint a rollback takes."""

from dataclasses import replace

import numpy as np
import pytest

from pantoum.config import TrainSettings
from pantoum.formats import checkpoint
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import Outlook
from pantoum.training.run.budget import Budget, Span
from pantoum.training.run.run_state import RunState
from pantoum.training.saving import go_back
from pantoum.training.update.update_guard import UpdateGuard

STEPS = (10, 20, 25, 30, 33)
GOOD = [10, 20, 30]
IDENTITY = {"text": "", "held-out text": None, "tokenizer": "", "began_from": None}


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of ``STEPS``, the last in trouble."""
    recipe = choose(TrainSettings(steps=40), Outlook(1000, 50, steps=40))
    for step in STEPS:
        guard = {**UpdateGuard(50).spec(), "bad_in_a_row": int(step == 33)}
        state = RunState(
            recipe,
            Span(False, 0, 40),
            Budget("steps", 40),
            IDENTITY,
            2,
            8,
            step=step,
            guard=guard,
            run="ours",
        )
        checkpoint.commit(tmp_path, step, {"w": np.full(3, step, np.float32)}, state.spec())
    return tmp_path


def taken(folder, good, step, run="ours"):
    notes = []
    now = RunState.from_spec(checkpoint.newest(folder).state)
    found = go_back(folder, replace(now, good=good, step=step, run=run), notes.append)
    return (None if found is None else found[1].step), len(notes)


def damage(folder, step):
    (folder / "checkpoints" / f"step-{step:08d}.safetensors").write_bytes(b"damaged")


def test_the_last_good_one_is_taken_and_where_it_is_damaged_the_one_before_it(folder):
    assert taken(folder, GOOD, 33) == (30, 0)
    damage(folder, 30)
    assert taken(folder, GOOD, 33) == (20, 1)
    damage(folder, 20)
    assert taken(folder, GOOD, 33) == (10, 2)


def test_where_no_listed_one_is_left_any_other_is_better_than_the_start_but_not_one_in_trouble(folder):
    assert taken(folder, [31, 32], 33) == (30, 2)
    assert taken(folder, [28], 29) == (25, 1)
    assert taken(folder, [8], 9) == (None, 1)


def test_before_the_first_good_one_it_is_the_start_whatever_else_was_saved(folder):
    assert taken(folder, [], 33) == (None, 0)


def test_what_is_said_names_the_step_the_folder_and_the_reason(folder):
    notes = []
    now = replace(RunState.from_spec(checkpoint.newest(folder).state), good=[30], step=30, run="another")
    go_back(folder, now, notes.append)
    assert "recovery skips the checkpoint of step 30" in notes[0]
    assert "step-00000030.safetensors' belongs to another run" in notes[0]


def test_those_of_another_run_are_said_and_never_taken(folder):
    assert taken(folder, GOOD, 33, run="another") == (None, 5)
