"""A run that is stopped anywhere and resumed is, bit for bit, the run that was never stopped."""

import hashlib
import json
import re
import shutil

import numpy as np
import pytest

from pantoum import kernels
from pantoum.errors import RunError, SettingError, StorageError
from pantoum.formats import checkpoint, metrics, model_file

FASTEST = kernels.precisions()[-1]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same_run(one, other):
    """Model files byte for byte; weights, averages, moments, carried state and the plain state."""
    assert digest(one / "model.safetensors") == digest(other / "model.safetensors")
    a, b = checkpoint.newest(one), checkpoint.newest(other)
    assert a.step == b.step and a.arrays.keys() == b.arrays.keys()
    for name, array in a.arrays.items():
        assert np.array_equal(array, b.arrays[name]), name
    timed = ("seconds", "phases", "run")
    assert {k: v for k, v in a.state.items() if k not in timed} == {
        k: v for k, v in b.state.items() if k not in timed
    }


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cell": "lstm", "dropout": "variational:0.3"},
        {"cell": "gru-before", "dropout": 0.2, "norm": "layer"},
        {"cell": "mingru", "num_layers": 2, "residual": True, "clip": None},
        {"cell": "rnn", "average": None},
        {"tied": True, "schedule": "cosine", "documents": "lines"},
        {"embedding_size": None, "schedule": "constant", "valid_fraction": 0.0, "tokens": "bytes"},
        {"optimizer": "muon", "dropout": 0.1},
        {"optimizer": "muon", "cell": "lstm", "embedding_size": None, "precision": FASTEST},
        {"ngrams": "2,3", "ngram_rows": 256, "documents": "lines"},
        {"ngrams": "2,4", "optimizer": "muon", "precision": FASTEST, "cell": "lstm", "dropout": 0.2},
    ],
    ids=lambda settings: settings.get("cell", "gru") + str(len(settings)),
)
def test_stopped_and_resumed_is_the_run_that_was_never_stopped(run, tmp_path, settings):
    run("whole", steps=26, **settings)
    run("cut", steps=26, stop_after=11, **settings)
    assert run("cut", steps=26, resume=True, stop_after=12).stopped == "stop_after"
    assert run("cut", resume=True, texts=[]).finished
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_at_any_step_and_saving_interval(run, tmp_path):
    run("whole", steps=9)
    run("cut", steps=9, stop_after=1, checkpoint_every=3)
    for step in range(2, 9):
        run("cut", resume=True, stop_after=step)
    run("cut", resume=True)
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_killed_before_the_first_checkpoint_it_begins_again(run, tmp_path):
    run("whole", steps=5)
    run("cut", steps=5, stop_after=1)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    (tmp_path / "cut" / "model.safetensors").unlink()
    assert run("cut", resume=True, texts=[]).finished
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_checkpoint_that_does_not_verify_is_walked_past(run, tmp_path):
    run("whole", steps=12)
    run("cut", steps=12, stop_after=7)
    arrays = tmp_path / "cut" / "checkpoints" / "step-00000007" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1])
    result = run("cut", resume=True)
    assert any("step-00000007" in note for note in result.notes)
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_finished_run_says_so_and_is_left_alone(run, tmp_path):
    done = run("run", steps=4)
    before = digest(done.model)
    again = run("run", resume=True)
    assert again.already and again.finished and again.steps == 4 and again.validation == done.validation
    assert "finished" in again.notes[0] and digest(done.model) == before
    assert again.history == done.history


def test_the_history_of_a_resumed_run_is_that_of_all_its_sessions(run):
    first = run("run", steps=8, stop_after=3)
    second = run("run", resume=True)
    assert second.history[: len(first.history)] == first.history and second.history[-1].step == 8


def test_steps_that_come_again_are_in_the_log_once(run, tmp_path):
    run("run", steps=12, stop_after=7)
    log = tmp_path / "run" / "metrics.jsonl"
    later = {**metrics.read(log)[-1], "step": 9}
    metrics.append(log, later)
    run("run", resume=True)
    assert later not in metrics.read(log)


def test_a_finished_run_goes_further_from_where_the_rate_began_to_fall(run, tmp_path):
    run("run", steps=20, learning_rate=0.02, schedule="trapezoid")
    assert 12 in checkpoint.steps(tmp_path / "run")
    records = []
    result = run("run", steps=10, resume=True, listen=records.append)
    assert result.steps == 22 and any("back to step 12" in note for note in result.notes)
    rates = {record.step: record.learning_rate for record in records}
    assert rates[13] == rates[17] == pytest.approx(0.02) and rates[22] < 0.005
    assert checkpoint.newest(tmp_path / "run").step == 22
    # The best of both stays: going further never makes the kept model worse.
    assert model_file.read(result.model).card["validation"] == result.validation


