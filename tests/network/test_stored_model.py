"""A stored model answers as a plain one, holds no weights, and fetches them for whoever asks."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.errors import CoreError, SettingError
from pantoum.kernels import backend, reference
from pantoum.network import LanguageModel
from pantoum.network.codes import Codes
from pantoum.network.ngrams import TABLE
from pantoum.network.stored_model import StoredModel

SHAPES: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"embedding_size": 5},
    {"embedding_size": 5, "tied": True},
    {"embedding_size": 16, "tied": True, "norm": "layer", "residual": True},
    {"norm": "layer"},
    {"ngrams": (2, 4), "ngram_rows": 32},
    {"ngrams": (3,), "ngram_rows": 16, "embedding_size": 5, "cell": "lstm"},
]


class Store:
    """What gives the arrays again, and counts."""

    def __init__(self, plain: LanguageModel) -> None:
        self.arrays = {name: array.copy() for name, array in plain.parameters.items()}
        self.asked = 0

    def __call__(self) -> Mapping[str, Any]:
        self.asked += 1
        return self.arrays


def stored(**shape: Any) -> tuple[LanguageModel, StoredModel, Store]:
    config = ModelConfig(**{"hidden_size": 16, "num_layers": 2, **shape})
    plain = LanguageModel.from_config(config, 11, seed=4)
    if TABLE in plain.parameters:
        plain.parameters[TABLE] = np.random.default_rng(1).standard_normal(plain.parameters[TABLE].shape)
    store, model = Store(plain), StoredModel.from_config(config, 11, seed=None)
    lent = {name: array.copy() for name, array in plain.parameters.items()}
    model.take(lent, store)
    for array in lent.values():
        array.fill(np.nan)  # the file is gone
    return plain, model, store


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_answers_as_a_plain_model_without_fetching(shape: dict[str, Any]) -> None:
    plain, model, store = stored(**shape)
    tokens, state = np.arange(24).reshape(2, 12) % 11, plain.initial_state(2)
    for _ in range(2):
        expected, state = plain.pack().logits(tokens, state)
    state = model.initial_state(2)
    for _ in range(2):
        found, state = model.pack().logits(tokens, state)
    assert np.array_equal(found, expected)
    assert model.num_parameters == plain.num_parameters and store.asked == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_parameters_are_fetched_once_and_read_only(shape: dict[str, Any]) -> None:
    plain, model, store = stored(**shape)
    for name, array in model.parameters.items():
        assert np.array_equal(array, plain.parameters[name]), name
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert store.asked == 1 and model.parameters is model.parameters


def test_a_fetch_that_fails_may_be_tried_again() -> None:
    _, model, store = stored()
    arrays, store.arrays = store.arrays, {}
    with pytest.raises(KeyError):
        _ = model.parameters
    store.arrays = arrays
    model._fetch = store
    assert model.parameters["head.bias"].shape == (11,)


def test_threads_fetch_once() -> None:
    _, model, store = stored()
    threads = [threading.Thread(target=lambda: model.parameters) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.asked == 1


@pytest.mark.parametrize("shape", [{}, {"ngrams": (2,), "ngram_rows": 16}], ids=str)
def test_a_copy_is_a_plain_model_that_may_be_changed(shape: dict[str, Any]) -> None:
    plain, model, _ = stored(**shape)
    twin = copy.deepcopy(model)
    assert type(twin) is LanguageModel
    for name, array in twin.parameters.items():
        assert np.array_equal(array, plain.parameters[name])
        array[...] = 1
        assert np.array_equal(model.parameters[name], plain.parameters[name])
    result = twin.gradients(np.ones((2, 3), int), np.ones((2, 3), int), twin.initial_state(2))
    assert set(result.gradients) == set(plain.parameters)


def test_it_is_not_trained_or_packed_anew() -> None:
    _, model, _ = stored()
    with pytest.raises(SettingError, match="precision"):
        model.pack("bf16")
    if backend(np.float32) is not reference:
        with pytest.raises(CoreError, match="deepcopy"):
            model.gradients(np.ones((2, 3), int), np.ones((2, 3), int), model.initial_state(2))


def test_a_table_in_int8_is_read_as_the_floats_of_its_codes() -> None:
    plain, _, store = stored(ngrams=(2, 3), ngram_rows=64, embedding_size=5)
    coded = {
        name: Codes(*reference.quantize(array)) if array.ndim == 2 else array
        for name, array in plain.parameters.items()
    }
    model = StoredModel.from_config(plain.config, 11, seed=None)
    model.take(coded, store, "int8")
    assert model.ngrams is not None
    table = model.ngrams.parameters["weight"]
    assert table.dtype == np.float32 and np.array_equal(table, coded[TABLE].floats())
    tokens = np.arange(24).reshape(2, 12) % 11
    found, state = model.pack("int8").logits(tokens, model.initial_state(2))
    expected, after = plain.logits(tokens, plain.initial_state(2))
    assert 0 < np.abs(found - expected).max() < 0.1 and np.array_equal(state[-1], after[-1])
