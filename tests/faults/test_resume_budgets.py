"""A budget that is given when a run goes on: what it means after other budgets, and from where it counts."""

import itertools
import shutil
from pathlib import Path

import pytest

from pantoum.data.prepare import open_prepared
from pantoum.errors import SettingError
from pantoum.formats import checkpoint, model_file
from pantoum.training.run.budget import Clock
from pantoum.training.update.backend import LocalBackend

TICK = 0.01
"""Seconds that pass by each look at the clock of a run."""


def span_of(folder):
    return checkpoint.newest(folder).state["span"]


@pytest.mark.parametrize("extra", [0, 63])
def test_epochs_further_count_the_steps_of_an_epoch(run, story, tmp_path, extra):
    text = tmp_path / "text.txt"
    text.write_bytes(story.read_bytes()[: 64 * 20 + 1 + extra])
    asked = {"tokens": "bytes", "valid_fraction": 0.0, "ngrams": None, "keep_data": True}
    run("run", texts=[str(text)], steps=3, **asked)
    assert open_prepared(tmp_path / "run" / "data").train.count == 64 * 20 + 1 + extra
    assert run("run", texts=[], resume=True, epochs=1.5).steps == 3 + 30  # of 20 batches of 4 x 16 each


def test_a_prolonged_run_that_is_stopped_takes_another_budget_from_where_it_was_prolonged(run, tmp_path):
    run("run", steps=20, keep_data=True)
    run("run", steps=50, resume=True, stop_after=30)
    assert span_of(tmp_path / "run") == {"by_clock": False, "begin": 20.0, "end": 70.0, "warm_up": True}
    result = run("run", steps=60, resume=True, stop_after=31)
    assert span_of(tmp_path / "run") == {"by_clock": False, "begin": 20.0, "end": 80.0, "warm_up": True}
    assert "the budget is now 60 steps" in result.notes
    run("run", steps=13, resume=True, stop_after=32)
    assert span_of(tmp_path / "run")["end"] == 33.0
    with pytest.raises(
        SettingError, match=r"steps is 12: it must be more than the run has used already.*step 32"
    ):
        run("run", steps=12, resume=True)
    assert run("run", resume=True).steps == 33


def test_from_where_its_decay_began_a_run_has_no_second_warm_up(run, tmp_path):
    run("run", steps=20, learning_rate=0.02, schedule="trapezoid", stop_after=15)
    result = run("run", steps=40, resume=True, stop_after=18)
    assert "back to step 12, where the rate began to fall" in result.notes
    assert span_of(tmp_path / "run") == {"by_clock": False, "begin": 0.0, "end": 40.0, "warm_up": False}


def test_steps_in_place_of_minutes_count_from_the_start_and_minutes_in_place_of_steps_too(run, tmp_path):
    run("run", steps=50, stop_after=4)
    run("run", minutes=0.5, resume=True, stop_after=6)
    assert span_of(tmp_path / "run") == {"by_clock": True, "begin": 0.0, "end": 30.0, "warm_up": True}
    run("run", steps=60, resume=True, stop_after=8)
    assert span_of(tmp_path / "run") == {"by_clock": False, "begin": 0.0, "end": 60.0, "warm_up": True}
    state = checkpoint.newest(tmp_path / "run").state
    assert state["budget"] == {"kind": "steps", "amount": 60.0} and state["timeless"] is False


def test_minutes_further_count_from_what_all_sessions_used(run, tmp_path):
    run("run", steps=20, keep_data=True)
    used = checkpoint.newest(tmp_path / "run").state["seconds"]
    run("run", minutes=0.5, resume=True, stop_after=22)
    span = span_of(tmp_path / "run")
    assert span["by_clock"] and span["warm_up"]
    assert used < span["begin"] and span["end"] == pytest.approx(used + 30.0)


def test_a_budget_that_is_said_again_changes_nothing(run, tmp_path):
    run("run", steps=20, stop_after=4)
    result = run("run", steps=20, resume=True, stop_after=6)
    assert not any("the budget is now" in note for note in result.notes)
    assert "continuing from step 4" in result.notes


def test_a_finished_run_goes_further_from_where_the_rate_began_to_fall(run, tmp_path):
    run("run", steps=20, learning_rate=0.02, schedule="trapezoid")
    assert 12 in checkpoint.steps(tmp_path / "run")
    records = []
    result = run("run", steps=10, resume=True, listen=records.append)
    assert result.steps == 22
    assert "back to step 12, where the rate began to fall" in result.notes
    assert "continuing from step 12" in result.notes and "the budget is now 10 steps further" in result.notes
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


def test_an_unfinished_run_takes_another_budget_if_it_has_not_used_as_much(run, tmp_path):
    run("run", steps=10, stop_after=4)
    for steps in (3, 4):
        with pytest.raises(SettingError) as caught:
            run("run", steps=steps, resume=True)
        rule = "it must be more than the run has used already: it is at step 4"
        advice = "give more, or leave it out to complete the run"
        assert str(caught.value) == f"steps is {steps}: {rule}; {advice}"
    assert run("run", steps=5, resume=True, stop_after=5).steps == 5
    run("other", steps=10, stop_after=4)
    result = run("other", steps=16, resume=True)
    assert result.steps == 16 and "the budget is now 16 steps" in result.notes


