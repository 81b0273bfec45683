"""The language model: its size, its gradient, its ways of reading that must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS, DropoutConfig, ModelConfig
from pantoum.errors import SettingError
from pantoum.kernels import Workspace, backend
from pantoum.network import LanguageModel, cross_entropy, unroll
from pantoum.network.network_state import NetworkState
from pantoum.network.program import BatchResult, Program, Wanted
from tests.network.conftest import layers_of

OPTIONS: dict[str, dict[str, Any]] = {
    "one-hot": {},
    "one-hot, more symbols than tokens": {"vocab_size": 20},
    "one-hot, dropout": {"dropout": 0.3},
    "one-hot, variational": {"dropout": "variational:0.3", "hidden_size": 7},
    "embedding": {"embedding_size": 4},
    "embedding, more symbols than tokens": {"embedding_size": 5, "vocab_size": 20},
    "embedding, plain": {"embedding_size": 5},
    "embedding, everything": {"embedding_size": 5, "dropout": 0.2},
    "embedding, variational": {"embedding_size": 4, "dropout": "variational:0.3"},
    "tied": {"embedding_size": 5, "tied": True},
    "tied, projection, dropout": {"embedding_size": 3, "tied": True, "dropout": "variational:0.2"},
}
V, B, T = 7, 3, 4
DROPPED = Wanted(dropout_key=(3, 4))


def learned(model: LanguageModel, *batch: Any, **options: Any) -> BatchResult:
    return Program(model, purpose="train").gradients(*batch, **options)


def build(cell: str, options: dict[str, Any]) -> LanguageModel:
    shape = {"hidden_size": 5, "num_layers": 2, **options}
    vocab_size = shape.pop("vocab_size", V)
    if "dropout" in shape:
        shape["dropout"] = DropoutConfig.parse(shape["dropout"])
    return LanguageModel(vocab_size, config=ModelConfig(cell, **shape), seed=1, dtype=np.float64)


def random_state(model: LanguageModel, rows: int, random: np.random.Generator) -> NetworkState:
    arrays = model.initial_state(rows).arrays
    return NetworkState(tuple(random.standard_normal(a.shape).astype(a.dtype) for a in arrays))


def test_the_originals_model_has_its_4137570_parameters() -> None:
    model = LanguageModel(98, cell="gru-before", hidden_size=512, num_layers=3)
    assert model.num_parameters == 4_137_570
    assert sum(part.shape[1] for part in model.initial_state(1).arrays) == 1536


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_the_central_differences(cell: str, options: dict[str, Any]) -> None:
    model, random = build(cell, options), np.random.default_rng(0)
    inputs, targets = random.integers(0, model.vocab_size, (2, B, T))
    state, reset = random_state(model, B, random), random.random((B, T)) < 0.2
    workspace = Workspace()

    def loss() -> float:
        program = Program(model, purpose="train", workspace=workspace)
        return program.gradients(inputs, targets, state, DROPPED, reset_BT=reset).loss

    loss()
    result = learned(model, inputs, targets, state, DROPPED, reset_BT=reset)
    assert list(result.gradients) == list(model.parameters)
    for name, parameter in model.parameters.items():
        for _ in range(3):
            place = tuple(random.integers(0, size) for size in parameter.shape)
            kept = parameter[place]
            parameter[place] = kept + 1e-6
            above = loss()
            parameter[place] = kept - 1e-6
            below = loss()
            parameter[place] = kept
            found = result.gradients[name].whole(parameter.shape)[place]
            assert found == pytest.approx((above - below) / 2e-6, abs=1e-8), name


@pytest.mark.parametrize("cell", CELLS)
def test_a_token_out_of_range_is_named(cell: str) -> None:
    model = build(cell, {})
    with pytest.raises(SettingError, match=r"inputs_BT is 7: it must be token numbers from 0 to 6"):
        learned(model, np.full((B, T), V), np.zeros((B, T), int), model.initial_state(B))


def test_with_one_hot_inputs_dropout_falls_where_it_would_on_the_vectors() -> None:
    model = build("gru", {"dropout": "inputs=0.5", "num_layers": 1})
    tokens, state = np.arange(12).reshape(B, T) % V, model.initial_state(B)
    with_dropout = learned(model, tokens, tokens, state, Wanted(dropout_key=(1, 2)))
    outputs, last = unroll(layers_of(model), np.eye(V)[tokens], dropout_key=(1, 2))
    np.testing.assert_allclose(with_dropout.state.arrays[0], last[0], rtol=1e-12)
    logits = Program(model).head.logits(outputs.reshape(B * T, -1))
    assert with_dropout.loss == pytest.approx(cross_entropy(logits, tokens.reshape(-1)))


def test_embedded_symbols_have_variational_masks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"vocab_size": 1100, "embedding_size": 4, "num_layers": 1, "tied": True, "hidden_size": 4}
    model = build("gru", {**shape, "dropout": "variational:inputs=0.5"})
    tokens = np.array([[3, 900, 3, 7], [900, 1099, 0, 3], [7, 7, 900, 1099]])
    state = random_state(model, B, np.random.default_rng(2))
    few, elsewhere = (
        learned(model, tokens, tokens, state, Wanted(dropout_key=(3, 4), streams=np.array(streams)))
        for streams in ([0, 1, 2], [9, 5, 7])
    )
    assert few.loss == elsewhere.loss != learned(model, tokens, tokens, state, Wanted()).loss
    monkeypatch.setattr("pantoum.network.token_inputs.LARGE", 1100)
    whole = learned(model, tokens, tokens, state, DROPPED)
    assert whole.loss == pytest.approx(few.loss, rel=1e-12)
    for name, parameter in model.parameters.items():
        gradients = (result.gradients[name].whole(parameter.shape) for result in (few, whole))
        np.testing.assert_allclose(*gradients, atol=1e-12, err_msg=name)


def test_dropout_is_the_streams_own_wherever_they_are() -> None:
    model = build("lstm", {"embedding_size": 4, "dropout": 0.4})
    random = np.random.default_rng(1)
    inputs, targets = random.integers(0, V, (2, 4, T))
    whole = learned(model, inputs, targets, model.initial_state(4), Wanted(dropout_key=(1, 2)))
    halves = [
        learned(
            model,
            inputs[rows],
            targets[rows],
            model.initial_state(2),
            Wanted(dropout_key=(1, 2), streams=np.array(rows)),
        )
        for rows in ([0, 2], [1, 3])
    ]
    assert whole.loss == pytest.approx((halves[0].loss + halves[1].loss) / 2)
    for name, gradient in whole.gradients.items():
        mean = (halves[0].gradients[name].values + halves[1].gradients[name].values) / 2
        np.testing.assert_allclose(gradient.values, mean, atol=1e-12)


def test_a_workspace_changes_no_number_and_does_not_grow() -> None:
    model, workspace = build("gru", {"embedding_size": 5}), Workspace()
    tokens = np.arange(12).reshape(B, T) % V
    fresh = learned(model, tokens, tokens, model.initial_state(B))
    sizes = []
    for _ in range(3):
        program = Program(model, purpose="train", workspace=workspace)
        reused = program.gradients(tokens, tokens, model.initial_state(B))
        sizes.append(workspace.nbytes)
    assert reused.loss == fresh.loss
    for name, gradient in fresh.gradients.items():
        np.testing.assert_array_equal(gradient.values, reused.gradients[name].values)
    assert sizes[0] == sizes[2] > 0


@pytest.mark.parametrize("cell", CELLS)
def test_it_learns_a_rhyme(cell: str) -> None:
    """A hundred steps in float32, the state handed on: the loss of a rhyme of eight symbols is almost 0."""
    model = LanguageModel(5, cell=cell, hidden_size=24, num_layers=2, embedding_size=8)
    workspace = Workspace()
    text = np.tile([0, 1, 2, 0, 3, 1, 4, 4], 9)
    inputs, targets = text[:64].reshape(2, 32), text[1:65].reshape(2, 32)
    moments = {name: (np.zeros_like(p), np.zeros_like(p)) for name, p in model.parameters.items()}
    state, kernels = model.initial_state(2), backend(np.float32)
    for step in range(1, 101):
        program = Program(model, purpose="train", workspace=workspace)
        result = program.gradients(inputs, targets, state)
        state = result.state
        for name, gradient in result.gradients.items():
            kernels.adamw(model.parameters[name], gradient.values, *moments[name], step=step, rate=0.02)
    assert result.loss < 0.1
    assert result.accuracy == 1.0
    assert result.loss.__class__ is float
    assert all(parameter.dtype == np.float32 for parameter in model.parameters.values())


def test_a_model_is_rebuilt_from_its_configuration() -> None:
    model = build("gru-before", {"embedding_size": 3, "tied": True, "dropout": 0.2})
    again = LanguageModel(V, config=model.config, seed=1, dtype=np.float64)
    assert again.config == model.config
    assert list(again.parameters) == list(model.parameters)
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(parameter, again.parameters[name])
    empty = LanguageModel(V, config=model.config, seed=None)
    assert not any(p.any() for p in empty.parameters.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocab_size": 0}, "vocab_size is 0: it must be a whole number of at least 1"),
        ({"num_layers": 0}, "num_layers is 0: it must be a whole number"),
        (
            {"cell": "transformer"},
            "cell is 'transformer': it must be one of rnn, gru, gru-before, lstm, mingru",
        ),
        ({"tied": True}, "tied needs an embedding"),
        ({"dropout": 1.5}, "dropout is 1.5"),
    ],
)
def test_a_setting_that_cannot_be_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        shape = {"cell": "gru", "hidden_size": 4, **arguments}
        vocab_size = shape.pop("vocab_size", 7)
        dropout = DropoutConfig.parse(shape.pop("dropout", 0.0))
        LanguageModel(vocab_size, config=ModelConfig(**shape, dropout=dropout))
