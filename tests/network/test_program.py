"""Ways of reading that must agree: all logits, last ones, losses, hidden states, a token at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.errors import CoreError, SettingError
from pantoum.kernels import Workspace, backend, reference
from pantoum.network import LanguageModel, cross_entropy, unroll
from pantoum.network.network_state import to_arrays
from pantoum.network.program import BatchResult, Program
from tests.network.conftest import layers_of

B, T = 3, 6
MODELS: dict[str, dict[str, Any]] = {
    "one-hot": {"vocab_size": 7},
    "one-hot, more symbols than tokens": {"vocab_size": 40},
    "one-hot, a vocabulary too large for a table": {"vocab_size": 1100},
    "embedding": {"vocab_size": 7, "embedding_size": 4},
    "embedding, too large for a table": {"vocab_size": 1100, "embedding_size": 4},
    "tied": {
        "vocab_size": 7,
        "embedding_size": 5,
        "tied": True,
    },
}


def learned(model: LanguageModel, *batch: Any, **options: Any) -> BatchResult:
    return Program(model, purpose="train").gradients(*batch, **options)


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model(request: pytest.FixtureRequest) -> LanguageModel:
    sizes = dict(request.param)
    config = ModelConfig(
        "gru", 5, 2, **{name: value for name, value in sizes.items() if name != "vocab_size"}
    )
    return LanguageModel(sizes["vocab_size"], config=config, dtype=np.float64)


@pytest.fixture
def tokens(model: LanguageModel, random: np.random.Generator) -> np.ndarray:
    return random.integers(0, model.vocab_size, (B, T))


def test_logits_are_those_of_the_stack_over_vectors(model: LanguageModel, tokens: np.ndarray) -> None:
    """The look-up of input projections is exact: equal to dense products with one-hot or embedded vectors."""
    vectors = (
        model.parameters["embedding.weight"] if model.config.embedding_size else np.eye(model.vocab_size)
    )
    outputs, last = unroll(layers_of(model), vectors[tokens])
    hidden, state = Program(model).hidden(tokens, model.initial_state(B))
    np.testing.assert_allclose(hidden, outputs, rtol=1e-9, atol=1e-12)
    for a, b in zip(state.arrays, to_arrays(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_training_losses_are_reading_losses(model: LanguageModel, tokens: np.ndarray) -> None:
    state = model.initial_state(B)
    result = learned(model, tokens, tokens[:, ::-1], state)
    nats, predictions, last = Program(model).losses(tokens, tokens[:, ::-1], state)
    assert result.loss == pytest.approx(nats.mean())
    assert result.accuracy == (predictions == tokens[:, ::-1]).mean()
    np.testing.assert_array_equal(result.predictions_BT, predictions)
    for a, b in zip(result.state.arrays, last.arrays, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_a_token_at_a_time_gives_the_same_logits(model: LanguageModel, tokens: np.ndarray) -> None:
    logits, last = Program(model).logits(tokens, model.initial_state(B))
    packed, state = Program(model), model.initial_state(B)
    for t in range(T):
        now, state = packed.last_logits(tokens[:, t : t + 1], state)
        np.testing.assert_allclose(now, logits[:, t], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state.arrays[1], last.arrays[1], rtol=1e-9)


def test_rows_of_different_lengths(model: LanguageModel, tokens: np.ndarray) -> None:
    lengths = np.array([6, 1, 3])
    logits, _ = Program(model).logits(tokens, model.initial_state(B))
    _, state = Program(model).logits(tokens, model.initial_state(B), lengths=lengths)
    nats, predictions, same = Program(model).losses(tokens, tokens, model.initial_state(B), lengths=lengths)
    assert not nats[1, 1:].any()
    assert not predictions[1, 1:].any()
    assert nats[1, 0] == pytest.approx(cross_entropy(logits[1, :1], tokens[1, :1]))
    np.testing.assert_allclose(state.arrays[1], same.arrays[1])


def test_past_the_length_of_a_row_no_logits_are_made(
    model: LanguageModel, tokens: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, rows = Program(model), []
    own = program.head.losses
    monkeypatch.setattr(program.head, "losses", lambda x, *rest: (rows.append(len(x)), own(x, *rest))[1])
    for lengths in ([6, 1, 3], [0, 0, 0], [6, 6, 6]):
        state = model.initial_state(B)
        nats, _, _ = program.losses(tokens, tokens, state, lengths=np.array(lengths), predict=False)
        assert ((nats > 0).sum(axis=1) == lengths).all()
    assert rows == [10, 18]


def test_resets_begin_rows_anew(model: LanguageModel, tokens: np.ndarray) -> None:
    reset = np.zeros((B, T), bool)
    reset[:, 2] = True
    logits, _ = Program(model).logits(tokens, model.initial_state(B), reset_BT=reset)
    expected, _ = Program(model).logits(tokens[:, 2:], model.initial_state(B))
    np.testing.assert_allclose(logits[:, 2:], expected, rtol=1e-9, atol=1e-12)
    hidden, _ = Program(model).hidden(tokens, model.initial_state(B), reset_BT=reset)
    np.testing.assert_allclose(Program(model).head.logits(hidden[0]), logits[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_program_for_reading_stays_what_it_was_when_the_weights_change(dtype: Any) -> None:
    model = LanguageModel(7, hidden_size=5, num_layers=2, dtype=dtype)
    tokens, program = np.arange(12).reshape(B, 4) % 7, Program(model)
    before = program.logits(tokens, model.initial_state(B))[0]
    for name, parameter in model.parameters.items():
        if "bias" not in name:
            parameter *= 2
    np.testing.assert_array_equal(program.logits(tokens, model.initial_state(B))[0], before)
    now = Program(model).logits(tokens, model.initial_state(B))[0]
    assert abs(now - before).max() > 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_program_for_training_is_rebuilt_in_the_memory_of_the_one_before(dtype: Any) -> None:
    model, workspace = LanguageModel(7, 6, hidden_size=20, num_layers=3, dtype=dtype), Workspace()
    tokens, sizes = np.arange(30).reshape(B, 10) % 7, []
    for _ in range(3):
        program = Program(model, purpose="train", workspace=workspace)
        found = program.gradients(tokens, tokens, model.initial_state(B))
        fresh = learned(model, tokens, tokens, model.initial_state(B))
        assert found.loss == fresh.loss
        for name, parameter in model.parameters.items():
            np.testing.assert_array_equal(found.gradients[name].values, fresh.gradients[name].values)
            parameter -= 0.1 * found.gradients[name].values
        sizes.append(workspace.nbytes)
    assert sizes[0] == sizes[2]


def test_gradients_of_a_program_for_reading_are_refused_by_the_core() -> None:
    model = LanguageModel(7, 6, hidden_size=5, num_layers=1)
    if backend(np.float32) is reference:
        pytest.skip("NumPy holds a copy")
    with pytest.raises(CoreError, match="packed for reading alone and its weight is gone"):
        Program(model).gradients(np.ones((1, 4), int), np.ones((1, 4), int), model.initial_state(1))


@pytest.mark.parametrize(
    ("tokens", "targets", "message"),
    [
        (np.zeros(4, int), np.zeros(4, int), r"targets_BT is \(4,\): it must have the shape \[B, T\]"),
        (np.zeros((1, 0), int), np.zeros((1, 1), int), r"must have the inputs' shape \(1, 0\)"),
        (np.zeros((1, 2)), np.zeros((1, 2), int), "tokens_BT is 'float64': it must be whole numbers"),
        (
            np.zeros((1, 2), int),
            np.zeros((1, 3), int),
            r"targets_BT is \(1, 3\): it must have the inputs' shape",
        ),
        (np.array([[0, -1]]), np.zeros((1, 2), int), "tokens_BT is -1: it must be token numbers from 0 to 6"),
    ],
)
def test_tokens_and_targets_that_do_not_fit_are_named(tokens: Any, targets: Any, message: str) -> None:
    model = LanguageModel(7, hidden_size=3, num_layers=1)
    with pytest.raises(SettingError, match=message):
        Program(model).losses(tokens, targets, model.initial_state(1))
