"""A cache of the recent past: by its definition, normalised, however a text is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.network import LanguageModel
from pantoum.network.mixers import cache
from pantoum.network.mixers.cache import Cache
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program

V, B, T = 6, 3, 9


def programs(size: int = 5, **shape: Any) -> tuple[Program, Program]:
    """(with a cache, without)."""
    model = LanguageModel(V, config=ModelConfig(hidden_size=4, num_layers=1, embedding_size=3, **shape))
    for array in model.parameters.values():
        array *= 3
    plain = Program(model)
    return plain.with_cache(Cache(size, 0.3, 1.7)), plain


def with_counts(program: Program) -> Program:
    counts = Counts(V, counted(np.random.default_rng(2).integers(0, V, 300), V, 3))
    mixture = CountMixture(counts, np.full(counts.buckets, 0.4, np.float32))
    return Program(program.model, mixers=[mixture, program.cache])


def texts(seed: int, steps: int = T) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, V, (B, steps)), draw.random((B, steps)) < 0.15


def begun(program: Program, seed: int = 7) -> NetworkState:
    tokens_BT, reset_BT = texts(seed)
    return program.logits(tokens_BT, program.initial_state(B), reset_BT=reset_BT)[1]


def slow(plain: Program, size: int, tokens_BT: Any, reset_BT: Any) -> Any:
    """The probabilities [B,T,V] of the definition, from the beginning of the text."""
    hidden_BTH, _ = plain.hidden(tokens_BT, plain.initial_state(B), reset_BT=reset_BT)
    logits_BTV = plain.logits(tokens_BT, plain.initial_state(B), reset_BT=reset_BT)[0].astype(np.float64)
    p_BTV = np.exp(logits_BTV) / np.exp(logits_BTV).sum(axis=2, keepdims=True)
    for b, row in enumerate(tokens_BT):
        pairs: list[tuple[Any, int]] = []
        for t, token in enumerate(row):
            if reset_BT[b, t]:
                pairs = []
            elif t:
                pairs = [*pairs, (hidden_BTH[b, t - 1], token)][-size:]
            if pairs:
                scores = np.exp([1.7 * float(hidden_BTH[b, t] @ h) for h, _ in pairs])
                p_BTV[b, t] *= 0.7
                for score, (_, word) in zip(scores, pairs, strict=True):
                    p_BTV[b, t, word] += 0.3 * score / scores.sum()
    return p_BTV


@pytest.mark.parametrize(("size", "shape"), [(1, {}), (5, {"members": 2}), (40, {"ngrams": (2,)})])
def test_it_is_the_definition(size: int, shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    program, plain = programs(size, **shape)
    tokens_BT, reset_BT = texts(3, 2 * T)
    expected = slow(plain, size, tokens_BT, reset_BT)
    before, state = program.logits(tokens_BT[:, :T], program.initial_state(B), reset_BT=reset_BT[:, :T])
    after, _ = program.logits(tokens_BT[:, T:], state, reset_BT=reset_BT[:, T:])
    found = np.exp(np.concatenate([before, after], axis=1))
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)
    targets_BT = texts(4)[0]
    own_BT = np.take_along_axis(expected[:, T:], targets_BT[:, :, None], axis=2)[:, :, 0]
    for at_once in (2, 64):
        monkeypatch.setattr(cache, "AT_ONCE", at_once)
        for predict in (True, False):
            nats_BT, best_BT, _ = program.losses(
                tokens_BT[:, T:], targets_BT, state, reset_BT=reset_BT[:, T:], predict=predict
            )
            np.testing.assert_allclose(nats_BT, -np.log(own_BT), atol=1e-4)
            if predict:
                of_best_BT = np.take_along_axis(expected[:, T:], best_BT[:, :, None], axis=2)[:, :, 0]
                np.testing.assert_allclose(of_best_BT, expected[:, T:].max(axis=2), atol=1e-5)


@pytest.mark.parametrize("counts", [False, True])
def test_losses_and_predictions_change_no_row_of_the_vocabulary(
    counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, _ = programs()
    program = with_counts(program) if counts else program
    tokens_BT, reset_BT = texts(3)
    targets_BT, state = texts(4)[0], begun(program)
    logits_BTV, _ = program.logits(tokens_BT, state, reset_BT=reset_BT)
    monkeypatch.setattr(cache, "mix_rows", None)
    nats_BT, best_BT, _ = program.losses(tokens_BT, targets_BT, state, reset_BT=reset_BT)
    own_BT = np.take_along_axis(logits_BTV, targets_BT[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(nats_BT, -own_BT, atol=1e-4)
    of_best_BT = np.take_along_axis(logits_BTV, best_BT[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(of_best_BT, logits_BTV.max(axis=2), atol=1e-4)


@pytest.mark.parametrize("counts", [False, True])
def test_losses_beside_the_cache_are_those_with_it_and_those_without_it(counts: bool) -> None:
    program, _ = programs()
    program = with_counts(program) if counts else program
    tokens_BT, reset_BT = texts(3)
    targets_BT, state = texts(4)[0], begun(program)
    rest = {"reset_BT": reset_BT, "predict": False}
    with_BT, best_BT, after = program.losses(tokens_BT, targets_BT, state, **rest)
    own = NetworkState(state.arrays[:-3])
    without_BT = program.with_cache(None).losses(tokens_BT, targets_BT, own, **rest)[0]
    scored = program.scored(tokens_BT, targets_BT, state, reset_BT=reset_BT)
    assert np.array_equal(scored.nats_BT, with_BT) and np.array_equal(scored.without_cache_BT, without_BT)
    assert np.array_equal(scored.predictions_BT, best_BT) and not scored.gradients
    for one, other in zip(scored.state.arrays, after.arrays, strict=True):
        assert np.array_equal(one, other)
    assert abs(with_BT - without_BT).max() > 0.1


def test_the_state_of_one_stream_is_not_copied() -> None:
    program, _ = programs(size=4096)
    _, state = program.logits(texts(3)[0][:1], program.initial_state(1))
    keys = state.arrays[-3]
    assert keys.shape == (1, 4096 * 4) and keys.base is not None
