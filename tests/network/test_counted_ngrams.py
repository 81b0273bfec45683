"""Counted n-grams: modified Kneser-Ney by its definition, however a text is read."""

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

V, EOS = 5, 0
Array = np.ndarray[Any, Any]


class Slow:
    """The definition, spelled out; what occurs fewer than ``least`` times is left out of orders from 3 on."""

    def __init__(self, tokens: list[int], order: int, eos: int | None, least: int = 1) -> None:
        places: dict[tuple[int, ...], list[int]] = {}
        for length in range(1, order + 1):
            for start in range(len(tokens) - length + 1):
                ngram = tuple(tokens[start : start + length])
                if eos not in ngram[1:-1]:
                    places.setdefault(ngram, []).append(start)
        self.order = max(len(ngram) for ngram in places)
        self.counts, self.kept = {}, set()
        for ngram, starts in places.items():
            before = [
                tokens[start - 1] if start and (len(ngram) == 1 or ngram[0] != eos) else None
                for start in starts
            ]
            different = len({token for token in before if token is not None}) + before.count(None)
            self.counts[ngram] = len(starts) if len(ngram) == self.order else different
            if len(ngram) < 3 or len(starts) >= least:
                self.kept.add(ngram)
        self.discounts = [self.discount(length) for length in range(1, self.order + 1)]

    def discount(self, order: int) -> list[float]:
        of = [count for ngram, count in self.counts.items() if len(ngram) == order]
        n1, n2, n3, n4 = (of.count(number) for number in (1, 2, 3, 4))
        if not n1 * n2 * n3 * n4:
            return [0.0, 0.5, 1.0, 1.5]
        y = n1 / (n1 + 2 * n2)
        found = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        return found if all(0 <= d <= j for j, d in enumerate(found)) else [0.0, 0.5, 1.0, 1.5]

    def row(self, context: tuple[int, ...]) -> Array:
        """The probabilities of all tokens after a context of at most ``order - 1``."""
        below = self.row(context[1:]) if context else np.full(V, 1 / V)
        following = {w: self.counts[(*context, w)] for w in range(V) if (*context, w) in self.counts}
        total = sum(following.values())
        if not total:
            return below
        row, left = np.zeros(V), 0.0
        for token, count in following.items():
            taken = self.discounts[len(context)][min(count, 3)]
            if (*context, token) in self.kept:
                row[token], left = (count - taken) / total, left + taken / total
            else:
                left += count / total
        return row + left * below


def counts_of(tokens: list[int] | Array, order: int = 4, **options: Any) -> Counts:
    return Counts(V, counted(np.array(tokens, np.uint16), V, order, **options))


def text(seed: int, count: int) -> Array:
    """Tokens that repeat themselves; the larger ones are rare."""
    return np.minimum(np.random.default_rng(seed).geometric(0.4, count), V) - 1


TOKENS = st.lists(st.integers(0, V - 1), min_size=2, max_size=70)


@settings(max_examples=150)
@given(tokens=TOKENS, other=TOKENS, order=st.integers(2, 5), documents=st.booleans())
def test_rows_and_targets_are_those_of_the_definition(
    tokens: list[int], other: list[int], order: int, documents: bool
) -> None:
    eos = EOS if documents else None
    slow, counts = Slow(tokens, order, eos), counts_of(tokens, order, eos=eos)
    inputs_TB, targets_T = np.array(other[:-1])[:, None], np.array(other[1:])
    reset_TB = inputs_TB == EOS if documents else None
    contexts = counts.find(inputs_TB, counts.initial_state(1), reset_TB)
    begin, expected = 0, []
    for at, token in enumerate(other[:-1]):
        begin = at if documents and token == EOS else begin
        expected.append(slow.row(tuple(other[max(begin, at + 2 - slow.order) : at + 1])))
    rows_TV = count_rows(counts.tree, contexts.nodes_KN)
    np.testing.assert_allclose(rows_TV, expected, atol=2e-6)
    np.testing.assert_allclose(rows_TV.sum(axis=1), 1, atol=1e-5)
    own_T = np.array(expected)[np.arange(len(targets_T)), targets_T]
    np.testing.assert_allclose(counts.probabilities(contexts, targets_T), own_T, atol=2e-6)


