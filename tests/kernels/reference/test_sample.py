"""The draw of the next token, its filters and random numbers; the masks of dropout; what never changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import PantoumError
from pantoum.kernels import DropoutDraw, reference
from pantoum.kernels.reference import sample as sampling
from pantoum.kernels.reference.dropout import dropout_threshold, mix
from pantoum.kernels.reference.sample import philox, sampler, uniform
from pantoum.kernels.types import DrawRows

LOGITS_V = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float32))
DRAWS = 1000
GRID = (np.arange(DRAWS) + 0.5) / DRAWS


def drawn(
    logits_V: np.ndarray = LOGITS_V,
    *,
    recent: tuple[int, ...] = (),
    banned: tuple[int, ...] = (),
    **values: Any,
) -> list[float]:
    """How often each token is drawn over an even grid of uniform numbers."""
    rows = DrawRows(DRAWS)
    for row in range(DRAWS):
        rows.set(row, **values)
    if rows.recent_RW is not None:
        rows.recent_RW[:, : len(recent)] = recent
    logits_BV = np.repeat(np.asarray(logits_V, np.float32)[None], DRAWS, axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "uniform", lambda *_: GRID)
        sampler(rows, np.array(banned, np.int32), logits_BV)(0, DRAWS)
    return (np.bincount(rows.tokens, minlength=len(logits_V)) / DRAWS).tolist()


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
    words = philox([np.array([c], np.uint64) for c in counter], [np.array([k], np.uint64) for k in key])
    assert tuple(int(w[0]) for w in words) == expected


def test_uniform_numbers_are_even_and_in_the_unit_interval() -> None:
    count = 20_000
    same = np.full(count, 7, np.uint64)
    numbers = uniform(same, np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64))
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    assert abs(numbers.mean() - 0.5) < 0.01
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert counts.min() > 1_800 and counts.max() < 2_200


def test_plain_draw_follows_the_probabilities() -> None:
    np.testing.assert_allclose(drawn(), [0.5, 0.25, 0.15, 0.1], atol=2e-3)


def test_temperature_sharpens_and_zero_is_greedy() -> None:
    assert drawn(temperature=0.5)[0] > 0.7
    assert drawn(temperature=0.0) == [1.0, 0, 0, 0]


def test_the_smallest_temperature_is_greedy_without_a_warning() -> None:
    assert drawn(temperature=5e-324) == [1.0, 0, 0, 0]


def test_greedy_takes_the_smaller_token_of_equals() -> None:
    assert drawn(np.zeros(5), temperature=0.0)[0] == 1.0


def test_top_k_keeps_k_and_breaks_ties_by_the_smaller_token() -> None:
    np.testing.assert_allclose(drawn(top_k=2), [2 / 3, 1 / 3, 0, 0], atol=2e-3)
    np.testing.assert_allclose(drawn(np.zeros(4), top_k=2), [0.5, 0.5, 0, 0], atol=2e-3)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.6, 2), (0.8, 3), (1.0, 4), (1e-9, 1)])
def test_top_p_keeps_the_smallest_set_that_holds_it(top_p: float, kept: int) -> None:
    assert sum(share > 0 for share in drawn(top_p=top_p)) == kept


@pytest.mark.parametrize(("min_p", "kept"), [(0.0, 4), (0.25, 3), (0.45, 2), (1.0, 1)])
def test_min_p_drops_what_is_far_below_the_best(min_p: float, kept: int) -> None:
    assert sum(share > 0 for share in drawn(min_p=min_p)) == kept


def test_the_penalty_lowers_recent_tokens_of_either_sign() -> None:
    logits = np.array([2.0, 1.5, -1.0])
    assert drawn(logits, recent=(0, 2, 0), penalty=2.0, temperature=0.0) == [0, 1.0, 0]
    assert drawn(logits, recent=(2,), penalty=10.0)[2] < drawn(logits)[2]


def test_each_rows_settings_are_its_own_and_the_window_forgets() -> None:
    rows = DrawRows(3)
    rows.set(0, temperature=0.0)
    rows.set(1, temperature=0.0, penalty=2.0)
    rows.set(2, temperature=1.0, top_k=1)
    logits_BV = np.repeat(np.array([[2.0, 1.5, 1.2]], np.float32), 3, axis=0)
    draw = sampler(rows, np.zeros(0, np.int32), logits_BV)
    tokens = []
    for _ in range(4):
        draw(0, 3)
        tokens.append(rows.tokens.tolist())
    assert tokens == [[0, 0, 0], [0, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert rows.written.tolist() == rows.position.tolist() == [4, 4, 4]
    assert rows.recent_RW is not None and rows.recent_RW[1, :5].tolist() == [0, 1, 2, 0, -1]


def test_banned_tokens_are_never_drawn() -> None:
    assert drawn(banned=(0, 3))[0::3] == [0.0, 0.0]
    assert drawn(banned=(0,), temperature=0.0)[1] == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(PantoumError, match="not finite"):
        drawn(np.array([bad, 1.0]))


def test_log_probabilities_are_the_models_own_and_add_up() -> None:
    rows = DrawRows(2)
    rows.set(0, temperature=0.1, top_k=1)
    rows.set(1, temperature=0.0)
    logits_BV = np.repeat(LOGITS_V[None], 2, axis=0)
    draw = sampler(rows, np.zeros(0, np.int32), logits_BV)
    draw(0, 2)
    draw(0, 2)
    np.testing.assert_allclose(rows.log_probability, np.log(0.5), rtol=1e-6)
    np.testing.assert_allclose(rows.nats, -2 * np.log(0.5), rtol=1e-6)


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=40),
    st.integers(0, 2**63),
    st.integers(1, 50),
    st.floats(0.01, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.05, 5.0),
)
@settings(max_examples=60)
def test_any_filters_leave_a_token_that_has_probability(
    logits: list[float], seed: int, top_k: int, top_p: float, min_p: float, temperature: float
) -> None:
    row = np.array([logits], np.float32)
    rows = DrawRows(1)
    rows.set(0, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, seed=seed)
    sampler(rows, np.zeros(0, np.int32), row)(0, 1)
    token = int(rows.tokens[0])
    assert 0 <= token < len(logits)
    # Logits so near that their probabilities are the same number are no order.
    assert (row[0] > row[0, token] + temperature * 1e-6).sum() < top_k


def test_rows_grow_move_and_begin_anew() -> None:
    rows = DrawRows(2)
    rows.set(0, seed=5, penalty=2.0)
    rows.resize(4)
    assert len(rows) == 4 and rows.seed.tolist() == [5, 0, 0, 0] and rows.penalty.tolist() == [2, 1, 1, 1]
    assert rows.recent_RW is not None and rows.recent_RW.shape == (4, 64)
    rows.recent_RW[0, 0] = 3
    rows.move(0, 3)
    rows.set(0)
    assert (rows.seed[3], rows.recent_RW[3, 0]) == (5, 3) and (rows.seed[0], rows.recent_RW[0, 0]) == (0, -1)
    rows.resize(1)
    assert len(rows) == 1 and rows.recent_RW.shape == (1, 64)


MASK = 0xFFFFFFFF
FROZEN = ["1001001100110010", "1000010100011101", "0010100010001011"]


def plain_mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    return x ^ x >> 16


def plain_kept(rate: float, seed: int, step: int, layer: int, stream: int, position: int, unit: int) -> bool:
    """The page's equations in Python's own integers."""
    key = 0x70616E74
    for word in (seed & MASK, seed >> 32, step, layer):
        key = plain_mix(key ^ word)
    row = plain_mix(plain_mix(key ^ stream) ^ position)
    word = plain_mix(row + (unit // 2) * 0x9E3779B9 & MASK)
    return (word >> 16 * (unit % 2)) & 0xFFFF >= round(rate * 65536)


@given(
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 2**32 - 1),
    layer=st.integers(0, 300),
    streams=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=3),
    rate=st.floats(0.01, 0.99),
    variational=st.booleans(),
)
def test_every_bit_is_as_written(
    seed: int, step: int, layer: int, streams: list[int], rate: float, variational: bool
) -> None:
    ones = np.ones((2, len(streams), 5), np.float32)
    dropped = reference.dropout(ones, rate, layer, DropoutDraw(seed, step, np.array(streams), variational))
    scale = np.float32(65536 / (65536 - dropout_threshold(rate)))
    for (t, b, unit), value in np.ndenumerate(dropped):
        kept = plain_kept(rate, seed, step, layer, streams[b], 0 if variational else t, unit)
        assert value == (scale if kept else 0)


def test_three_masks_that_must_never_change() -> None:
    """A checkpoint of a run with dropout goes on only if the masks do."""
    masks = [
        reference.dropout(np.ones((1, 1, 16)), 0.5, layer, DropoutDraw(seed, step, np.array([3])))[0, 0] > 0
        for seed, step, layer in ((0, 0, 0), (1, 2, 3), (2**40, 7, 1))
    ]
    assert ["".join("01"[int(kept)] for kept in mask) for mask in masks] == FROZEN


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("variational", [False, True])
def test_the_share_and_the_mean_are_right(rate: float, variational: bool) -> None:
    ones = np.ones((1 if variational else 50, 2000 if variational else 40, 200))
    dropped = reference.dropout(ones, rate, 3, DropoutDraw(1, 2, np.arange(ones.shape[1]), variational))
    sigma = np.sqrt(rate * (1 - rate) / ones.size)
    assert abs((dropped == 0).mean() - rate) < 4 * sigma + 1e-5
    assert abs(dropped.mean() - 1) < 4 * sigma / (1 - rate)
    assert dropped.var() == pytest.approx(rate / (1 - rate), rel=0.02)


def test_neighbours_do_not_know_of_one_another() -> None:
    """Units, positions, streams, steps and layers side by side: correlations as of independent draws."""

    def draw(step: int, layer: int) -> np.ndarray:
        return reference.dropout(np.ones((64, 64, 64)), 0.5, layer, DropoutDraw(0, step, np.arange(64))) - 1

    mask = draw(0, 0)
    pairs = [
        (mask[1:], mask[:-1]),
        (mask[:, 1:], mask[:, :-1]),
        (mask[:, :, 1:], mask[:, :, :-1]),
        (mask[:, :, 2:], mask[:, :, :-2]),
        (mask, draw(1, 0)),
        (mask, draw(0, 1)),
    ]
    for a, b in pairs:
        assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


def test_one_mask_over_time_is_the_variational_kind() -> None:
    dropped = reference.dropout(np.ones((5, 3, 64)), 0.5, 0, DropoutDraw(0, 0, np.arange(3), True))
    assert (dropped == dropped[0]).all()
    assert (dropped[0, 0] != dropped[0, 1]).any()
    independent = reference.dropout(np.ones((5, 3, 64)), 0.5, 0, DropoutDraw(0, 0, np.arange(3)))
    np.testing.assert_array_equal(independent[0], dropped[0])
    assert (independent[1] != independent[0]).any()


@pytest.mark.parametrize("variational", [False, True])
def test_the_scale_of_one_unit_is_the_masks(variational: bool) -> None:
    units = np.random.default_rng(0).integers(0, 33, (4, 3))
    draw = DropoutDraw(9, 8, np.array([5, 0, 2]), variational)
    mask = reference.dropout(np.ones((4, 3, 33)), 0.3, 7, draw)
    scales = reference.dropout_scales(units, 0.3, 7, draw)
    np.testing.assert_array_equal(scales, np.take_along_axis(mask, units[:, :, None], axis=2)[:, :, 0])


def test_it_writes_where_it_is_told_and_its_input_stays() -> None:
    x = np.ones((2, 2, 3), np.float32)
    out = np.empty_like(x)
    assert reference.dropout(x, 0.5, 0, DropoutDraw(0, 0, np.arange(2)), out=out) is out
    assert (x == 1).all()


def test_mix_is_the_published_hash() -> None:
    assert [int(word) for word in mix(np.array([0, 1, 0xDEADBEEF], np.uint32))] == [
        plain_mix(word) for word in (0, 1, 0xDEADBEEF)
    ]
