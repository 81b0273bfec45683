"""Sampled softmax: the true distribution is its optimum, and with all symbols it is exact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.errors import SettingError
from pantoum.kernels import Workspace, reference
from pantoum.network import LanguageModel
from pantoum.network.candidates import Candidates, CandidateSampler, inclusion
from pantoum.network.gradient import Gradient
from pantoum.network.head import Head
from pantoum.network.packing import Packer
from pantoum.network.program import BatchResult, Program, Wanted

B, T, V = 3, 5, 40
SHAPES = [{}, {"tied": True}, {"tied": True, "embedding_size": 6}, {"embedding_size": None}]


def made(shape: dict[str, object]) -> LanguageModel:
    config = ModelConfig("gru", 6, 2, **{"embedding_size": 4, **shape})
    return LanguageModel(V, config=config, dtype=np.float64)


def learned(model: LanguageModel, tokens: np.ndarray, candidates: Candidates | None) -> BatchResult:
    program = Program(model, purpose="train")
    state = model.initial_state(B)
    return program.gradients(tokens[:, :-1], tokens[:, 1:], state, Wanted(candidates=candidates))


@given(
    counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=60),
    samples=st.integers(1, 70),
)
def test_as_many_are_drawn_in_the_mean_as_were_asked_for(counts: list[int], samples: int) -> None:
    found = inclusion(np.array(counts), samples)
    assert found.sum() == pytest.approx(min(samples, len(counts)))
    assert (found > 0).all() and (found <= 1).all()
    order = np.argsort(counts)
    assert (np.diff(found[order]) >= -1e-12).all()


def test_the_candidates_are_the_targets_and_what_seed_and_step_draw() -> None:
    sampler, targets = CandidateSampler(np.arange(V), 8, seed=3), np.array([7, 39, 7, 0])
    found = sampler.draw(targets, step=5)
    assert (np.diff(found.symbols_C) > 0).all()
    assert found.symbols_C[found.places(targets)].tolist() == targets.tolist()
    assert (found.shift_C >= 0).all()
    others = set(found.symbols_C) - set(targets)
    again = CandidateSampler(np.arange(V), 8, seed=3).draw(np.array([1]), step=5)
    assert others <= set(again.symbols_C)
    assert set(sampler.draw(np.array([1]), step=6).symbols_C) != set(again.symbols_C)


def test_a_symbol_of_the_sample_or_of_another_row_counts_by_the_probability_of_either() -> None:
    counts, targets = np.array([70, 20, 8, 2]), np.array([0, 3, 0])
    inclusion_V = inclusion(counts, 2)
    found = CandidateSampler(counts, 2, seed=0).draw(targets, 1)
    either_V = 1 - (1 - inclusion_V) * (1 - counts / 100) ** 2
    np.testing.assert_allclose(np.exp(-found.shift_C), either_V[found.symbols_C])
    alone = CandidateSampler(counts, 2, seed=0).draw(targets[:1], 1)
    np.testing.assert_allclose(np.exp(-alone.shift_C), inclusion_V[alone.symbols_C])


def test_the_true_distribution_has_no_gradient_in_the_mean_over_all_samples(
    random: np.random.Generator,
) -> None:
    """By enumeration of every target and every sample of a row alone, weighted by their probabilities."""
    inclusion_V = np.array([1.0, 0.6, 0.3, 0.1, 0.05])
    weights = {"head.weight": random.standard_normal((5, 3)), "head.bias": random.standard_normal(5)}
    packed, hidden = Head(weights, Packer(reference)), random.standard_normal((1, 3))
    truth_V = np.exp(-packed.losses(hidden.repeat(5, axis=0), np.arange(5))[0])
    total, size = {name: np.zeros_like(array) for name, array in weights.items()}, 0.0
    for taken in itertools.product((False, True), repeat=5):
        chance = np.where(taken, inclusion_V, 1 - inclusion_V).prod()
        for target in range(5) if chance > 0 else ():
            symbols_C = np.union1d(np.flatnonzero(taken), [target])
            candidates = Candidates(symbols_C, -np.log(inclusion_V[symbols_C]))
            found = packed.gradients(hidden, np.array([target]), Workspace(), candidates=candidates)[3]
            for name, whole in total.items():
                part = chance * truth_V[target] * found[name].whole(whole.shape)
                whole += part
                size = max(size, np.abs(part).max())
    assert size > 0.01
    for whole in total.values():
        np.testing.assert_allclose(whole, 0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_with_all_symbols_it_is_the_softmax(shape: dict[str, object], random: np.random.Generator) -> None:
    model, tokens = made(shape), random.integers(0, V, (B, T + 1))
    everything = CandidateSampler(np.ones(V), V, seed=0).draw(tokens[:, 1:].ravel(), 0)
    ours, full = learned(model, tokens, everything), learned(model, tokens, None)
    np.testing.assert_allclose(ours.nats_BT, full.nats_BT)
    np.testing.assert_array_equal(ours.predictions_BT, full.predictions_BT)
    for name, gradient in full.gradients.items():
        one, other = (each.whole(model.parameters[name].shape) for each in (ours.gradients[name], gradient))
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradient_is_the_central_difference(
    shape: dict[str, object], random: np.random.Generator
) -> None:
    model, tokens = made(shape), random.integers(0, V, (B, T + 1))
    sampler = CandidateSampler(random.integers(0, 99, V), 9, seed=2)
    candidates = sampler.draw(tokens[:, 1:].ravel(), 4)
    assert len(candidates.symbols_C) < V
    result = learned(model, tokens, candidates)
    for name, array in model.parameters.items():
        direction, at = random.standard_normal(array.shape), array.copy()
        losses = []
        for e in (1e-6, -1e-6):
            array[...] = at + e * direction
            losses.append(learned(model, tokens, candidates).loss)
        array[...] = at
        slope = (result.gradients[name].whole(array.shape) * direction).sum()
        assert slope == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-8), name


def test_a_large_embedding_has_a_gradient_of_the_rows_in_use(random: np.random.Generator) -> None:
    tokens = random.integers(0, 3000, (B, T + 1))
    for tied in (False, True):
        config = ModelConfig("gru", 6, 1, 4, tied=tied)
        model = LanguageModel(3000, config=config, dtype=np.float64)
        candidates = CandidateSampler(np.ones(3000), 50, seed=0).draw(tokens[:, 1:].ravel(), 0)
        gradient = learned(model, tokens, candidates).gradients["embedding.weight"]
        expected = np.unique(tokens[:, :-1])
        if tied:
            expected = np.union1d(expected, candidates.symbols_C)
        assert gradient.rows_U is not None
        np.testing.assert_array_equal(gradient.rows_U, expected)


@pytest.mark.parametrize("of_rows", [(True, True), (True, False), (False, True), (False, False)])
def test_gradients_add_up_of_rows_or_whole(of_rows: tuple[bool, bool], random: np.random.Generator) -> None:
    parts = [
        Gradient(random.standard_normal((2, 3)), np.array([1, 4])),
        Gradient(random.standard_normal((3, 3)), np.array([0, 4, 5])),
    ]
    parts = [
        part if rows else Gradient(part.whole((6, 3))) for part, rows in zip(parts, of_rows, strict=True)
    ]
    expected = parts[0].whole((6, 3)) + parts[1].whole((6, 3))
    np.testing.assert_allclose(parts[0].plus(parts[1]).whole((6, 3)), expected)


@pytest.mark.parametrize("samples", [0, -1, 2.5])
def test_at_least_one_symbol_is_sampled(samples: int) -> None:
    with pytest.raises(SettingError, match=r"samples is .*at least 1"):
        CandidateSampler(np.ones(V), samples, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_exact_losses_come_with_the_same_gradients(
    shape: dict[str, object], random: np.random.Generator
) -> None:
    model = made(shape)
    tokens = random.integers(0, V, (B, T + 1))
    candidates = CandidateSampler(np.ones(V), 3, seed=1).draw(tokens[:, 1:].reshape(-1), 0)
    program = Program(model, purpose="train")
    text = tokens[:, :-1], tokens[:, 1:], model.initial_state(B)
    nats, predictions, _ = program.losses(*text)
    rough = program.gradients(*text, Wanted(candidates=candidates))
    of_rough = {name: each.values.copy() for name, each in rough.gradients.items()}
    exact = program.gradients(*text, Wanted(candidates=candidates, exact=True))
    assert np.array_equal(exact.nats_BT, nats) and np.array_equal(exact.predictions_BT, predictions)
    assert exact.loss == pytest.approx(nats.mean()) and exact.loss != rough.loss
    assert all(np.array_equal(each.values, of_rough[name]) for name, each in exact.gradients.items())
