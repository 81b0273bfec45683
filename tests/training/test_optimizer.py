"""Which parameters Muon moves, how far, and that all of it can be kept."""

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.data.batches import Batch
from pantoum.errors import SettingError
from pantoum.formats import model_file
from pantoum.formats.model_file import SCALE
from pantoum.inference.files.precision import plain
from pantoum.kernels.reference.update import orthogonal
from pantoum.network import LanguageModel, gradient
from pantoum.network.gradient import EVERY, Gradient, GradientScale
from pantoum.network.spec import TABLE
from pantoum.training.update.backend import LocalBackend
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.optimizer import (
    MUON_RATE,
    TABLE_KEEP,
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
    optimizer = make_optimizer(kind, model, 0.1, table_rate=0.25)
    alone = make_optimizer(kind, twin, 0.1)
    model.parameters[TABLE][...] = 1.0  # what is not in use does not even decay
    expected, squares = np.ones((32, 5)), np.zeros((32, 5))
    for rows in ((3, 5, 20), (5,), (0, 5, 31)):
        gradients = rows_of(model, *rows)
        optimizer.step(gradients, 0.01, 0.5)
        alone.step(gradients_of(twin), 0.01, 0.5)
        own = 0.5 * gradients[TABLE].values.astype(np.float64)
        squares[list(rows)] = TABLE_KEEP * squares[list(rows)] + (1 - TABLE_KEEP) * own**2
        expected[list(rows)] -= 0.25 * 0.01 * own / np.sqrt(squares[list(rows)])
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


PARAMETERS = {"matrix": np.zeros((3, 4), np.float32), "vector": np.zeros(2, np.float32)}


def gradients(scale):
    return {
        "matrix": Gradient(scale * np.arange(1, 13, dtype=np.float32).reshape(3, 4)),
        "vector": Gradient(scale * np.array([1, -2], np.float32)),
    }


def test_a_constant_gradient_gives_its_own_size_times_the_root_of_the_targets():
    scale = GradientScale(PARAMETERS)
    for steps in range(200):
        scale.updated(gradients(1.0), steps, targets=100, factor=0.5)
    want_R = 0.5 * 10 * np.sqrt((gradients(1.0)["matrix"].values ** 2).mean(axis=1))
    assert np.allclose(scale.roots()["matrix"], want_R, rtol=1e-5)
    assert np.allclose(scale.roots()["vector"], [5.0, 10.0], rtol=1e-5)


def test_every_few_updates_count_and_the_first_ones_are_forgotten(monkeypatch):
    monkeypatch.setattr(gradient, "WINDOW", 4)
    scale = GradientScale(PARAMETERS)
    scale.updated(gradients(1e3), 0, 1, 1.0)
    for steps in range(1, EVERY):
        scale.updated(gradients(np.nan), steps, 1, 1.0)
    assert np.allclose(scale.roots()["vector"], [1e3, 2e3])
    for steps in range(EVERY, 100 * EVERY):
        scale.updated(gradients(1.0), steps, 1, 1.0)
    assert np.allclose(scale.roots()["vector"], [1.0, 2.0], rtol=1e-3)


def test_a_gradient_of_few_rows_counts_as_if_it_were_whole():
    table = {"table": np.zeros((9, 4), np.float32)}
    sparse, dense, draw = GradientScale(table), GradientScale(table), np.random.default_rng(3)
    for steps in range(0, 12 * EVERY, EVERY):
        rows_U = np.sort(draw.permutation(9)[: 1 + steps % 5])
        values_UV = draw.standard_normal((len(rows_U), 4)).astype(np.float32)
        whole_RV = np.zeros((9, 4), np.float32)
        whole_RV[rows_U] = values_UV
        sparse.updated({"table": Gradient(values_UV, rows_U)}, steps, targets=50, factor=0.5)
        dense.updated({"table": Gradient(whole_RV)}, steps, targets=50, factor=0.5)
    assert sparse.roots()["table"].any()
    np.testing.assert_allclose(sparse.roots()["table"], dense.roots()["table"], rtol=1e-5)


@pytest.mark.parametrize("embedding_size", [4, None])
def test_every_parameter_has_a_scale_and_a_snapshot_keeps_it(embedding_size):
    model = LanguageModel(5, config=ModelConfig("gru", 6, 1, embedding_size), seed=0)
    learner = MemberLearner(model, AdamW(model.parameters, 0.1), seed=0, average=None)
    backend = LocalBackend([learner])
    text_BT = np.random.default_rng(1).integers(0, 5, (3, 9))
    batch = Batch(text_BT[:, :-1], text_BT[:, 1:], np.zeros((3, 8), bool), 0)
    backend.gradients(batch, backend.initial_state(3), 0, np.arange(3))
    backend.update(0.01, 1.0)
    found = backend.gradient_scale()
    assert {name: len(roots_R) for name, roots_R in found.items()} == {
        name: len(array) for name, array in model.parameters.items()
    }
    assert all(np.isfinite(roots_R).all() and (roots_R > 0).any() for roots_R in found.values())
    twin = LanguageModel(5, config=model.config, seed=1)
    other = LocalBackend([MemberLearner(twin, AdamW(model.parameters, 0.1), seed=0, average=None)])
    other.restore(backend.snapshot())
    assert all(np.array_equal(roots_R, found[name]) for name, roots_R in other.gradient_scale().items())


@pytest.mark.parametrize("valid_fraction", [0.1, 0.0])
def test_the_model_file_carries_it_and_a_resumed_run_writes_the_same(run, tmp_path, valid_fraction):
    run("whole", steps=24, valid_fraction=valid_fraction)
    run("parted", steps=24, valid_fraction=valid_fraction, stop_after=13)
    run("parted", steps=24, resume=True)
    whole, parted = (tmp_path / name / "model.safetensors" for name in ("whole", "parted"))
    assert whole.read_bytes() == parted.read_bytes()
    found = plain(model_file.read(whole))
    assert {SCALE + name for name in found.parameters} == set(found.extras)
