"""Dropout by counter: right on average, the same wherever it is drawn, and written down bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.kernels import DropoutDraw, reference
from pantoum.kernels.reference.dropout import dropout_threshold, mix

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
