"""What cannot be kept is said before training; what a checkpoint asks for is held against what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import CheckpointError, ModelFileError, SettingError
from pantoum.formats import checkpoint, model_file, tensor_layout
from pantoum.formats.model_file import MOST


def test_a_model_that_could_not_be_written_is_refused_before_training(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_layout, "HEADER_LIMIT", 102_000)
    with pytest.raises(ModelFileError, match="of this shape and text cannot be written"):
        run(steps=3)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("number", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
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