def test_minutes_already_used_count(run, tmp_path, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(Clock.__init__, "__defaults__", (None, 0.0, lambda: next(ticks) * TICK))
    first = run("run", minutes=0.05, stop_after=3)
    assert first.stopped == "stop_after" and first.seconds < 3.0
    second = run("run", resume=True)
    assert second.finished and second.seconds < 3.0 + 100 * TICK
    further = run("run", minutes=0.03, resume=True)
    assert further.finished and further.seconds - second.seconds < 1.8 + 100 * TICK


def test_where_the_rate_began_to_fall_is_damaged_the_run_goes_on_from_its_end(run, tmp_path):
    run("run", steps=20, learning_rate=0.02, schedule="trapezoid")
    damaged = tmp_path / "run" / "checkpoints" / "step-00000012.safetensors"
    damaged.write_bytes(b"")
    result = run("run", steps=10, resume=True)
    assert result.steps == 30
    notes = [note for note in result.notes if note.endswith("; continuing from the end instead")]
    assert len(notes) == 1 and notes[0].startswith(f"cannot use the checkpoint {str(damaged)!r}: ")
    assert "the budget is now 10 steps further" in result.notes


def test_a_run_without_a_checkpoint_takes_another_budget(run, tmp_path):
    run("cut", steps=5, stop_after=1, seed=3)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    result = run("cut", resume=True, steps=3)
    assert result.finished and result.steps == 3
    assert "there was no checkpoint yet: beginning from the start" in result.notes
    run("whole", steps=3, seed=3)
    models = [tmp_path / name / "model.safetensors" for name in ("whole", "cut")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_minutes_in_place_of_steps_before_a_checkpoint(run, tmp_path):
    run("cut", steps=50, stop_after=1)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    assert run("cut", resume=True, minutes=0.02, stop_after=2).stopped == "stop_after"
    budget = checkpoint.newest(tmp_path / "cut").state["budget"]
    assert budget == {"kind": "minutes", "amount": 0.02}


class KilledError(Exception):
    """Stands for the end of the process."""


def die(*arguments, **more):
    raise KilledError


def files(folder):
    """The names of all files, and the bytes of the model."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return names, (folder / "model.safetensors").read_bytes()


def test_a_command_that_was_killed_at_its_end_does_not_go_further_twice(run, tmp_path, monkeypatch):
    for name in ("whole", "cut"):
        run(name, steps=6)
    run("whole", steps=4, resume=True)
    with monkeypatch.context() as patch:
        patch.setattr("pantoum.training.run_session.leave_needed", die)
        with pytest.raises(KilledError):
            run("cut", steps=4, resume=True)
    result = run("cut", steps=4, resume=True)
    assert result.steps == 10 and result.finished and not result.already
    told = "the command was killed while it finished the run: its last part is repeated"
    assert told in result.notes
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert run("cut", resume=True).already
    assert run("cut", steps=4, resume=True).steps == 14


def test_the_end_of_a_run_whose_text_is_gone_stays_as_it_is(run, tmp_path, story, monkeypatch):
    run("run", steps=4)
    (tmp_path / "run" / ".ending").touch()
    story.unlink()
    assert run("run", resume=True, texts=[]).already


@pytest.mark.parametrize("schedule", ["linear", "trapezoid"])
def test_another_budget_counts_from_before_its_first_step_on(run, tmp_path, monkeypatch, schedule):
    run("run", steps=6, schedule=schedule)
    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "gradients", die)
        with pytest.raises(KilledError):
            run("run", steps=4, resume=True)
    found = checkpoint.newest(tmp_path / "run")
    assert not found.state["finished"] and found.state["budget"] == {"kind": "steps", "amount": 4.0}
    assert checkpoint.steps(tmp_path / "run")[-1] == found.step
    result = run("run", resume=True)
    assert result.finished and result.steps == found.step + 4


def test_a_killed_command_leaves_nothing_in_the_data_of_a_run(run, tmp_path):
    run("run", steps=4, keep_data=True)
    data = tmp_path / "run" / "data"
    before = sorted(path.name for path in data.iterdir())
    stray = data / f".prepared.{'0' * 16}.pantoum-tmp"
    stray.write_bytes(b"half")
    assert run("run", resume=True).already
    assert sorted(path.name for path in data.iterdir()) == before
    assert run("run", steps=2, resume=True).steps == 6


def test_comparing_texts_writes_nothing(run, tmp_path, story, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    run("run", steps=4)
    assert run("run", steps=2, resume=True, texts=[str(story)]).steps == 6
    assert not Path(tmp_path / "nowhere").exists()
