"""The settings of a cache, and everything that reads and writes with one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from pantoum.errors import ModelFileError, SettingError, StateError
from pantoum.inference.cache_settings import tuned, with_cache
from pantoum.inference.evaluation import evaluate
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State

Make = Callable[..., LoadedModel]
CARD = {"cache": {"weight": 0.4, "flatness": 0.5}}


@pytest.fixture(scope="module")
def model(make: Make) -> LoadedModel:
    return dataclasses.replace(make("words"), card=CARD)


def repeated(model: LoadedModel) -> np.ndarray:
    """A text whose later half only its past can tell."""
    draw = np.random.default_rng(2)
    part = draw.integers(2, model.vocab_size, 150)
    return np.concatenate([part] * 4).astype(np.uint32)


def test_tuning_that_has_no_time_evaluates_one_part(model: LoadedModel) -> None:
    text = np.concatenate([repeated(model)] * 3)
    assert tuned(model.program, text, None, 0.0)["tokens"] == 512
    assert tuned(model.program, text, None, 60.0) == tuned(model.program, text, None)


def test_tuning_finds_what_helps_and_leaves_alone_what_does_not(model: LoadedModel) -> None:
    known = tuned(model.program, repeated(model), None)
    assert known["weight"] > 0.05 and known["nats_per_token"] < -0.05 and known["tokens"] == 599
    random = np.random.default_rng(1).integers(2, model.vocab_size, 600)
    assert tuned(model.program, random, None)["nats_per_token"] < 0.02
    cached = with_cache(dataclasses.replace(model, card={"cache": known}), 1000)
    plain = evaluate(model.program, repeated(model), model.tokenizer, compress=False)
    better = evaluate(cached.program, repeated(model), model.tokenizer, compress=False)
    assert abs(better.nats_per_token - plain.nats_per_token - known["nats_per_token"]) < 1e-3
    assert better.cache == 1000 and plain.cache is None and "with a cache of 1,000" in str(better)


def test_a_session_with_a_cache_writes_on_from_its_state(model: LoadedModel) -> None:
    cached = with_cache(model, 7)
    session = Session(cached)
    session.feed("The cat sat on the mat.\nA dog ran")
    kept = State.from_bytes(bytes(session.state))
    assert len(bytes(kept)) == len(bytes(Session(model).state)) + 4 * (7 * 16 + 7 + 17) + 3 * 4
    assert abs(sum(one.probability for one in session.predict(model.vocab_size)) - 1) < 1e-5
    written = session.generate(20, seed=3)
    assert Session(cached, kept).generate(20, seed=3) == written
    plain = Session(model)
    plain.feed("The cat sat on the mat.\nA dog ran")
    assert plain.generate(20, seed=3) != written


def test_what_cannot_be_is_refused(model: LoadedModel, make: Make) -> None:
    with pytest.raises(StateError, match="a state with a cache"):
        Session(with_cache(model, 7), Session(model).state)
    with pytest.raises(StateError, match="a state with a cache"):
        Session(model, Session(with_cache(model, 7)).state)
    with pytest.raises(ModelFileError, match="no cache settings"):
        with_cache(make("words"), 5)
    with pytest.raises(SettingError, match="cache"):
        with_cache(model, 0)
