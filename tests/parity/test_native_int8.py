"""Codes, scales and products of them: the same bits in NumPy and on every path of the core."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import CoreError
from pantoum.kernels import native, reference

SIZES = [
    (1, 1, 1, 1),
    (3, 7, 33, 3),
    (100, 33, 99, 3),
    (61, 512, 96, 1),
    (7, 2100, 70, 2),
    (2, 513, 512, 1),
    (15, 300, 396, 4),
    (2, 17000, 34, 1),
]


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def hostile(*shape: int) -> Any:
    """Rows of zeros, of nearly nothing, of infinities and of what is no number among plain ones."""
    x = normal(*shape)
    rows = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 2.0**-100, 2.0**-101, 3e38, -3.4e38]
    for row, value in zip(range(len(x)), rows, strict=False):
        x[row, row % x.shape[1]] = value
        if abs(value) < 1e-20:
            x[row] = value
    return x


def same(a: Any, b: Any) -> bool:
    return bool(a.dtype == b.dtype and a.tobytes() == b.tobytes())


@pytest.mark.parametrize(("N", "K", "G", "gates"), SIZES)
def test_codes_and_products_are_those_of_numpy(
    path: str, library: native.Library, N: int, K: int, G: int, gates: int
) -> None:
    weight_GK, x_NK, bias_G = normal(G, K), normal(N, K), normal(G)
    codes = reference.quantize(weight_GK)
    expected = reference.linear(x_NK, reference.pack(weight_GK, "int8"), bias_G)
    for threads in (1, 2, 3):
        library.set_threads(threads)
        assert all(map(same, native.quantize(weight_GK), codes))
        for packed in (native.pack(weight_GK, "int8", gates), native.pack_codes(*codes, gates)):
            assert same(native.linear(x_NK, packed, bias_G), expected)
            assert same(packed.product(x_NK), reference.pack_codes(*codes).product(x_NK))
    near = np.abs(weight_GK).max() * np.abs(x_NK).max() / 127 * K**0.5
    assert np.abs(expected - bias_G - x_NK @ weight_GK.T).max() <= near


def test_hostile_rows_are_the_same_everywhere(path: str) -> None:
    weight_GK, x_NK = hostile(40, 37), hostile(11, 37)
    codes_GK, scales_G = native.quantize(weight_GK)
    assert all(map(same, (codes_GK, scales_G), reference.quantize(weight_GK)))
    assert scales_G[[0, 1, 5, 7]].tolist() == [0, 0, 0, 0] and np.isnan(scales_G[2:5]).all()
    assert scales_G[6] > 0 and (codes_GK[6] == 127).all() and (codes_GK[:6:5] == 0).all()
    for packed in (native.pack(weight_GK, "int8"), native.pack_codes(codes_GK, scales_G)):
        y_NG = packed.product(x_NK)
        np.testing.assert_array_equal(y_NG, reference.pack(weight_GK, "int8").product(x_NK))
        assert np.isnan(y_NG[2:5]).all() and np.isnan(y_NG[:, 2:5]).all()
        assert np.isfinite(y_NG[5, 11:]).all() and (y_NG[0, 11:] == 0).all()


@pytest.mark.usefixtures("core")
@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 70), st.integers(1, 40), st.integers(1, 4), st.integers(0, 999))
def test_exact_sums_know_neither_rows_nor_blocks(N: int, K: int, H: int, gates: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    codes_GK = random.integers(-127, 128, (gates * H, K)).astype(np.int8)
    x_NK = random.integers(-127, 128, (N, K)).astype(np.float32)
    x_NK[:, 0] = 127  # then the codes are the numbers themselves
    packed = native.pack_codes(codes_GK, np.ones(gates * H, np.float32), gates)
    exact_NG = x_NK.astype(np.int64) @ codes_GK.T.astype(np.int64)
    np.testing.assert_array_equal(packed.product(x_NK), exact_NG.astype(np.float32))


def test_the_longest_row_does_not_overflow(path: str) -> None:
    K = 1 << 17
    codes_GK = np.full((2, K), 127, np.int8)
    codes_GK[1] = -127
    x_NK = np.full((1, K), 127, np.float32)
    exact = np.float32([127 * 127 * K, -127 * 127 * K])
    for kernels in (native, reference):
        packed = kernels.pack_codes(codes_GK, np.ones(2, np.float32))
        assert same(packed.product(x_NK)[0], exact)
    with pytest.raises(CoreError, match="at most 131072 inputs"):
        native.pack_codes(np.zeros((1, K + 1), np.int8), np.ones(1, np.float32))


def test_what_codes_cannot_do_is_refused(library: native.Library) -> None:
    scales_G = np.ones(2, np.float32)
    for kernels in (native, reference):
        with pytest.raises(CoreError, match="int8 has no gradients"):
            kernels.pack(normal(2, 3), "int8").product_transposed(normal(1, 2))
        with pytest.raises(CoreError, match="codes_GK has -128"):
            kernels.pack_codes(np.full((2, 3), -128, np.int8), scales_G)
    with pytest.raises(CoreError, match="weight is"):
        native.quantize(normal(2, 3).astype(np.float64))


def test_rows_without_columns_are_quantised_in_a_thread_that_did_nothing_before(
    library: native.Library,
) -> None:
    with ThreadPoolExecutor(1) as thread:
        codes_GK, scales_G = thread.submit(native.quantize, np.empty((3, 0), np.float32)).result()
    assert codes_GK.shape == (3, 0) and scales_G.tolist() == [0.0, 0.0, 0.0]


CODE = """
import numpy as np, zlib
from pantoum.kernels import native
random = np.random.default_rng(3)
x_NK, weight_GK = (random.standard_normal(shape).astype(np.float32) for shape in ((23, 201), (70, 201)))
print(zlib.crc32(native.pack(weight_GK, "int8").product(x_NK).tobytes()))
"""


def test_without_vnni_the_bits_are_the_same(library: native.Library) -> None:
    found = set()
    for isa in library.paths():
        for vnni in ("0", "1"):
            environment = {**os.environ, "PANTOUM_VNNI": vnni, "PANTOUM_ISA": isa}
            command = [sys.executable, "-c", CODE]
            found.add(subprocess.check_output(command, timeout=300, env=environment))
    assert len(found) == 1