def test_a_rate_that_fell_all_along_rises_again_from_the_end(run, tmp_path):
    run("run", steps=20, learning_rate=0.02)
    records = []
    result = run("run", steps=50, resume=True, listen=records.append)
    assert result.steps == 70 and not any("back to step" in note for note in result.notes)
    rates = {record.step: record.learning_rate for record in records if record.step > 20}
    highest = max(rates, key=rates.__getitem__)
    assert 20 < highest < 30 and rates[highest] > 0.015 and rates[70] < 0.002


def test_going_further_can_be_cut_too(run, tmp_path):
    for name, cut in (("whole", {}), ("cut", {"stop_after": 14})):
        run(name, steps=20)
        run(name, steps=10, resume=True, **cut)
    run("cut", resume=True)
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_an_unfinished_run_takes_another_budget(run, tmp_path):
    run("run", steps=10, stop_after=4)
    with pytest.raises(SettingError, match=r"steps is 3.*: is less than the run has used"):
        run("run", steps=3, resume=True)
    result = run("run", steps=16, resume=True)
    assert result.steps == 16 and any("the budget is now 16 steps" in note for note in result.notes)


def test_minutes_already_used_count(run, tmp_path):
    first = run("run", minutes=0.05, stop_after=3)
    assert first.stopped == "stop_after" and first.seconds < 3.0
    second = run("run", resume=True)
    assert second.finished and second.seconds < 5.1
    further = run("run", minutes=0.03, resume=True)
    assert further.finished and further.seconds - second.seconds < 4.0


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"hidden_size": 13}, "hidden_size is 13, the run has 12"),
        ({"cell": "lstm"}, "cell is lstm, the run has gru"),
        ({"tokens": "bytes"}, "tokens is bytes"),
        ({"seed": 3}, "seed is 3, the run has 0"),
        ({"learning_rate": 0.5}, "learning_rate is 0.5"),
        ({"dropout": 0.5}, "dropout is 0.5"),
    ],
)
def test_settings_that_differ_are_refused_with_what_differs(run, settings, what):
    run("run", steps=8, stop_after=2)
    with pytest.raises(RunError, match=what):
        run("run", resume=True, **settings)
    assert run("run", resume=True, hidden_size=12, dropout=0).finished


def test_n_grams_that_differ_are_refused_and_the_same_may_be_said(run):
    run("run", steps=8, stop_after=2, ngrams="2,3", ngram_rows=64)
    for other in ({"ngrams": "2,4"}, {"ngrams": None}, {"ngram_rows": 32}):
        with pytest.raises(RunError, match=next(iter(other)) + r" is .*the run has (\(2, 3\)|64)"):
            run("run", resume=True, **other)
    assert run("run", resume=True, ngrams=[2, 3], ngram_rows=64).finished


def test_another_text_is_refused_and_a_copy_accepted(run, tmp_path, story):
    run("run", steps=8, stop_after=2)
    other, copy = tmp_path / "other.txt", tmp_path / "copy.txt"
    other.write_text(story.read_text() + "more\n")
    copy.write_bytes(story.read_bytes())
    with pytest.raises(RunError, match=r"cannot go on with other data.*other\.txt"):
        run("run", resume=True, texts=[str(other)])
    assert run("run", resume=True, texts=[str(copy)]).finished


def test_a_second_command_on_one_folder_is_refused(run, tmp_path):
    from pantoum.formats.run_lock import RunLock

    run("run", steps=8, stop_after=2)
    with RunLock(tmp_path / "run"), pytest.raises(RunError, match="is in use by"):
        run("run", resume=True)


