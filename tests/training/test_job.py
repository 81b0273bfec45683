"""A command that its launcher starts again goes on with the run that it made, and with no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pantoum.config import TrainSettings
from pantoum.errors import RunError
from pantoum.formats import checkpoint
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train
from pantoum.training.update.backend import LocalBackend

TINY = {"hidden_size": 9, "num_layers": 1, "batch_size": 2, "seq_len": 8, "steps": 9, "checkpoint_every": 2}


class Memory:
    """What a launcher remembers."""

    def __init__(self, run: Path | None = None) -> None:
        self.run = run

    def remember(self, run: Path) -> None:
        self.run = run


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "rain.txt").write_text("the rain in the plain falls again and again on the train\n" * 30)
    return str(tmp_path / "rain.txt")


@pytest.fixture
def fails_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``fails_at(step)``: the process ends in this update; ``None``: it does not."""
    honest, until = LocalBackend.update, [None]

    def update(self: LocalBackend, rate: float, clip: float | None) -> None:
        honest(self, rate, clip)
        if until[0] is not None and self.learners[0].arrays()["optimizer.steps"][0] == until[0]:
            raise MemoryError("the process ends")

    monkeypatch.setattr(LocalBackend, "update", update)
    return lambda step: until.__setitem__(0, step)


def failing(settings: TrainSettings, text: str, job: Memory) -> None:
    """A start of the command that ends in an error."""
    with pytest.raises(MemoryError):
        train(TrainingCommand(settings, [text]), job=job)


def bits(run: Path) -> tuple[int, bytes]:
    newest = checkpoint.newest(run)
    assert newest is not None
    return newest.step, (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("named", [True, False])
def test_the_same_command_goes_on_with_its_run(
    text: str, fails_at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """With ``run`` given, or the next free name; killed before the first checkpoint, and later."""
    monkeypatch.chdir(tmp_path)
    train(TrainingCommand(TrainSettings(run="whole", **TINY), [text]))
    job, settings = Memory(), TrainSettings(run="mine" if named else None, **TINY)
    for step in (1, 5, 8):
        fails_at(step)
        failing(settings, text, job)
    fails_at(None)
    result = train(TrainingCommand(settings, [text]), job=job)
    assert result.finished and result.run == job.run == tmp_path / ("mine" if named else "runs/rain")
    assert bits(result.run) == bits(tmp_path / "whole")
    assert train(TrainingCommand(settings, [text]), job=job).already, "nothing is left to do after the end"
    assert not (tmp_path / "runs/rain-2").exists()


def test_a_run_of_another_job_is_not_entered(text: str, tmp_path: Path) -> None:
    settings = TrainSettings(run=str(tmp_path / "run"), **TINY)
    train(TrainingCommand(settings, [text]))
    before = bits(tmp_path / "run")
    job = Memory()
    for _ in range(2):
        with pytest.raises(RunError, match="exists already"):
            train(TrainingCommand(settings, [text]), job=job)
    assert bits(tmp_path / "run") == before


def test_a_command_that_failed_before_it_made_a_run_begins_it(text: str, tmp_path: Path) -> None:
    job = Memory(tmp_path / "removed")
    assert train(TrainingCommand(TrainSettings(run=str(tmp_path / "run"), **TINY), [text]), job=job).finished
    assert job.run == tmp_path / "run"


def test_resume_is_left_as_it_was_typed(text: str, tmp_path: Path) -> None:
    """``--resume --steps`` trains further after a restart, too."""
    train(TrainingCommand(TrainSettings(run=str(tmp_path / "run"), **TINY), [text]))
    job = Memory(tmp_path / "run")
    further = TrainSettings(run=str(tmp_path / "run"), resume=True, steps=3)
    assert train(TrainingCommand(further, [text]), job=job).steps == 12
