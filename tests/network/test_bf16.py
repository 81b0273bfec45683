"""Numbers of bf16: the nearest one, ties to even, and two bytes that bring it back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pantoum.network.gradient import BLOCK, Gradient, from_two_bytes, round_to_bf16, two_bytes

bits = arrays(np.uint32, st.integers(1, 40), elements=st.integers(0, 2**32 - 1))


def nearest(value):
    """Of the two bf16 numbers around a float32 number the nearer one; of two the one whose last bit is 0."""
    below = int(value.view(np.uint32)) >> 16  # towards zero
    around = np.array([below << 16, (below + 1) << 16], np.uint32).view(np.float32).astype(np.float64)
    if np.isinf(around[1]):
        around[1] = np.copysign(2.0**128, value)  # where the next number would be
    off = np.abs(around - np.float64(value))
    chosen = int(off[1] < off[0] or (off[1] == off[0] and below % 2))
    return np.array((below + chosen) << 16, np.uint32).view(np.float32)


@given(bits)
def test_each_number_becomes_the_nearest_one(bits_N):
    values_N = bits_N.view(np.float32)
    rounded_N = values_N.copy()
    round_to_bf16(rounded_N)
    finite = np.isfinite(values_N)
    for value, rounded in zip(values_N[finite], rounded_N[finite], strict=True):
        assert rounded == nearest(value), value
    np.testing.assert_array_equal(rounded_N[~finite], values_N[~finite])
    again_N = rounded_N.copy()
    round_to_bf16(again_N)
    np.testing.assert_array_equal(again_N, rounded_N)


@given(bits)
def test_two_bytes_bring_the_number_back(bits_N):
    values_N = bits_N.view(np.float32).copy()
    round_to_bf16(values_N)
    halves_N, back_N = np.empty(len(values_N), np.uint16), np.empty_like(values_N)
    two_bytes(values_N, halves_N)
    from_two_bytes(halves_N, back_N)
    np.testing.assert_array_equal(back_N, values_N)


def test_an_array_of_several_blocks_is_rounded_as_a_whole():
    values = np.random.default_rng(1).standard_normal((3, BLOCK - 5)).astype(np.float32)
    values[2, 7] = np.inf
    found = values.copy()
    round_to_bf16(found)
    parts = [row.copy() for row in values]
    for part in parts:
        round_to_bf16(part)
    np.testing.assert_array_equal(found, parts)
    assert not (found.view(np.uint32) & 0xFFFF).any()
    np.testing.assert_allclose(found, values, rtol=2**-8)


def test_sums_of_rounded_gradients_are_rounded():
    draw = np.random.default_rng(2)
    whole = [Gradient(draw.standard_normal((9, 2)).astype("f")).rounded() for _ in range(2)]
    some = [
        Gradient(draw.standard_normal((2, 2)).astype("f"), np.array(rows)).rounded()
        for rows in ([0, 4], [4, 7])
    ]
    for left, right in (whole, some, (whole[0], some[0]), (some[0], whole[0])):
        exact = left.whole((9, 2)) + right.whole((9, 2))
        round_to_bf16(exact)
        total = left.plus(right)
        np.testing.assert_array_equal(total.whole((9, 2)), exact)
        assert total.bf16
