"""The draw of the next token: its filters, its random numbers, and what never changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import SamplingConfig
from pantoum.errors import PantoumError
from pantoum.inference.sample import Draws, log_probabilities, philox, sample, uniform

LOGITS_BV = np.log(np.array([[0.5, 0.25, 0.15, 0.1]], np.float32))
GRID = (np.arange(1000) + 0.5) / 1000


def drawn(config: SamplingConfig, logits_BV: np.ndarray = LOGITS_BV, **options: object) -> list[float]:
    """How often each token is drawn over an even grid of uniform numbers."""
    rows = np.repeat(logits_BV, len(GRID), axis=0)
    tokens = sample(rows, config, GRID, **options)  # type: ignore[arg-type]
    return (np.bincount(tokens, minlength=logits_BV.shape[1]) / len(GRID)).tolist()


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_answers(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    words = philox([np.array([c], np.uint64) for c in counter], key)
    assert tuple(int(w[0]) for w in words) == expected


def test_uniform_numbers_are_even_and_in_the_unit_interval() -> None:
    numbers = uniform(7, np.zeros(1, np.uint64), np.arange(20_000, dtype=np.uint64))
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    assert abs(numbers.mean() - 0.5) < 0.01
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert counts.min() > 1_800 and counts.max() < 2_200


@given(seed=st.integers(0, 2**63 - 1), position=st.integers(0, 2**62), stream=st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_draws_are_a_function_of_seed_stream_and_position(seed: int, position: int, stream: int) -> None:
    streams = np.array([stream, 3], np.uint64)
    draws = Draws(seed)
    draws.at(streams, position + 100)  # what was asked before does not matter
    expected = uniform(seed, streams, np.array([position], np.uint64))
    np.testing.assert_array_equal(draws.at(streams, position), expected)
    np.testing.assert_array_equal(draws.at(streams[:1], position), expected[:1])


def test_plain_draw_follows_the_probabilities() -> None:
    np.testing.assert_allclose(drawn(SamplingConfig(temperature=1.0)), [0.5, 0.25, 0.15, 0.1], atol=2e-3)


def test_temperature_sharpens_and_zero_is_greedy() -> None:
    assert drawn(SamplingConfig(temperature=0.5))[0] > 0.7
    assert drawn(SamplingConfig(temperature=0.0)) == [1.0, 0, 0, 0]
    assert drawn(SamplingConfig(greedy=True)) == [1.0, 0, 0, 0]


def test_the_smallest_temperature_is_greedy_without_a_warning() -> None:
    assert drawn(SamplingConfig(temperature=5e-324)) == [1.0, 0, 0, 0]


def test_greedy_takes_the_smaller_token_of_equals() -> None:
    assert sample(np.zeros((1, 5), np.float32), SamplingConfig(greedy=True), np.zeros(1)).tolist() == [0]


def test_top_k_keeps_k_and_breaks_ties_by_the_smaller_token() -> None:
    np.testing.assert_allclose(
        drawn(SamplingConfig(temperature=1.0, top_k=2)), [2 / 3, 1 / 3, 0, 0], atol=2e-3
    )
    np.testing.assert_allclose(
        drawn(SamplingConfig(temperature=1.0, top_k=2), np.zeros((1, 4), np.float32)),
        [0.5, 0.5, 0, 0],
        atol=2e-3,
    )


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.6, 2), (0.8, 3), (1.0, 4), (1e-9, 1)])
def test_top_p_keeps_the_smallest_set_that_holds_it(top_p: float, kept: int) -> None:
    assert sum(share > 0 for share in drawn(SamplingConfig(temperature=1.0, top_p=top_p))) == kept


@pytest.mark.parametrize(("min_p", "kept"), [(0.0, 4), (0.25, 3), (0.45, 2), (1.0, 1)])
def test_min_p_drops_what_is_far_below_the_best(min_p: float, kept: int) -> None:
    assert sum(share > 0 for share in drawn(SamplingConfig(temperature=1.0, min_p=min_p))) == kept


def test_repetition_penalty_lowers_recent_tokens_of_either_sign_in_their_own_row() -> None:
    logits = np.array([[2.0, 1.5, -1.0], [2.0, 1.5, -1.0]], np.float32)
    config = SamplingConfig(greedy=True, repetition_penalty=2.0)
    assert sample(logits, config, np.zeros(2), recent=[[0, 2], []]).tolist() == [1, 0]
    drawn_now = drawn(
        SamplingConfig(temperature=1.0, repetition_penalty=10.0), logits[:1], recent=[[2]] * len(GRID)
    )
    assert drawn_now[2] < drawn(SamplingConfig(temperature=1.0), logits[:1])[2]


def test_the_penalty_forgets_what_is_long_ago() -> None:
    logits = np.array([[2.0, 1.5]], np.float32)
    config = SamplingConfig(greedy=True, repetition_penalty=2.0)
    assert sample(logits, config, np.zeros(1), recent=[[0] + [1] * 64]).tolist() == [0]


def test_banned_tokens_are_never_drawn() -> None:
    assert drawn(SamplingConfig(temperature=1.0), banned=[0, 3])[0::3] == [0.0, 0.0]
    assert sample(LOGITS_BV, SamplingConfig(greedy=True), np.zeros(1), banned=[0]).tolist() == [1]


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(PantoumError, match="not finite"):
        sample(np.array([[np.nan, 1.0]], np.float32), SamplingConfig(), np.zeros(1))


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=40),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 50),
    st.floats(0.01, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.05, 5.0),
)
@settings(max_examples=100, deadline=None)
def test_any_filters_leave_a_token_that_has_probability(
    logits: list[float], u: float, top_k: int, top_p: float, min_p: float, temperature: float
) -> None:
    row = np.array([logits], np.float32)
    token = int(sample(row, SamplingConfig(temperature, top_k, top_p, min_p), np.array([u]))[0])
    assert 0 <= token < len(logits)
    assert (row[0] > row[0, token]).sum() < top_k


def test_log_probabilities_are_the_models_own() -> None:
    np.testing.assert_allclose(
        log_probabilities(np.repeat(LOGITS_BV, 4, 0), np.arange(4)), np.log([0.5, 0.25, 0.15, 0.1]), rtol=1e-6
    )
