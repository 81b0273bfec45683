"""An ensemble of K members: each is trained as if alone, all are saved in one file, resumed to the bit."""

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
from pantoum.network.spec import TABLE
from pantoum.training.update.backend import LocalBackend
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.optimizer import make_optimizer

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
