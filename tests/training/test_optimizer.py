"""Which parameters Muon moves, how far, and that all of it can be kept."""

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.errors import SettingError
from pantoum.kernels.reference.update import orthogonal
from pantoum.network import LanguageModel
from pantoum.network.gradient import Gradient
from pantoum.network.spec import TABLE
from pantoum.training.update.optimizer import (
    MUON_RATE,
    TABLE_KEEP,
    TABLE_RATE,
    AdamW,
    Muon,
    make_optimizer,
)


def made(**shape):
    config = ModelConfig(**{"cell": "gru", "hidden_size": 6, "num_layers": 2, "embedding_size": 4, **shape})
    return LanguageModel(5, config=config, seed=0)


def gradients_of(model):
    random = np.random.default_rng(1)
    return {
        name: Gradient(random.standard_normal(array.shape).astype(np.float32))
        for name, array in model.parameters.items()
    }


@pytest.mark.parametrize("tied", [False, True])
def test_the_maps_are_muons_and_all_else_is_adamws(tied):
    model, twin = made(tied=tied), made(tied=tied)
    muon, adamw = make_optimizer("muon", model, 0.1), AdamW(twin.parameters, 0.1)
    before = {name: array.copy() for name, array in model.parameters.items()}
    gradients = gradients_of(model)
    for optimizer in (muon, adamw):
        optimizer.step(gradients, 0.01, 1.0)
    for name, array in model.parameters.items():
        if not name.endswith(("weight_ih", "weight_hh", "projection.weight")):
            assert np.array_equal(array, twin.parameters[name]), name
            continue
        gates = [slice(0, 6), slice(6, 12), slice(12, 18)]
        for block in gates if name.startswith("stack.") else [slice(0, 4)]:
            H, K = array[block].shape
            kept = before[name][block] * (1 - MUON_RATE * 0.01 * 0.1)
            move = MUON_RATE * 0.01 * max(1.0, H / K) ** 0.5 * orthogonal(gradients[name].values[block])
            np.testing.assert_allclose(array[block], kept - move, rtol=1e-3, atol=1e-4)
    assert ("head.projection.weight" in model.parameters) == tied
    assert muon.steps == 1


def test_the_table_of_one_hot_inputs_is_no_map():
    model = made(embedding_size=None)
    kept = make_optimizer("muon", model, 0.1).arrays()
    assert {name for name in kept if name.startswith("momentum.")} == {
        "momentum.stack.0.weight_hh",
        "momentum.stack.1.weight_ih",
        "momentum.stack.1.weight_hh",
    }
    assert "first.stack.0.weight_ih" in kept


@pytest.mark.parametrize("cell", CELLS)
def test_all_of_it_can_be_kept(cell):
    one, other = made(cell=cell), made(cell=cell)
    first, second = (make_optimizer("muon", model, 0.1) for model in (one, other))
    first.step(gradients_of(one), 0.01, 0.5)
    for name, array in second.arrays().items():
        array[...] = first.arrays()[name]
    other.parameters.update(one.parameters)
    second.steps = first.steps
    for optimizer, model in ((first, one), (second, other)):
        optimizer.step(gradients_of(model), 0.02, 1.0)
    assert all(np.array_equal(array, other.parameters[name]) for name, array in one.parameters.items())
    assert first.steps == second.steps == 2


def test_other_names_are_refused():
    with pytest.raises(SettingError, match="optimizer is 'sgd': it must be one of adamw, muon"):
        make_optimizer("sgd", made(), 0.0)
    assert isinstance(make_optimizer("muon", made(), 0.0), Muon)


def rows_of(model, *rows):
    values_UV = np.random.default_rng(len(rows)).standard_normal((len(rows), 5)).astype(np.float32)
    return {**gradients_of(model), TABLE: Gradient(values_UV, np.array(rows))}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_of_the_table_only_the_rows_in_use_move_and_all_else_as_without_it(kind):
    model, twin = made(ngrams=(2, 3), ngram_rows=16), made()
    optimizer = make_optimizer(kind, model, 0.1)
    alone = make_optimizer(kind, twin, 0.1)
    model.parameters[TABLE][...] = 1.0  # what is not in use does not even decay
    expected, squares = np.ones((32, 5)), np.zeros((32, 5))
    for rows in ((3, 5, 20), (5,), (0, 5, 31)):
        gradients = rows_of(model, *rows)
        optimizer.step(gradients, 0.01, 0.5)
        alone.step(gradients_of(twin), 0.01, 0.5)
        own = 0.5 * gradients[TABLE].values.astype(np.float64)
        squares[list(rows)] = TABLE_KEEP * squares[list(rows)] + (1 - TABLE_KEEP) * own**2
        expected[list(rows)] -= TABLE_RATE * 0.01 * own / np.sqrt(squares[list(rows)])
    assert optimizer.steps == alone.steps == 3
    for name, array in twin.parameters.items():
        assert np.array_equal(model.parameters[name], array), name
    np.testing.assert_allclose(model.parameters[TABLE], expected, rtol=1e-4)
    assert set(np.flatnonzero((model.parameters[TABLE] != 1).any(axis=1))) == {0, 3, 5, 20, 31}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_tables_squares_can_be_kept(kind):
    one, other = made(ngrams=(2,), ngram_rows=16), made(ngrams=(2,), ngram_rows=16)
    first, second = (make_optimizer(kind, model, 0.1) for model in (one, other))
    first.step(rows_of(one, 2, 7), 0.01, 1.0)
    assert set(first.arrays()) == set(second.arrays()) and f"squares.{TABLE}" in first.arrays()
    for name, array in second.arrays().items():
        array[...] = first.arrays()[name]
    other.parameters.update(one.parameters)
    second.steps = first.steps
    for optimizer, model in ((first, one), (second, other)):
        optimizer.step(rows_of(model, 2, 3, 9), 0.02, 1.0)
    assert all(np.array_equal(array, other.parameters[name]) for name, array in one.parameters.items())
