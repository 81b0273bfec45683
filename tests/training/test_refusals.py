"""A disk that refuses is told once in full, then counted."""

from pantoum.errors import StorageError
from pantoum.training.saving import Outcome, Refusals


def told(*outcomes):
    notes = []
    refusals = Refusals(notes.append)
    for step, (what, error) in enumerate(outcomes):
        refusals.hear(Outcome(what, step, 0.1, StorageError("the disk is full") if error else None))
    return notes


def test_the_first_is_told_in_full_and_then_the_count():
    notes = told(*[("model", True)] * 120)
    assert len(notes) == 3 and "SAVING FAILED, model of step 0: the disk is full; what was saved" in notes[0]
    assert [note.split(" times")[0] for note in notes[1:]] == ["SAVING FAILED 10", "SAVING FAILED 100"]


def test_that_it_works_again_is_told_and_a_new_spell_in_full():
    notes = told(("model", True), ("model", True), ("checkpoint", False), ("model", False), ("model", True))
    assert [note.split(",")[0] for note in notes] == [
        "SAVING FAILED",
        "saving works again: model of step 3",
        "SAVING FAILED",
    ]


def test_one_failure_that_is_made_good_at_once_is_not_said_again():
    assert len(told(("model", True), ("model", False))) == 1


def test_models_and_checkpoints_are_counted_apart():
    assert len(told(("model", True), ("checkpoint", True), ("model", True))) == 2
