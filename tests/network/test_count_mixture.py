"""A network and counts mixed: one normalised distribution, whichever way a program gives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.kernels.reference.tables import count_rows
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import ITERATIONS, CountMixture, Counts, counted, fitted, mixed
from pantoum.network.program import Program

V, B, T = 11, 3, 7


def text(seed: int, count: int) -> np.ndarray[Any, Any]:
    return np.minimum(np.random.default_rng(seed).geometric(0.3, count), V) - 1


def mixture_of(seed: int = 1) -> CountMixture:
    counts = Counts(V, counted(text(seed, 500), V, 4))
    weights_C = np.random.default_rng(seed).random(counts.buckets).astype(np.float32)
    return CountMixture(counts, weights_C)


def programs(**shape: Any) -> tuple[Program, Program]:
    """(with counts, without)."""
    model = LanguageModel(V, config=ModelConfig(hidden_size=5, num_layers=2, embedding_size=4, **shape))
    for array in model.parameters.values():
        array *= 3
    return Program(model, mixers=[mixture_of()], purpose="train"), Program(model, purpose="train")


def texts(seed: int = 0) -> tuple[Any, Any]:
    tokens_BT = np.stack([text(seed + row, T + 1) for row in range(B)])
    return tokens_BT, np.random.default_rng(seed).random((B, T)) < 0.2


def begun(program: Program) -> Any:
    return program.logits(np.stack([text(9 + row, 5) for row in range(B)]), program.initial_state(B))[1]


@pytest.mark.parametrize("shape", [{}, {"ngrams": (2, 4), "ngram_rows": 16}, {"members": 2}])
def test_all_ways_give_one_normalised_mixture(shape: dict[str, Any]) -> None:
    both, alone = programs(**shape)
    assert both.counts is not None
    tokens_BT, reset_BT = texts()
    inputs_BT, targets_BT = tokens_BT[:, :-1], tokens_BT[:, 1:]
    state, own = begun(both), begun(alone)
    assert len(state.arrays) == len(own.arrays) + 1
    logits_BTV, after = both.logits(inputs_BT, state, reset_BT=reset_BT)
    network_BTV = np.exp(alone.logits(inputs_BT, own, reset_BT=reset_BT)[0].astype(np.float64))
    network_BTV /= network_BTV.sum(axis=2, keepdims=True)
    found = both.counts.counts.find(inputs_BT.T, state.arrays[-1], reset_BT.T)
    rows_BTV = count_rows(both.counts.counts.tree, found.nodes_KN).reshape(T, B, V).swapaxes(0, 1)
    v_BT1 = both.counts.weights_C[found.buckets_N].reshape(T, B).T[:, :, None]
    np.testing.assert_allclose(np.exp(logits_BTV), v_BT1 * network_BTV + (1 - v_BT1) * rows_BTV, atol=1e-6)
    np.testing.assert_allclose(np.exp(logits_BTV).sum(axis=2), 1, atol=1e-5)
    own_BT = -np.take_along_axis(logits_BTV, targets_BT[:, :, None], axis=2)[:, :, 0]
    nats_BT, predictions_BT, last = both.losses(inputs_BT, targets_BT, state, reset_BT=reset_BT)
    assert np.array_equal(predictions_BT, logits_BTV.argmax(axis=2))
    without_BT = both.losses(inputs_BT, targets_BT, state, reset_BT=reset_BT, predict=False)[0]
    np.testing.assert_allclose(without_BT, own_BT, atol=1e-4)
    learned = both.gradients(inputs_BT, targets_BT, state, reset_BT=reset_BT)
    np.testing.assert_allclose(nats_BT, own_BT, atol=1e-4)
    np.testing.assert_allclose(learned.nats_BT, own_BT, atol=1e-4)
    plain = alone.gradients(inputs_BT, targets_BT, own, reset_BT=reset_BT)
    assert all(
        np.array_equal(d.values, plain.gradients[name].values) for name, d in learned.gradients.items()
    )
    assert learned.loss == plain.loss
    for one in (last, learned.state):
        assert all(np.array_equal(a, b) for a, b in zip(one.arrays, after.arrays, strict=True))


@settings(max_examples=20)
@given(seed=st.integers(0, 99), constant=st.floats(0.001, 0.999))
def test_fitted_weights_are_better_than_a_constant(seed: int, constant: float) -> None:
    draw, counts = np.random.default_rng(seed), mixture_of().counts
    classes_N = draw.integers(0, 4, 3000)
    p_N = draw.beta(1.0, 1.0 + classes_N)
    nats_N = -np.log(draw.beta(2.0, 4.0, 3000)).astype(np.float32)
    weights_C = fitted(nats_N, p_N, classes_N, counts)
    loss = mixed(nats_N, p_N, weights_C[classes_N]).mean()
    assert loss <= mixed(nats_N, p_N, np.full(3000, constant)).mean() + 1e-4
    assert ((weights_C > 0) & (weights_C < 1)).all() and len(np.unique(weights_C[:4])) == 4 and ITERATIONS


def test_weights_that_cannot_be_are_refused() -> None:
    counts = mixture_of().counts
    for weights_C in (np.ones(3), np.full(counts.buckets, 1.5), np.full(counts.buckets, np.nan)):
        with pytest.raises(ValueError, match="numbers from 0 to 1"):
            CountMixture(counts, weights_C.astype(np.float32))
