"""The gradients' scale: a running mean of each row's squares, in checkpoint and model file."""

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.data.batches import Batch
from pantoum.formats import model_file
from pantoum.formats.model_file import SCALE
from pantoum.inference.files.precision import plain
from pantoum.network import LanguageModel, gradient
from pantoum.network.gradient import EVERY, Gradient, GradientScale
from pantoum.training.update.backend import LocalBackend
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.optimizer import AdamW

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
