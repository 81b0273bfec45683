"""A run that is stopped anywhere and resumed is, bit for bit, the run that was never stopped."""

import hashlib
import json
import re
import shutil

import numpy as np
import pytest

from pantoum import kernels
from pantoum.data.prepare import are_removed
from pantoum.errors import RunError, StorageError
from pantoum.formats import checkpoint, metrics_file, model_file

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
        {"cell": "gru-before", "dropout": 0.2},
        {"cell": "mingru", "num_layers": 2, "clip": None},
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
    file = tmp_path / "cut" / "checkpoints" / "step-00000007.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
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
    later = {**metrics_file.read(log)[-1], "step": 9}
    metrics_file.append(log, later)
    run("run", resume=True)
    assert later not in metrics_file.read(log)


def test_going_further_can_be_cut_too(run, tmp_path):
    for name, cut in (("whole", {}), ("cut", {"stop_after": 14})):
        run(name, steps=20)
        run(name, steps=10, resume=True, **cut)
    run("cut", resume=True)
    same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (
            {"hidden_size": 13, "seed": 3},
            "--hidden-size is 13, the run has 12; --seed is 3, the run has 0",
        ),
        ({"cell": "lstm"}, "--cell is lstm, the run has gru"),
        ({"tokens": "bytes"}, "--tokens is bytes, the run has characters"),
        ({"learning_rate": 0.5}, r"--learning-rate is 0\.5, the run has 0\.\d+"),
        ({"dropout": 0.5}, r"--dropout is 0\.5, the run has 0"),
        ({"softmax": "sampled:100"}, "--softmax is sampled:100, the run has full"),
        ({"from_": "other.safetensors"}, r"--from is other\.safetensors, the run has none"),
        ({"encoding": "latin-1"}, "--encoding is latin-1, the run has none"),
    ],
)
def test_settings_that_differ_are_refused_with_what_differs(run, settings, what):
    run("run", steps=8, stop_after=2, softmax="full")
    with pytest.raises(RunError) as caught:
        run("run", resume=True, **settings)
    told = f"a resumed run keeps its settings, but {what}; leave it out, or begin a new run"
    assert re.fullmatch(told, str(caught.value))
    assert run("run", resume=True, hidden_size=12, dropout=0, softmax="full").finished


def test_n_grams_that_differ_are_refused_and_the_same_may_be_said(run):
    run("run", steps=8, stop_after=2, ngrams="2,3", ngram_rows=64)
    for other in ({"ngrams": "2,4"}, {"ngrams": None}, {"ngram_rows": 32}):
        with pytest.raises(
            RunError, match=next(iter(other)).replace("_", "-") + r" is .*the run has (2, 3|64)"
        ):
            run("run", resume=True, **other)
    assert run("run", resume=True, ngrams=[2, 3], ngram_rows=64).finished


def test_another_text_is_refused_and_a_copy_accepted(run, tmp_path, story):
    run("run", steps=8, stop_after=2)
    other, copy = tmp_path / "other.txt", tmp_path / "copy.txt"
    other.write_text(story.read_text() + "more\n")
    copy.write_bytes(story.read_bytes())
    with pytest.raises(RunError) as caught:
        run("run", resume=True, texts=[str(other)])
    told = re.escape(f"the run cannot continue with other data: {str(other)!r} ")
    advice = r"; give what it began with \(TEXT may be left out\), or begin a new run, with --from for this"
    assert re.fullmatch(f"{told}.*{advice} one's model", str(caught.value))
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
    with pytest.raises(RunError, match=r"is not a run.*no config\.json.*leave --resume out"):
        run("empty", resume=True)
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(RunError, match=r"exists already and is not a run.*remove that folder first"):
        run("empty", steps=1)


def test_a_lost_model_file_is_sought_anew(run, tmp_path):
    run("run", steps=12, stop_after=6)
    (tmp_path / "run" / "model.safetensors").write_bytes(b"damaged")
    result = run("run", resume=True)
    assert any("starts again" in note for note in result.notes) and result.validation is not None
    assert json.dumps(model_file.read(result.model).card)


def test_a_log_that_cannot_be_cut_does_not_stop_a_run(run, tmp_path, monkeypatch):
    run("run", steps=8, stop_after=3)

    def refuse(*_):
        raise StorageError("the disk says no")

    monkeypatch.setattr(metrics_file, "truncate_after", refuse)
    result = run("run", resume=True)
    assert result.finished
    assert "the log keeps records of steps that will be repeated: the disk says no" in result.notes


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
    assert are_removed(tmp_path / "run" / "data") is (setting == "checkpoint_every")


def test_the_command_of_an_ensemble_goes_on_and_another_number_of_members_is_refused(run, tmp_path):
    run("cut", steps=6, members=2, stop_after=3)
    with pytest.raises(RunError, match="members is 1, the run has 2"):
        run("cut", steps=6, members=1, resume=True)
    assert run("cut", steps=6, members=2, resume=True).finished


def test_a_resumed_run_saves_as_often_as_it_was_asked_to(run, tmp_path):
    run("run", steps=400, checkpoint_every=3, stop_after=22)
    run("run", resume=True, stop_after=35)
    assert {30, 33} <= set(checkpoint.steps(tmp_path / "run"))
    run("run", resume=True, checkpoint_every=50, stop_after=56)
    assert not {48, 51, 54} & set(checkpoint.steps(tmp_path / "run"))


def test_records_of_a_finished_run_stay_until_it_can_go_on_without_them(run, tmp_path, monkeypatch):
    run("run", steps=20, learning_rate=0.02, schedule="trapezoid")
    before = metrics_file.read(tmp_path / "run" / "metrics.jsonl")

    def die(*rest, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("pantoum.training.saving.Saving.checkpoint", die)
    with pytest.raises(KeyboardInterrupt):
        run("run", steps=10, resume=True)
    assert metrics_file.read(tmp_path / "run" / "metrics.jsonl") == before
    monkeypatch.undo()
    assert run("run", steps=10, resume=True).steps == 22
    assert len([each for each in metrics_file.read(tmp_path / "run" / "metrics.jsonl") if each["ended"]]) == 1
