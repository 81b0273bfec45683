"""Everything that happens to a run's folder, in any order, against a plain model of what must be there.

The model knows one thing: how many steps the run has been given. Whatever is stopped, killed, refused by the
disk, renamed, copied or deleted, the run that ends has the bits of the run to which nothing happened.
"""

import contextlib
import errno
import functools
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pantoum.config import TrainSettings
from pantoum.errors import CheckpointError, RunError, StorageError
from pantoum.formats import checkpoint, durable, model_file
from pantoum.formats.durable import is_temporary
from pantoum.formats.run_lock import RunLock
from pantoum.formats.system_calls import System
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train
from pantoum.training.update.backend import LocalBackend

STEPS, FURTHER = 9, 4
TINY = {"hidden_size": 6, "num_layers": 1, "embedding_size": 4, "batch_size": 2, "seq_len": 8}
TEXT = "the cat sat on the mat and then it slept. " * 20


class KilledError(Exception):
    """Stands for the end of the process."""


class Disk(System):
    """Waits for nothing; refuses a number of new files."""

    def __init__(self):
        self.refuses = 0

    def fsync(self, descriptor):
        """No power is cut here."""

    def create(self, path, mode):
        if self.refuses > 0:
            self.refuses -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().create(path, mode)


def resumed(folder, **asked):
    """One session."""
    return train(TrainingCommand(TrainSettings(run=str(folder), resume=True, **asked)))


def begun(folder, **asked):
    """A new run that has done three steps."""
    text = folder.parent / "text.txt"
    text.write_text(TEXT)
    settings = TrainSettings(run=str(folder), steps=STEPS, stop_after=3, **TINY, **asked)
    train(TrainingCommand(settings, [str(text)]))


def fingerprint(folder):
    """The bits of the newest checkpoint, but for names and times."""
    found = checkpoint.newest(folder)
    hasher = hashlib.sha256()
    for name in sorted(found.arrays):
        hasher.update(name.encode() + found.arrays[name].tobytes())
    # Not ``good``: a checkpoint that the disk refused is not in it.
    timeless = {name: found.state[name] for name in ("step", "curve", "guard", "cursor", "best", "span")}
    return hasher.hexdigest(), timeless


@functools.cache
def undisturbed(end):
    """The fingerprint and the model file of a run that was only prolonged to this step."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        begun(folder)
        result = resumed(folder)
        while result.steps < end:
            result = resumed(folder, steps=FURTHER)
        return fingerprint(folder), result.model.read_bytes()


def whole_checkpoints(folder):
    """Those that verify."""
    found = []
    for step in checkpoint.steps(folder):
        with contextlib.suppress(CheckpointError):
            found.append(checkpoint.read(folder, step))
    return found


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class RunFolderMachine(RuleBasedStateMachine):
    """A run's folder, and how many steps it was given."""

    def __init__(self):
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.folder, self.names = self.place / "run", 0
        self.left_behind = {}
        self.disk, self.honest = Disk(), LocalBackend.gradients
        self.before, durable.system = durable.system, self.disk
        begun(self.folder)
        self.finished = False

    def teardown(self):
        for folder, files in self.left_behind.items():
            assert content(folder) == files, "a copy was changed"
        durable.system = self.before
        LocalBackend.gradients = self.honest
        shutil.rmtree(self.place)

    def end(self):
        return int(checkpoint.newest(self.folder).state["span"]["end"])

    @rule()
    def finish(self):
        result = resumed(self.folder)
        assert result.finished and result.steps == self.end()
        found, model = undisturbed(self.end())
        assert fingerprint(self.folder) == found
        assert result.already or result.model.read_bytes() == model
        assert not [path for path in self.folder.rglob("*") if is_temporary(path.name)]

    @rule(stop=st.integers(1, STEPS + FURTHER))
    def stop(self, stop):
        before = checkpoint.newest(self.folder)
        result = resumed(self.folder, stop_after=stop)
        at = checkpoint.newest(self.folder).step
        assert (
            at == result.steps == (before.step if result.already else min(max(stop, before.step), self.end()))
        )

    @rule(updates=st.integers(0, 6))
    def kill(self, updates):
        before, left = checkpoint.newest(self.folder).step, [updates]

        def gradients(backend, *arguments):
            if not left[0]:
                raise KilledError
            left[0] -= 1
            return self.honest(backend, *arguments)

        LocalBackend.gradients = gradients
        try:
            resumed(self.folder)
        except KilledError:
            assert before <= checkpoint.newest(self.folder).step <= before + updates
        finally:
            LocalBackend.gradients = self.honest

    @rule()
    @precondition(lambda self: self.end() < STEPS + 2 * FURTHER)
    def prolong(self):
        end, finished = self.end(), checkpoint.newest(self.folder).state["finished"]
        if finished:
            assert resumed(self.folder, steps=FURTHER).steps == end + FURTHER

    @rule(files=st.integers(1, 12))
    def fill_the_disk(self, files):
        before = checkpoint.newest(self.folder).step
        self.disk.refuses = files
        try:
            assert resumed(self.folder).finished
        except StorageError as problem:
            assert "disk is full" in str(problem)
            assert checkpoint.newest(self.folder).step >= before
        finally:
            self.disk.refuses = 0

    @rule()
    def rename(self):
        self.names += 1
        self.folder = self.folder.rename(self.place / f"renamed-{self.names}")

    @rule()
    def copy(self):
        self.names += 1
        self.left_behind[self.folder] = content(self.folder)
        self.folder = Path(shutil.copytree(self.folder, self.place / f"copy-{self.names}"))

    @rule()
    def delete_the_newest_checkpoint(self):
        if len(whole_checkpoints(self.folder)) > 1:
            checkpoint.newest(self.folder).path.unlink()

    @rule()
    def damage_the_newest_checkpoint(self):
        if len(whole_checkpoints(self.folder)) > 1:
            checkpoint.newest(self.folder).path.write_bytes(b"damaged")

    @rule()
    def a_second_command(self):
        before = content(self.folder)
        with RunLock(self.folder), pytest.raises(RunError, match="is in use by"):
            resumed(self.folder)
        assert {**content(self.folder), Path(".lock"): b""} == {**before, Path(".lock"): b""}

    @invariant()
    def everything_that_has_a_name_is_whole(self):
        assert checkpoint.newest(self.folder) is not None
        model_file.read(self.folder / "model.safetensors")


CHECKS = {"suppress_health_check": list(HealthCheck)}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("pantoum.training.saving.BETWEEN_TRIES", 0.0)


def test_whatever_happens_to_its_folder_a_run_is_the_run_to_which_nothing_happened():
    run_state_machine_as_test(
        RunFolderMachine, settings=settings(max_examples=4, stateful_step_count=8, **CHECKS)
    )


@pytest.mark.slow
def test_nor_does_more_of_it_change_a_bit():
    run_state_machine_as_test(
        RunFolderMachine, settings=settings(max_examples=40, stateful_step_count=20, **CHECKS)
    )
