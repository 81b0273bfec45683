"""Models, sessions and states can be copied, pickled and sent to other processes; a copy is as good."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.errors import ModelFileError, SettingError, StateError
from pantoum.inference import exporting
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.text.byte import ByteTokenizer

WAYS = [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("copies")
    (made / "t.txt").write_text("The cat sat on the mat. A dog ran!\n" * 40)
    run = str(made / "run")
    pantoum.train(made / "t.txt", run=run, steps=3, hidden_size=8, num_layers=2, progress=False)
    exporting.export(run, "int8", made / "int8.safetensors")
    return made


@pytest.mark.parametrize("name", ["run", "int8.safetensors"])
@pytest.mark.parametrize("way", WAYS)
def test_a_copied_model_is_the_model(folder: Path, way: Callable[[Any], Any], name: str) -> None:
    model = pantoum.load(folder / name)
    other = way(model)
    state = model.session().state
    assert other.generate("The", length=20, seed=1) == model.generate("The", length=20, seed=1)
    assert other.session(state).state == state and other.card == model.card
    assert other.score("A dog", adapt=False).nats == model.score("A dog").nats
    if name == "run":
        assert other.score("A dog", adapt=True).nats == model.score("A dog", adapt=True).nats


def test_a_pickled_model_needs_its_file_no_more_and_a_replaced_file_is_refused(folder: Path) -> None:
    path = folder / "moved.safetensors"
    path.write_bytes((folder / "run" / "model.safetensors").read_bytes())
    model = pantoum.load(path)
    pickled = pickle.dumps(model)
    path.write_bytes((folder / "int8.safetensors").read_bytes())
    with pytest.raises(ModelFileError, match="has changed since the model was loaded"):
        pickle.dumps(model)
    path.unlink()
    with pytest.raises(ModelFileError, match="no such file"):
        pickle.dumps(model)
    other = pickle.loads(pickled)
    assert other._loaded.network.parameters["head.bias"].shape == (model.tokenizer.vocab_size,)
    assert pickle.loads(pickle.dumps(model.tokenizer)).decode([3]) == model.tokenizer.decode([3])


def test_a_model_without_a_file_says_so(folder: Path) -> None:
    made = LoadedModel.of(LanguageModel(257, 8, hidden_size=8, num_layers=1), ByteTokenizer())
    with pytest.raises(ModelFileError, match="never written to a file"):
        pickle.dumps(made)
    assert copy.deepcopy(made) is made


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_session_goes_its_own_way(folder: Path, way: Callable[[Any], Any]) -> None:
    session = pantoum.load(folder / "run").session()
    session.feed("The cat")
    other = way(session)
    before = session.state
    assert other is not session and other.state == before and repr(other) == "<Session after 7 tokens>"
    assert other.generate(10, seed=1) == session.fork().generate(10, seed=1)
    assert session.state == before


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_state_is_equal_and_cannot_be_changed(folder: Path, way: Callable[[Any], Any]) -> None:
    session = pantoum.load(folder / "run").session()
    session.feed("The cat")
    other = way(session.state)
    assert other == session.state and hash(other) == hash(session.state)
    with pytest.raises(ValueError, match="read-only"):
        other.layers[0][0, 0] = 1.0


def test_a_state_that_is_not_finite_is_not_pickled() -> None:
    bad = pantoum.State((np.full((1, 3), np.nan, np.float32),), 1, 1, b"", "ab" * 32)
    assert repr(bad) == "<State after 1 tokens, 120 bytes>"
    with pytest.raises(StateError, match="not finite"):
        pickle.dumps(bad)


def test_errors_are_pickled_with_what_they_say() -> None:
    error = SettingError("length", -1, "must be a whole number", "give one")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.advice == "give one"


def _written(model: pantoum.Model, session: pantoum.Session, state: pantoum.State) -> tuple[str, str]:
    later = model.session(state)
    return session.generate(12, seed=1), later.generate(12, seed=1)


def test_another_process_goes_on_where_this_one_stands(folder: Path) -> None:
    model = pantoum.load(folder / "run")
    session = model.session()
    session.feed("A dog")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(_written, (model, session, session.state))
    assert there == _written(model, session, session.state)
