"""A mixture of two predictors: never far behind the better one, the same however a text is cut."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.inference.adapt_rule import HOME, SHARE, Mixture

PLACE = 16


def read(mixture: Mixture, first_T: np.ndarray, second_T: np.ndarray, cuts: list[int]) -> np.ndarray:
    """The nats of a text, shared at every ``PLACE`` tokens, in calls that also end at the cuts."""
    ends = sorted({0, len(first_T), *cuts, *range(0, len(first_T), PLACE)})
    found = []
    for start, end in pairwise(ends):
        found.append(mixture.nats(first_T[start:end], second_T[start:end])[0])
        if end % PLACE == 0:
            mixture.share()
    return np.concatenate(found)


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nats of two predictors, of which now one and now the other is much the better."""
    draw = np.random.default_rng(seed)
    parts = draw.exponential(2.0, (2, count)).astype(np.float32)
    parts[draw.integers(2), : draw.integers(1, count)] *= 3
    return parts[0], parts[1]


HOMES = st.sampled_from([0.0, 0.5, 0.7, 1.0])


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 200), home=HOMES)
def test_it_loses_little_to_the_best_constant_weight(seed: int, count: int, home: float) -> None:
    first_T, second_T = drawn(seed, count)
    mixture = Mixture(home)
    with np.errstate(divide="ignore"):
        constant_K = [
            -np.logaddexp(np.log(1 - v) - first_T, np.log(v) - second_T).sum() for v in mixture.values_K
        ]
    nats_T = read(mixture, first_T, second_T, [])
    found, shares = nats_T.sum(dtype=np.float64), -(count // PLACE) * math.log(1 - SHARE)
    assert found <= (np.array(constant_K) - np.log(mixture.prior_K)).min() + shares + 1e-3
    at_home = constant_K[mixture.values_K.tolist().index(home)]
    assert found <= at_home - math.log(HOME) - (count // PLACE) * math.log(1 - SHARE * (1 - HOME)) + 1e-3


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(1, 99), max_size=8), home=HOMES)
def test_the_calls_change_no_bit(seed: int, cuts: list[int], home: float) -> None:
    first_T, second_T = drawn(seed, 100)
    whole, parted = Mixture(home), Mixture(home)
    assert np.array_equal(read(whole, first_T, second_T, []), read(parted, first_T, second_T, cuts))
    assert whole.weight == parted.weight


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_probabilities_of_all_tokens_sum_to_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    p_2V = draw.dirichlet(np.full(7, 0.3), 2) + 1e-12
    p_2V /= p_2V.sum(axis=1, keepdims=True)
    begun = drawn(seed, 30)
    total = 0.0
    for first, second in -np.log(p_2V.T):
        mixture = Mixture(0.7)
        read(mixture, *begun, [])
        total += math.exp(-float(mixture.nats(np.array([first]), np.array([second]))[0][0]))
    assert abs(total - 1.0) < 1e-5


def test_the_weight_follows_the_better_one_and_comes_back() -> None:
    good_T, bad_T = np.full(160, 1.0, np.float32), np.full(160, 1.5, np.float32)
    mixture = Mixture(0.0)
    assert mixture.weight == 0.625
    read(mixture, bad_T, good_T, [])
    assert mixture.weight > 0.97
    nats_T = read(mixture, good_T, bad_T, [])
    assert mixture.weight < 0.05 and nats_T[-1] < 1.01 < 1.4 < nats_T[0]
