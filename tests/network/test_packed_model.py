"""Ways of reading that must agree: all logits, last ones, losses, hidden states, a token at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.network import LanguageModel, cross_entropy, unroll
from pantoum.network.state import to_arrays

B, T = 3, 6
MODELS: dict[str, dict[str, Any]] = {
    "one-hot": {"vocab_size": 7},
    "one-hot, more symbols than tokens": {"vocab_size": 40},
    "one-hot, a vocabulary too large for a table": {"vocab_size": 1100},
    "one-hot, residual": {"vocab_size": 5, "residual": True},
    "embedding": {"vocab_size": 7, "embedding_size": 4},
    "embedding, too large for a table": {"vocab_size": 1100, "embedding_size": 4},
    "tied, residual, norm": {
        "vocab_size": 7,
        "embedding_size": 5,
        "tied": True,
        "residual": True,
        "norm": "layer",
    },
}


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return LanguageModel(cell="gru", hidden_size=5, num_layers=2, dtype=np.float64, **request.param)


@pytest.fixture
def tokens(model: LanguageModel, random: np.random.Generator) -> np.ndarray:
    return random.integers(0, model.vocab_size, (B, T))


def test_logits_are_those_of_the_stack_over_vectors(model: LanguageModel, tokens: np.ndarray) -> None:
    """The look-up of drives is exact: the same as dense products with one-hot or embedded vectors."""
    vectors = np.eye(model.vocab_size) if model.embedding_VE is None else model.embedding_VE
    outputs, last = unroll(model.stack, vectors[tokens])
    hidden, state = model.hidden(tokens, model.initial_state(B))
    np.testing.assert_allclose(hidden, outputs, rtol=1e-9, atol=1e-12)
    for a, b in zip(to_arrays(state), to_arrays(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_training_losses_are_reading_losses(model: LanguageModel, tokens: np.ndarray) -> None:
    state = model.initial_state(B)
    result = model.gradients(tokens, tokens[:, ::-1], state)
    nats, predictions, last = model.losses(tokens, tokens[:, ::-1], state)
    assert result.loss == pytest.approx(nats.mean())
    assert result.accuracy == (predictions == tokens[:, ::-1]).mean()
    np.testing.assert_array_equal(result.predictions_BT, predictions)
    for a, b in zip(to_arrays(result.state), to_arrays(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_a_token_at_a_time_gives_the_same_logits(model: LanguageModel, tokens: np.ndarray) -> None:
    logits, last = model.logits(tokens, model.initial_state(B))
    packed, state = model.pack(), model.initial_state(B)
    for t in range(T):
        now, state, _ = packed.last_logits(tokens[:, t : t + 1], state)
        np.testing.assert_allclose(now, logits[:, t], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state[1], last[1], rtol=1e-9)


def test_rows_of_different_lengths(model: LanguageModel, tokens: np.ndarray) -> None:
    lengths = np.array([6, 1, 3])
    logits, state = model.logits(tokens, model.initial_state(B))
    last, state, hidden = model.last_logits(tokens, model.initial_state(B), lengths=lengths)
    np.testing.assert_allclose(last, logits[np.arange(B), lengths - 1], rtol=1e-9, atol=1e-12)
    assert hidden.shape == (B, 5)
    nats, predictions, same = model.losses(tokens, tokens, model.initial_state(B), lengths=lengths)
    assert not nats[1, 1:].any()
    assert not predictions[1, 1:].any()
    assert nats[1, 0] == pytest.approx(cross_entropy(logits[1, :1], tokens[1, :1]))
    np.testing.assert_allclose(state[1], same[1])


def test_a_row_without_a_token_has_no_last_one() -> None:
    model = LanguageModel(7, hidden_size=3, num_layers=1)
    with pytest.raises(SettingError, match=r"lengths is \[0, 2\]: must be at least 1: each row"):
        model.last_logits(np.zeros((2, 2), int), model.initial_state(2), lengths=np.array([0, 2]))


def test_resets_begin_rows_anew(model: LanguageModel, tokens: np.ndarray) -> None:
    reset = np.zeros((B, T), bool)
    reset[:, 2] = True
    logits, _ = model.logits(tokens, model.initial_state(B), reset_BT=reset)
    expected, _ = model.logits(tokens[:, 2:], model.initial_state(B))
    np.testing.assert_allclose(logits[:, 2:], expected, rtol=1e-9, atol=1e-12)
    hidden, _ = model.hidden(tokens, model.initial_state(B), reset_BT=reset)
    np.testing.assert_allclose(model.head.pack().logits(hidden[0]), logits[0], rtol=1e-9, atol=1e-12)


def test_a_pack_follows_the_parameters_when_refreshed(model: LanguageModel, tokens: np.ndarray) -> None:
    packed = model.pack()
    packed.logits(tokens, model.initial_state(B))
    for parameter in model.parameters.values():
        parameter *= 2
    packed.refresh()
    expected, _ = model.logits(tokens, model.initial_state(B))
    np.testing.assert_array_equal(packed.logits(tokens, model.initial_state(B))[0], expected)


@pytest.mark.parametrize(
    ("tokens", "targets", "message"),
    [
        (np.zeros(4, int), np.zeros(4, int), r"targets_BT is \(4,\): must have the shape \[B, T\]"),
        (np.zeros((1, 0), int), np.zeros((1, 1), int), r"must have the inputs' shape \(1, 0\)"),
        (np.zeros((1, 2)), np.zeros((1, 2), int), "tokens_BT is 'float64': must be whole numbers"),
        (
            np.zeros((1, 2), int),
            np.zeros((1, 3), int),
            r"targets_BT is \(1, 3\): must have the inputs' shape",
        ),
        (np.array([[0, -1]]), np.zeros((1, 2), int), "tokens_BT is -1: must be token numbers from 0 to 6"),
    ],
)
def test_tokens_and_targets_that_do_not_fit_are_named(tokens: Any, targets: Any, message: str) -> None:
    model = LanguageModel(7, hidden_size=3, num_layers=1)
    with pytest.raises(SettingError, match=message):
        model.losses(tokens, targets, model.initial_state(1))
