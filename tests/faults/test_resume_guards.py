"""Losses that explode, full disks, logs that cannot be written: training goes on, or says why not."""

import dataclasses
import errno
import itertools
import os

import numpy as np
import pytest

from pantoum.errors import DivergedError, StorageError
from pantoum.formats import checkpoint, durable, metrics_file, model_file
from pantoum.formats.system_calls import System
from pantoum.network.network_state import NetworkState
from pantoum.training.update.backend import LocalBackend


@pytest.fixture
def spoil(monkeypatch):
    """Spoil what the backend finds at some steps: ``spoil({step: {"loss": nan}})``; counts the calls."""
    honest = LocalBackend.gradients

    def install(at, times=10**9):
        calls = []

        def gradients(self, batch, state, step, streams):
            found = honest(self, batch, state, step, streams)
            if step in at and len(calls) < times:
                calls.append(step)
                return dataclasses.replace(found, **at[step])
            return found

        monkeypatch.setattr(LocalBackend, "gradients", gradients)
        return calls

    return install


@pytest.mark.parametrize("what", [{"loss": float("nan")}, {"gradient_norm": float("inf")}, {"loss": 250.0}])
def test_one_bad_update_is_skipped_and_said(run, spoil, tmp_path, what):
    spoil({6: what})
    result = run("run", steps=12)
    assert result.finished and sum("update skipped" in note for note in result.notes) == 1
    assert checkpoint.newest(tmp_path / "run").state["guard"]["skipped"] == 1


def test_a_state_that_is_not_finite_is_not_handed_on(run, spoil, tmp_path):
    bad = NetworkState((np.full((4, 12), np.nan, np.float32),))
    spoil({6: {"loss": float("nan"), "state": bad}})
    assert run("run", steps=8).finished
    assert np.isfinite(checkpoint.newest(tmp_path / "run").arrays["carried.0"]).all()


def test_trouble_that_stays_is_rolled_back_at_half_the_rate(run, spoil, tmp_path):
    spoil({step: {"loss": float("nan")} for step in (10, 11, 12)}, times=3)
    records = []
    result = run("run", steps=20, schedule="constant", learning_rate=0.01, listen=records.append)
    assert result.finished and result.steps == 20
    assert sum("ROLLED BACK" in note for note in result.notes) == 1
    assert records[-1].learning_rate == pytest.approx(0.005)
    steps = [record.step for record in records]
    assert any(later <= earlier for earlier, later in itertools.pairwise(steps))


def test_before_the_first_checkpoint_it_goes_back_to_the_start(run, spoil):
    spoil({step: {"loss": float("nan")} for step in (0, 1, 2)}, times=3)
    result = run("run", steps=10)
    assert result.finished and any("ROLLED BACK to step 0" in note for note in result.notes)


@pytest.mark.parametrize("from_a_model", [False, True])
def test_before_the_first_good_checkpoint_a_saved_step_changes_nothing(run, spoil, tmp_path, from_a_model):
    begins = {"from_": str(run("source", steps=5).model)} if from_a_model else {}
    for name, sessions in (("whole", [{"steps": 60}]), ("cut", [{"steps": 60, "stop_after": 2}, {}])):
        spoil({step: {"loss": float("nan")} for step in (2, 3, 4)}, times=3)
        for place, asked in enumerate(sessions):
            run(name, **asked, **({"resume": True} if place else begins))
    one, other = (checkpoint.newest(tmp_path / name) for name in ("whole", "cut"))
    assert one.state["guard"] == other.state["guard"]
    assert all(np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items())


def test_what_never_recovers_ends_with_a_clear_error_and_nothing_bad_on_disk(run, spoil, tmp_path):
    spoil({step: {"loss": float("nan")} for step in range(8, 100)})
    with pytest.raises(DivergedError, match=r"does not recover.*3 rollbacks; give a --learning-rate below"):
        run("run", steps=40)
    newest = checkpoint.newest(tmp_path / "run")
    assert newest.step <= 8 and all(np.isfinite(array).all() for array in newest.arrays.values())
    assert metrics_file.read(tmp_path / "run" / "metrics.jsonl")[-1]["ended"] == "failed"


def test_a_spike_of_the_texts_own_is_accepted_in_the_end(run, spoil):
    spoil({step: {"loss": 9.0} for step in range(30, 33)})
    result = run("run", steps=60)
    assert result.finished and any("this part of the text is unusual" in note for note in result.notes)


def test_a_rate_that_is_far_too_high_does_not_end_in_a_broken_model(run, tmp_path):
    try:
        result = run("run", steps=40, learning_rate=900.0, clip=None)
        arrays = model_file.read(result.model).parameters
        assert all(np.isfinite(array).all() for array in arrays.values())
    except DivergedError:
        newest = checkpoint.newest(tmp_path / "run")
        assert newest is None or all(np.isfinite(array).all() for array in newest.arrays.values())


class Full(System):
    """A disk that is full while ``until`` is not reached, for files whose path has ``name`` in it."""

    def __init__(self, name, count):
        self.name, self.left, self.refused = name, count, 0

    def create(self, path, mode):
        if self.name in str(path) and self.left > 0:
            self.left -= 1
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().create(path, mode)

    def open_to_append(self, path):
        if self.name in str(path) and self.left > 0:
            self.left -= 1
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().open_to_append(path)


@pytest.mark.parametrize("name", ["checkpoints", "model.safetensors"])
def test_a_full_disk_is_said_loudly_and_tried_again(run, monkeypatch, tmp_path, name):
    full = Full(name, 4)
    monkeypatch.setattr(durable, "system", full)
    result = run("run", steps=20)
    assert full.refused == 4 and result.finished
    assert sum("SAVING FAILED" in note and "disk is full" in note for note in result.notes) == 1
    assert sum("saving works again" in note and "after 4 failures" in note for note in result.notes) == 1
    assert checkpoint.newest(tmp_path / "run").step == 20
    assert model_file.read(result.model).card["validation"] == result.validation


def test_a_disk_that_stays_full_is_an_error_and_what_was_saved_is_whole(run, monkeypatch, tmp_path):
    run("run", steps=20, stop_after=10)
    monkeypatch.setattr(durable, "system", Full("checkpoints", 10**9))
    monkeypatch.setattr("pantoum.training.saving.BETWEEN_TRIES", 0.0)
    with pytest.raises(StorageError, match="disk is full"):
        run("run", resume=True)
    assert checkpoint.newest(tmp_path / "run").step == 10


@pytest.mark.parametrize("name", ["metrics.jsonl", "report.html"])
def test_a_log_that_cannot_be_written_is_said_once_and_training_goes_on(run, monkeypatch, name):
    monkeypatch.setattr(durable, "system", Full(name, 10**9))
    result = run("run", steps=20)
    assert result.finished
    assert sum("cannot be written, training goes on" in note for note in result.notes) == 1


def test_a_closed_terminal_is_left_alone(run):
    def closed(report):
        told.append(report)
        raise BrokenPipeError

    told = []
    assert run("run", steps=6, listen=closed).finished and len(told) == 1


def test_an_error_of_the_listener_is_the_callers(run, tmp_path):
    def broken(report):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run("run", steps=6, listen=broken)
    assert (tmp_path / "run" / "config.json").exists()
