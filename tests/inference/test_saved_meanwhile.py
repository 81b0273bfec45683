"""What an adapter learns is saved meanwhile, too, and nothing that is read later depends on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pantoum.formats.model_file import SCALE
from pantoum.inference.adapt import Adapter
from pantoum.inference.adapted import EVERY, SavedMeanwhile
from pantoum.inference.loaded_model import LoadedModel, load

TEXT_BT = 2 + np.arange(1001)[None] % 7


@pytest.fixture
def model(characters: LoadedModel) -> LoadedModel:
    weights = characters.network.parameters.items()
    sizes = {SCALE + name: np.full(len(array), 0.05, np.float32) for name, array in weights}
    return dataclasses.replace(characters, extras=sizes)


def read(adapter: Adapter, start: int, end: int) -> bytes:
    return adapter.losses(TEXT_BT[:, start:end], TEXT_BT[:, start + 1 : end + 1]).tobytes()


def test_it_is_saved_when_it_is_time_and_something_was_learned(model: LoadedModel, tmp_path: Path) -> None:
    now, file = [0.0], tmp_path / "m.safetensors"
    adapter = Adapter(model)
    kept = SavedMeanwhile(adapter, file, clock=lambda: now[0])
    read(adapter, 0, 300)
    kept.meanwhile()
    assert not file.exists()
    now[0] = EVERY
    kept.meanwhile()
    learned = load(file).card["adapted"][0]["tokens"]
    assert learned == adapter.tokens == 192
    file.unlink()
    now[0] *= 2
    kept.meanwhile()
    assert not file.exists()  # nothing new
    kept.end()
    assert load(file).card["adapted"][0]["tokens"] == 300


def test_saving_meanwhile_changes_nothing(model: LoadedModel, tmp_path: Path) -> None:
    one, other = Adapter(model), Adapter(model)
    kept = SavedMeanwhile(one, tmp_path / "m", clock=iter(range(0, 10**6, int(EVERY))).__next__)
    for start, end in ((0, 300), (300, 500), (500, 1000)):
        assert read(one, start, end) == read(other, start, end)
        kept.meanwhile()
    assert (tmp_path / "m").exists()
    ours, theirs = one.adapted().network.parameters, other.adapted().network.parameters
    assert all((array == theirs[name]).all() for name, array in ours.items())


def test_a_place_that_is_gone_ends_nothing(model: LoadedModel, tmp_path: Path) -> None:
    adapter = Adapter(model)
    kept = SavedMeanwhile(adapter, tmp_path / "gone" / "m", clock=iter((0.0, EVERY, EVERY)).__next__)
    read(adapter, 0, 300)
    with pytest.warns(UserWarning, match="the adapted model was not saved"):
        kept.meanwhile()
