"""Counted n-grams: modified Kneser-Ney by its definition, however a text is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.kernels.reference.tables import count_rows
from pantoum.network.mixers.counts import Counts, counted

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