def test_there_must_be_something_to_resume(run, tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        run("nothing", resume=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"holds no run.*no config\.json.*leave --resume out"):
        run("empty", resume=True)
    with pytest.raises(RunError, match=r"exists already and holds no run.*remove that folder first"):
        run("empty", steps=1)


def test_a_lost_model_file_is_sought_anew(run, tmp_path):
    run("run", steps=12, stop_after=6)
    (tmp_path / "run" / "model.safetensors").write_bytes(b"damaged")
    result = run("run", resume=True)
    assert any("sought anew" in note for note in result.notes) and result.validation is not None
    assert json.dumps(model_file.read(result.model).card)


def test_a_run_without_a_checkpoint_takes_another_budget(run, tmp_path):
    run("cut", steps=5, stop_after=1, seed=3)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    result = run("cut", resume=True, steps=3)
    assert result.finished and result.steps == 3
    assert "there was no checkpoint yet: beginning from the start" in result.notes
    run("whole", steps=3, seed=3)
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_minutes_in_place_of_steps_and_steps_in_place_of_minutes_before_a_checkpoint(run, tmp_path):
    run("cut", steps=50, stop_after=1)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    assert run("cut", resume=True, minutes=0.02, stop_after=2).stopped == "stop_after"
    budget = checkpoint.newest(tmp_path / "cut").state["budget"]
    assert budget == {"kind": "minutes", "amount": 0.02}


def test_as_many_steps_as_were_made_are_too_few(run):
    run("run", steps=10, stop_after=4)
    with pytest.raises(SettingError) as caught:
        run("run", steps=4, resume=True)
    rule = "is less than the run has used already, which is at step 4"
    advice = "give more, or leave it out to complete the run"
    assert str(caught.value) == f"steps is 4.0: {rule}; {advice}"
    assert run("run", steps=5, resume=True).steps == 5


def test_where_the_rate_began_to_fall_is_damaged_the_run_goes_on_from_its_end(run, tmp_path):
    run("run", steps=20, learning_rate=0.02, schedule="trapezoid")
    state = tmp_path / "run" / "checkpoints" / "step-00000012" / "state.json"
    state.write_bytes(b"")
    result = run("run", steps=10, resume=True)
    assert result.steps == 30
    notes = [note for note in result.notes if note.endswith("; going on from the end instead")]
    assert len(notes) == 1 and notes[0].startswith(f"cannot use {str(state)!r}: ")
    assert "the budget is now 10 steps further" in result.notes


def test_what_is_said_on_the_way_back(run):
    run("run", steps=20, learning_rate=0.02, schedule="trapezoid")
    notes = run("run", steps=10, resume=True).notes
    assert "back to step 12, where the rate began to fall" in notes and "going on from step 12" in notes


def test_the_whole_of_a_refusal_of_other_settings(run):
    run("run", steps=8, stop_after=2, softmax="full")
    with pytest.raises(RunError) as caught:
        run("run", resume=True, seed=3, hidden_size=13)
    assert str(caught.value) == (
        "a resumed run keeps its settings, but hidden_size is 13, the run has 12; seed is 3, the run has 0; "
        "leave it out, or begin a new run"
    )
    with pytest.raises(RunError, match=r"but softmax is sampled:100, the run has full; leave"):
        run("run", resume=True, softmax="sampled:100")
    with pytest.raises(RunError, match=r"but from is .*model\.safetensors, the run has None; leave"):
        run("run", resume=True, from_=str(run("run", resume=True, softmax="full", dropout="0").model))


def test_the_whole_of_a_refusal_of_another_text(run, tmp_path, story):
    run("run", steps=8, stop_after=2)
    other = tmp_path / "other.txt"
    other.write_text(story.read_text() + "more\n")
    with pytest.raises(RunError) as caught:
        run("run", resume=True, texts=[str(other)])
    told = re.escape(f"the run cannot go on with other data: {str(other)!r} ")
    advice = r"; give what it began with \(TEXT may be left out\), or begin a new run, with --from for this"
    assert re.fullmatch(f"{told}.*{advice} one's model", str(caught.value))


def test_a_log_that_cannot_be_cut_does_not_stop_a_run(run, tmp_path, monkeypatch):
    run("run", steps=8, stop_after=3)

    def refuse(*_):
        raise StorageError("the disk says no")

    monkeypatch.setattr(metrics, "truncate_after", refuse)
    result = run("run", resume=True)
    assert result.finished
    assert "the log keeps records of steps that will come again: the disk says no" in result.notes


@pytest.mark.parametrize("setting", ["checkpoint_every", "stop_after", "keep_data"])
def test_what_may_change_may_be_given_before_the_first_checkpoint_too(run, tmp_path, setting):
    run("run", steps=6, stop_after=1)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    given = {
        "checkpoint_every": {"checkpoint_every": 2},
        "stop_after": {"stop_after": 3},
        "keep_data": {"keep_data": True},
    }
    result = run("run", resume=True, **given[setting])
    assert result.steps == (3 if setting == "stop_after" else 6)
    assert (tmp_path / "run" / "data" / "train.tokens").exists() is (setting != "checkpoint_every")
