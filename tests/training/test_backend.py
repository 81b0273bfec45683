"""The backend's promises: weights change in update and restore only, a snapshot brings everything back."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pantoum import load
from pantoum.about.file import inspect
from pantoum.about.plan import make_plan
from pantoum.config import ModelConfig, TrainSettings
from pantoum.data.batches import Batch
from pantoum.errors import CheckpointError, SettingError
from pantoum.formats import checkpoint, model_file
from pantoum.inference.files.precision import plain
from pantoum.kernels import RowCodes
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


CONFIG, V = ModelConfig("gru", 7, 2, 5), 9


NGRAMS = replace(CONFIG, ngrams=(2, 3), ngram_rows=32)


def member(seed, config=CONFIG):
    model = LanguageModel(V, config=config, seed=seed)
    return MemberLearner(model, make_optimizer("adamw", model, 0.01), seed=seed, average=0.9)


def batches(count):
    random = np.random.default_rng(5)
    for _ in range(count):
        yield random.integers(0, V, (2, 3, 11)).astype(np.int32)


def trained(backend, count, state=None, first=0):
    state = backend.initial_state(3) if state is None else state
    for step, (inputs_BT, targets_BT) in list(enumerate(batches(first + count)))[first:]:
        batch = Batch(inputs_BT, targets_BT, np.zeros((3, 11), bool), 0)
        found = backend.gradients(batch, state, step, np.arange(3))
        backend.update(0.01, 0.5)
        state = found.state
    return found, state


def test_each_member_learns_as_if_it_were_alone():
    together, alone = LocalBackend([member(1), member(2)]), [member(1), member(2)]
    found, _ = trained(together, 4)
    single = [trained(LocalBackend([each]), 4)[0] for each in alone]
    assert found.loss == pytest.approx(np.mean([each.loss for each in single]), rel=1e-6)
    assert found.accuracy == pytest.approx(np.mean([each.accuracy for each in single]))
    for mine, other in zip(together.learners, alone, strict=True):
        for name, array in mine.weights(averaged=False).items():
            assert np.array_equal(array, other.weights(averaged=False)[name])


@pytest.mark.parametrize("config", [CONFIG, NGRAMS])
def test_a_snapshot_puts_all_members_back_to_the_bit(config):
    backend = LocalBackend([member(1, config), member(2, config)])
    _, state = trained(backend, 3)
    kept = backend.snapshot()
    trained(backend, 2, state, first=3)
    other = LocalBackend([member(8, config), member(9, config)])
    other.restore(kept)
    trained(other, 2, state, first=3)
    for averaged in (False, True):
        one, again = backend.weights(averaged), other.weights(averaged)
        assert all(np.array_equal(one[name], again[name]) for name in one)


def test_a_snapshot_of_fewer_members_is_refused():
    kept = LocalBackend([member(1), member(2)]).snapshot()
    with pytest.raises(CheckpointError, match="missing"):
        LocalBackend([member(1), member(2), member(3)]).restore(kept)


def test_a_run_keeps_its_members_as_one_model_and_resumes_to_the_bit(run, tmp_path):
    whole = run("whole", steps=12, members=3, dropout=0.2)
    run("cut", steps=12, members=3, dropout=0.2, stop_after=5)
    again = run("cut", resume=True)
    assert model_file.read(whole.model).parameters.keys() == model_file.read(again.model).parameters.keys()
    for name, array in model_file.read(whole.model).parameters.items():
        assert np.array_equal(array, model_file.read(again.model).parameters[name])
    kept = model_file.read(whole.model)
    assert [kept.config[key] for key in ("members", "hidden_size", "embedding_size")] == [3, 12, 6]
    assert kept.parameters["members.2.stack.0.weight_hh"].shape == (36, 12)
    chosen = json.loads((tmp_path / "whole" / "config.json").read_text())["chosen"]
    assert chosen["members"] == 3 and chosen["model"]["hidden_size"] == 12
    assert "an ensemble of 3 members of 1 x 12 gru, embedding 6" in str(inspect(whole.model))
    assert load(whole.model).evaluate(str(tmp_path / "story.txt")).tokens > 10_000


@pytest.mark.parametrize(
    "what",
    [{"ngrams": "2,3", "ngram_rows": 64}, {"tied": True}, {"tied": True, "embedding_size": 12}],
    ids=["n-grams", "tied", "tied, no projection"],
)
def test_a_run_its_plan_and_its_file_count_the_same_parameters(run, text, tmp_path, what):
    made = run("counted", steps=2, members=3, **what)
    kept = plain(model_file.read(made.model))
    counted = sum(array.size for array in kept.parameters.values())
    assert made.parameters == inspect(made.model).facts["parameters"] == kept.card["parameters"] == counted
    began = json.loads((tmp_path / "counted" / "config.json").read_text())
    assert began["parameters"] == counted  # what the report shows
    assert run("counted", resume=True).parameters == load(made.model).num_parameters == counted
    asked = {"hidden_size": 12, "num_layers": 1, "embedding_size": 6, **what}
    assert make_plan(TrainSettings(steps=2, members=3, **asked), [str(text)]).parameters == counted


def test_members_with_n_grams_are_kept_as_one_with_the_mean_of_their_tables(run, tmp_path):
    settings = {"steps": 12, "members": 2, "ngrams": "2,3", "ngram_rows": 64}
    whole = run("whole", **settings)
    run("cut", **settings, stop_after=5)
    again = run("cut", resume=True)
    assert whole.model.read_bytes() == again.model.read_bytes()
    kept = model_file.read(whole.model)
    assert (kept.config["members"], kept.config["ngrams"], kept.config["ngram_rows"]) == (2, [2, 3], 64)
    newest = checkpoint.newest(tmp_path / "whole").arrays
    tables = [newest[f"member{place}.weights.{TABLE}"] for place in (0, 1)]
    assert not np.array_equal(*tables)
    mean = np.mean(tables, axis=0)
    np.testing.assert_array_equal(plain(kept).parameters[TABLE], RowCodes.of(mean, 31).floats())
    assert load(whole.model).evaluate(str(tmp_path / "story.txt"), adapt=True).tokens > 10_000


@pytest.mark.parametrize(
    "shape",
    [
        {"tied": True},
        {"tied": True, "embedding_size": 12},
        {"embedding_size": None},
    ],
    ids=str,
)
def test_members_may_have_any_shape(run, tmp_path, shape):
    found = run("any", steps=4, members=2, **shape)
    kept = model_file.read(found.model)
    assert kept.config["members"] == 2 and kept.config["tied"] == (shape.get("embedding_size") == 12)
    assert load(found.model).evaluate(str(tmp_path / "story.txt"), adapt=True).tokens > 10_000


def test_a_run_whose_file_has_the_tied_head_written_out_is_resumed(run, tmp_path):
    """Until ensembles could be tied, their files had both."""
    settings = {"steps": 12, "members": 2, "tied": True, "embedding_size": 12}
    whole = run("whole", **settings)
    run("cut", **settings, stop_after=8)
    file = tmp_path / "cut" / "model.safetensors"
    kept = model_file.read(file)
    each = [kept.parameters[f"members.{place}.embedding.weight"] for place in (0, 1)]
    head = {"head.weight": np.concatenate(each, axis=1) / np.float32(2)}
    old = replace(kept, config={**kept.config, "tied": False}, parameters={**kept.parameters, **head})
    model_file.write(file, old)
    assert load(file).evaluate(str(tmp_path / "story.txt")).tokens > 10_000
    again = run("cut", resume=True)
    assert whole.model.read_bytes() == again.model.read_bytes()


def test_an_ensemble_goes_on_from_an_ensemble(run, tmp_path):
    first = run("first", steps=6, members=2, learning_rate=0.01)
    onward = run("onward", steps=1, learning_rate=1e-9, from_=str(first.model))
    one, other = model_file.read(first.model), model_file.read(onward.model)
    assert one.config == other.config
    for name, array in one.parameters.items():
        np.testing.assert_allclose(other.parameters[name], array, atol=1e-5)
    with pytest.raises(SettingError, match="members is 3: it must be 2, as in the model of --from"):
        run("third", steps=1, members=3, from_=str(first.model))
