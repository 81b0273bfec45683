"""A disk that refuses is told once in full, then counted; the last save is tried several times."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pantoum.errors import CheckpointError, ModelFileError, RunError, SettingError, StorageError
from pantoum.formats import checkpoint, model_file, tensor_layout
from pantoum.formats.model_file import MOST
from pantoum.training import saving
from pantoum.training.run.run_folder import create
from pantoum.training.saving import Saving, all_finite


class Disk:
    """A saving of a run at step 7 whose disk refuses some writes."""

    def __init__(self, folder):
        self.notes, self.refuses, self.tries = [], 0, 0
        run = SimpleNamespace(folder=folder, state=SimpleNamespace(step=7))
        self.saving = Saving(run, None, None, self.notes.append)

    def save(self, what="checkpoint", *, surely=False):
        return self.saving._written(what, self._write, surely=surely)

    def _write(self):
        self.tries += 1
        if self.refuses > 0:
            self.refuses -= 1
            raise StorageError("the disk is full")


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "BETWEEN_TRIES", 0.0)
    folder = create(SimpleNamespace(run=str(tmp_path / "run")), [])
    yield Disk(folder)
    folder.lock.release()


def test_the_first_refusal_is_told_in_full_and_then_the_count(disk):
    disk.refuses = 120
    assert not any(disk.save("model") for _ in range(120))
    assert len(disk.notes) == 3
    assert "SAVING FAILED, model of step 7: the disk is full; what was saved before is" in disk.notes[0]
    assert [note.split(" times")[0] for note in disk.notes[1:]] == ["SAVING FAILED 10", "SAVING FAILED 100"]


def test_that_it_works_again_is_told_and_a_new_spell_in_full(disk):
    disk.refuses = 2
    assert [disk.save() for _ in range(4)] == [False, False, True, True]
    disk.refuses = 1
    disk.save()
    assert [note.split(",")[0] for note in disk.notes] == [
        "SAVING FAILED",
        "saving works again: checkpoint of step 7",
        "SAVING FAILED",
    ]


def test_one_failure_that_is_made_good_at_once_is_not_said_again(disk):
    disk.refuses = 1
    assert disk.save(surely=True) and disk.tries == 2 and len(disk.notes) == 1


def test_models_and_checkpoints_are_counted_apart(disk):
    disk.refuses = 3
    for what in ("model", "checkpoint", "model"):
        disk.save(what)
    assert len(disk.notes) == 2


def test_the_last_save_is_tried_three_times_and_then_the_refusal_is_raised(disk):
    disk.refuses = 3
    with pytest.raises(StorageError, match="the disk is full"):
        disk.save(surely=True)
    assert disk.tries == 3


def test_nothing_is_written_into_a_folder_that_was_replaced(disk, tmp_path):
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="was removed or replaced"):
        disk.save()
    assert disk.tries == 0


def test_what_is_no_refusal_of_the_disk_is_raised(disk):
    disk._write = lambda: (_ for _ in ()).throw(CheckpointError("not finite"))
    with pytest.raises(CheckpointError):
        disk.save()


@pytest.mark.parametrize(
    ("array", "finite"),
    [
        (np.ones(3, np.float32), True),
        (np.array([1.0, np.nan]), False),
        (np.array([np.inf, -np.inf]), False),
        (np.full(4, 3e38, np.float32), True),
        (np.array([1, 2]), True),
    ],
)
def test_finite_means_every_number(array, finite):
    assert all_finite({"a": array}) is finite


def test_a_model_that_could_not_be_written_is_refused_before_training(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_layout, "HEADER_LIMIT", 102_000)
    with pytest.raises(ModelFileError, match="of this shape and text cannot be written"):
        run(steps=3)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("number", [3_000, pytest.param(40_000, marks=pytest.mark.slow)])
def test_folders_of_very_many_files_train(run: Any, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "many"
    for at in range(number):
        (folder / f"part-{at // 1000}").mkdir(parents=True, exist_ok=True)
        (folder / f"part-{at // 1000}" / f"{'a-rather-long-name-' * 10}{at}.txt").write_text("ab \n")
    result = run(steps=2, texts=[str(folder)])
    card = model_file.read(result.model).card
    assert len(card["texts"]) == MOST and card["all_texts"]["number"] == number
    assert card["all_texts"]["size"] == 4 * number


@pytest.mark.parametrize("change", [lambda a: a[:, None], lambda a: a[:0], lambda a: np.concatenate([a, a])])
def test_streams_of_another_shape_are_refused(run: Any, change: Any) -> None:
    folder = run(steps=4, stop_after=2).run
    newest = checkpoint.newest(folder)
    assert newest is not None
    arrays = dict(newest.arrays)
    arrays["streams"] = change(arrays["streams"])
    checkpoint.commit(folder, newest.step, arrays, newest.state)
    try:
        run(resume=True)
    except (CheckpointError, SettingError):
        return
    assert change(np.arange(4)).size == 4