@pytest.mark.parametrize("least", [2, 3, 1000])
def test_what_is_left_out_is_left_to_shorter_contexts(least: int) -> None:
    tokens = text(3, 400).tolist()
    slow = Slow(tokens, 5, None, least)
    orders = counted(np.array(tokens), V, 5, most_entries=len(slow.kept))
    counts = Counts(V, orders)
    assert counts.entries == len(slow.kept) < len(slow.counts)
    assert least < 1000 or counts.kept == 1
    contexts = counts.find(text(4, 60)[:, None], counts.initial_state(1))
    at = [tuple(text(4, 60)[max(0, end - counts.kept) : end].tolist()) for end in range(1, 61)]
    expected = np.array([slow.row(context) for context in at])
    np.testing.assert_allclose(count_rows(counts.tree, contexts.nodes_KN), expected, atol=2e-6)
    np.testing.assert_allclose(count_rows(counts.tree, contexts.nodes_KN).sum(axis=1), 1, atol=1e-5)


def test_whatever_a_state_says_is_read_as_tokens_or_as_nothing() -> None:
    counts = counts_of(text(1, 300))
    wild_BK = np.array([[1e9, 2, 3], [3, -7, 2], [2, 3, V + 1], [np.inf, 0.5, 1]], np.float32)
    meant_BK = np.array([[0, 2, 3], [0, 0, 2], [0, 0, 0], [0, 0, 1]], np.float32)
    tokens_TB = np.array([[1, 1, 1, 1]])
    wild, meant = (counts.find(tokens_TB, each).nodes_KN for each in (wild_BK, meant_BK))
    assert np.array_equal(wild, meant) and (wild[1] >= 0).any()


def test_longer_and_more_frequent_contexts_have_other_classes() -> None:
    counts = counts_of([1, 2, 3, 1, 2, 4, 1, 2, 3, 4, 4], 3)
    contexts = counts.find(np.array([[1, 2, 3, 3, 4]]).T, counts.initial_state(1))
    assert contexts.nodes_KN[1].tolist()[0] == -1 and (contexts.nodes_KN[1][1:3] >= 0).all()
    classes = contexts.buckets_N.tolist()
    assert classes[0] < classes[1] and classes[2] != classes[1] and classes[3] < 16
    assert max(classes) < counts.buckets


COUNT_MIXTURE_V, B, T = 11, 3, 7


def count_mixture_text(seed: int, count: int) -> np.ndarray[Any, Any]:
    return np.minimum(np.random.default_rng(seed).geometric(0.3, count), COUNT_MIXTURE_V) - 1


def mixture_of(seed: int = 1) -> CountMixture:
    counts = Counts(COUNT_MIXTURE_V, counted(count_mixture_text(seed, 500), COUNT_MIXTURE_V, 4))
    weights_C = np.random.default_rng(seed).random(counts.buckets).astype(np.float32)
    return CountMixture(counts, weights_C)


def programs(**shape: Any) -> tuple[Program, Program]:
    """(with counts, without)."""
    model = LanguageModel(
        COUNT_MIXTURE_V, config=ModelConfig(hidden_size=5, num_layers=2, embedding_size=4, **shape)
    )
    for array in model.parameters.values():
        array *= 3
    return Program(model, mixers=[mixture_of()], purpose="train"), Program(model, purpose="train")


def texts(seed: int = 0) -> tuple[Any, Any]:
    tokens_BT = np.stack([count_mixture_text(seed + row, T + 1) for row in range(B)])
    return tokens_BT, np.random.default_rng(seed).random((B, T)) < 0.2


def begun(program: Program) -> Any:
    return program.logits(
        np.stack([count_mixture_text(9 + row, 5) for row in range(B)]), program.initial_state(B)
    )[1]


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
    rows_BTV = (
        count_rows(both.counts.counts.tree, found.nodes_KN).reshape(T, B, COUNT_MIXTURE_V).swapaxes(0, 1)
    )
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
