"""The backend's promises: weights change in update and restore only, a snapshot brings everything back."""

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.data.batches import Batch
from pantoum.errors import CheckpointError
from pantoum.network import LanguageModel
from pantoum.network.candidates import CandidateSampler
from pantoum.network.gradient import Gradient
from pantoum.network.spec import TABLE
from pantoum.training.update.backend import LocalBackend
from pantoum.training.update.learner import SELDOM, MemberLearner
from pantoum.training.update.optimizer import AdamW, make_optimizer


def made(average=0.9, decay=0.1, kind="adamw", **shape):
    model = LanguageModel(5, config=ModelConfig("gru", 6, 1, 4, **shape), seed=0)
    optimizer = make_optimizer(kind, model, decay)
    return LocalBackend([MemberLearner(model, optimizer, seed=0, average=average)])


def steps(backend, count, first=0):
    draw = np.random.default_rng(1)
    text_BT = draw.integers(0, 5, (3, 40))
    reset_BT = np.zeros((3, 8), bool)
    state = backend.initial_state(3)
    for step in range(first, first + count):
        batch = Batch(text_BT[:, step : step + 8], text_BT[:, step + 1 : step + 9], reset_BT, 0)
        result = backend.gradients(batch, state, step, np.arange(3))
        backend.update(0.01, 1.0)
    return result


def test_gradients_change_nothing():
    backend = made()
    before = backend.snapshot()
    text_BT, reset_BT = np.zeros((2, 4), int), np.zeros((2, 4), bool)
    batch = Batch(text_BT, text_BT, reset_BT, 0)
    result = backend.gradients(batch, backend.initial_state(2), 0, np.arange(2))
    assert result.gradient_norm > 0.0 and np.isclose(result.loss, np.log(5), atol=0.8)
    assert all(np.array_equal(array, before[name]) for name, array in backend.snapshot().items())


@pytest.mark.parametrize("shape", [{}, {"ngrams": (2, 3), "ngram_rows": 16}], ids=str)
def test_a_snapshot_brings_everything_back(shape):
    one, other = made(**shape), made(**shape)
    steps(one, 5)
    kept = one.snapshot()
    steps(one, 3, first=5)
    other.restore(kept)
    steps(other, 3, first=5)
    assert all(np.array_equal(array, other.snapshot()[name]) for name, array in one.snapshot().items())


def test_gradients_are_clipped_to_the_norm(monkeypatch):
    model, factors = LanguageModel(5, config=ModelConfig("gru", 6, 1, 4), seed=0), []
    optimizer = make_optimizer("adamw", model, 0.1)
    learner = MemberLearner(model, optimizer, seed=0, average=None)
    monkeypatch.setattr(optimizer, "step", lambda gradients, rate, factor: factors.append(factor))
    learner.take({name: Gradient(np.ones_like(array)) for name, array in model.parameters.items()}, 24)
    for clip in (None, 2 * learner.gradient_norm, learner.gradient_norm, learner.gradient_norm / 4):
        learner.update(0.1, clip)
    assert factors == [1.0, 1.0, 1.0, 0.25]


def test_a_snapshot_is_a_copy():
    backend = made()
    kept = backend.snapshot()
    steps(backend, 1)
    assert not np.array_equal(kept["weights.head.weight"], backend.weights(False)["head.weight"])


def test_a_snapshot_of_another_shape_is_refused():
    kept = made().snapshot()
    kept["weights.head.weight"] = np.zeros((2, 2), np.float32)
    with pytest.raises(CheckpointError, match=r"weights\.head\.weight is float32 \(2, 2\), this run needs"):
        made().restore(kept)
    with pytest.raises(CheckpointError, match="is missing"):
        made().restore({})


def test_the_average_follows_the_weights_and_may_be_off():
    backend = made(average=0.5)
    steps(backend, 6)
    weights, averaged = backend.weights(False), backend.weights(True)
    assert 0.0 < max(np.abs(weights[name] - averaged[name]).max() for name in weights) < 0.05
    assert made(average=None).weights(True) is None


def test_the_table_goes_into_the_averaged_weights_as_it_is():
    backend = made(average=0.5, ngrams=(2, 3), ngram_rows=16)
    steps(backend, 6)
    weights, averaged = backend.weights(False), backend.weights(True)
    assert list(averaged) == list(weights) and averaged[TABLE] is weights[TABLE] and weights[TABLE].any()
    assert not np.array_equal(averaged["head.weight"], weights["head.weight"])
    kept = backend.snapshot()
    assert f"weights.{TABLE}" in kept and f"optimizer.squares.{TABLE}" in kept
    assert f"averaged.{TABLE}" not in kept
    assert made(average=None, ngrams=(2,)).weights(True) is None


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_in_float64_numpy_trains_it_to_the_same_weights(kind):
    found = []
    for dtype in (np.float32, np.float64):
        config = ModelConfig("gru", 6, 1, 4, ngrams=(2, 3), ngram_rows=16)
        model = LanguageModel(5, config=config, seed=0, dtype=dtype)
        optimizer = make_optimizer(kind, model, 0.1)
        backend = LocalBackend([MemberLearner(model, optimizer, seed=0, average=0.9)])
        steps(backend, 3)
        scale = {"scale." + name: array for name, array in backend.gradient_scale().items()}
        found.append({**backend.weights(True), **scale})
        assert all(array.dtype == dtype for array in found[-1].values())
    for name, array in found[0].items():
        np.testing.assert_allclose(array, found[1][name], rtol=2e-3, atol=2e-4)


def test_the_norm_is_of_all_gradients_together():
    backend = made(ngrams=(2, 3), ngram_rows=16)
    result = steps(backend, 3)
    squares = sum(
        float(np.square(found.values, dtype=np.float64).sum())
        for found in backend.learners[0]._gradients.values()
    )
    assert result.gradient_norm == pytest.approx(squares**0.5, rel=1e-5)


def test_decay_pulls_on_matrices_only():
    model = LanguageModel(5, config=ModelConfig("gru", 6, 1, 4), seed=0)
    model.parameters["head.bias"] = np.ones(5)
    before = {name: array.copy() for name, array in model.parameters.items()}
    optimizer = AdamW(model.parameters, weight_decay=0.5)
    optimizer.step(
        {name: Gradient(np.zeros_like(array)) for name, array in model.parameters.items()}, 0.1, 1.0
    )
    assert np.array_equal(model.parameters["head.bias"], before["head.bias"])
    assert np.allclose(model.parameters["head.weight"], before["head.weight"] * 0.95)


def test_rows_that_few_updates_change_are_averaged_seldom():
    model = LanguageModel(5, config=ModelConfig("gru", 6, 1, 4), seed=0)
    sampler = CandidateSampler(np.ones(5), 5, seed=0)
    optimizer = make_optimizer("adamw", model, 0.1)
    backend = LocalBackend([MemberLearner(model, optimizer, seed=0, average=0.9, sampler=sampler)])
    begun = backend.snapshot()["averaged.head.weight"]
    steps(backend, SELDOM - 1)
    averaged = backend.weights(averaged=True)
    assert np.array_equal(averaged["head.weight"], begun)
    assert not np.array_equal(averaged["stack.0.bias_ih"], model.parameters["stack.0.bias_ih"])
    steps(backend, 1, first=SELDOM - 1)
    decay = np.prod([min(0.9, (1 + n) / (10 + n)) for n in range(1, SELDOM + 1)])
    expected = decay * begun + (1 - decay) * model.parameters["head.weight"]
    np.testing.assert_allclose(backend.weights(averaged=True)["head.weight"], expected, rtol=1e-5)
