"""What cannot be kept is said before training; what a checkpoint asks for is held against what it holds."""

from __future__ import annotations

import copy
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import CheckpointError, ModelFileError, SettingError
from pantoum.formats import checkpoint, model_file, tensor_layout
from pantoum.inference.files.named_texts import MOST


def forged(folder: Path, change: dict[str, Any]) -> None:
    """Other values in the newest checkpoint's state."""
    found = checkpoint.newest(folder)
    assert found is not None
    state: Any = copy.deepcopy(found.state)
    for key, value in change.items():
        *way, last = key.split(".")
        place = state
        for part in way:
            place = place[part]
        place[last] = value
    checkpoint.commit(folder, found.step, found.arrays, state)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"recipe.model.hidden_size": 6_000}, CheckpointError),
        ({"recipe.model.num_layers": 256, "recipe.model.hidden_size": 65_536}, CheckpointError),
        ({"recipe.model.ngrams": [2], "recipe.model.ngram_rows": 1 << 22}, CheckpointError),
        ({"recipe.members": 50}, (CheckpointError, SettingError)),
        ({"recipe.members": 10**9}, (CheckpointError, SettingError)),
        ({"batch_size": 10**8}, (CheckpointError, SettingError)),
    ],
)
def test_a_state_that_asks_for_more_than_the_checkpoint_holds_is_refused_unmade(
    run: Any, change: dict[str, Any], error: Any
) -> None:
    folder = run(steps=2).run
    forged(folder, {**change, "finished": False})
    tracemalloc.start()
    try:
        with pytest.raises(error) as caught:
            run(resume=True)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


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
