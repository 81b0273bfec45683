"""Products over packed matrices and their gradients against NumPy."""

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

from pantoum.errors import CoreError, SettingError
from pantoum.kernels import native, precisions, reference
from pantoum.kernels.types import Workspace

SIZES = [(1, 1, 1), (3, 7, 33), (100, 33, 99), (61, 512, 96), (7, 2100, 70), (1, 513, 512)]


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def rounded(x: Any) -> Any:
    """To bf16, nearest even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize(("N", "K", "G"), SIZES)
def test_products_are_those_of_numpy(path: str, library: native.Library, N: int, K: int, G: int) -> None:
    weight_GK, x_NK, d_NG, bias_G = normal(G, K), normal(N, K), normal(N, G), normal(G)
    for precision in ("float32", "bf16") if library.has_bf16 else ("float32",):
        given_arrays = (weight_GK, x_NK, d_NG)
        w, x, d = map(rounded, given_arrays) if precision == "bf16" else given_arrays
        packed = native.pack(weight_GK, precision)
        near = {"rtol": 1e-4, "atol": 1e-5 * max(N, K, G)}
        np.testing.assert_allclose(packed.product(x_NK), x @ w.T, **near)
        np.testing.assert_allclose(native.linear(x_NK, packed, bias_G), x @ w.T + bias_G, **near)
        np.testing.assert_allclose(packed.product_transposed(d_NG), d @ w, **near)
        d_weight_GK = native.linear_weight_gradient(d_NG, x_NK, None, precision)
        np.testing.assert_allclose(d_weight_GK, d.T @ x, **near)


def test_sums_of_thousands_of_rows_go_on_from_block_to_block(path: str) -> None:
    d_NG, x_NK = normal(1100, 20), normal(1100, 17)
    exact = d_NG.T.astype(np.float64) @ x_NK
    np.testing.assert_allclose(native.linear_weight_gradient(d_NG, x_NK), exact, atol=1e-3)
    np.testing.assert_allclose(native.bias_gradient(d_NG), d_NG.sum(axis=0), atol=1e-3)


@pytest.mark.usefixtures("core")
@settings(max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70), st.integers(1, 4))
def test_a_row_of_a_product_knows_neither_others_nor_blocks(N: int, K: int, H: int, gates: int) -> None:
    weight_GK, x_NK = normal(gates * H, K), normal(N, K)
    whole = native.pack(weight_GK).product(x_NK)
    assert np.array_equal(native.pack(weight_GK, gates=gates).product(x_NK[-1:].copy()), whole[-1:])


@pytest.mark.usefixtures("core")
@settings(max_examples=25)
@given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 70), st.integers(1, 3))
def test_a_row_of_bf16_knows_neither_others_nor_threads(N: int, K: int, H: int, gates: int) -> None:
    weight_GK, x_NK, d_NG = normal(gates * H, K), normal(N, K), normal(N, gates * H)
    loaded = native.core()
    before = loaded.isa, loaded.threads
    try:
        for path in {"bf16", "amx"} & set(loaded.paths()):
            loaded.set_isa(path)
            packed = native.pack(weight_GK, "bf16", gates)
            found = []
            for threads in (1, 2, 3):
                loaded.set_threads(threads)
                whole, back = packed.product(x_NK), packed.product_transposed(d_NG)
                assert np.array_equal(packed.product(x_NK[-1:].copy()), whole[-1:])
                assert np.array_equal(packed.product_transposed(d_NG[:1].copy()), back[:1])
                gradient_GK = native.linear_weight_gradient(d_NG, x_NK, None, "bf16")
                found.append([array.tobytes() for array in (whole, back, gradient_GK)])
            assert found[0] == found[1] == found[2]
    finally:
        loaded.set_isa(before[0])
        loaded.set_threads(before[1])


@pytest.mark.parametrize("K", [1, 31, 33, 63, 65])
def test_what_memory_held_before_does_not_come_into_products_of_bf16(bf16_path: str, K: int) -> None:
    spoilt = np.full((64, 200), np.nan, np.float32)
    weight_GK, x_NK, d_NG = normal(40, K), normal(9, K), normal(9, 40)
    packed = native.pack(weight_GK, "bf16")
    for work in (
        lambda: packed.product(x_NK),
        lambda: packed.product_transposed(d_NG),
        lambda: native.linear_weight_gradient(d_NG, x_NK, None, "bf16"),
        lambda: native.linear_weight_gradient(x_NK, d_NG, None, "bf16"),
    ):
        expected = work()
        native.pack(spoilt, "bf16").product(spoilt)  # the core's own memory is full of them now
        native.linear_weight_gradient(spoilt, spoilt, None, "bf16")
        assert np.isfinite(expected).all() and np.array_equal(work(), expected)


@pytest.mark.usefixtures("core")
@settings(max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 3), st.data())
def test_a_matrix_that_follows_another_is_the_one_that_is_packed_at_once(
    K: int, H: int, gates: int, data: Any
) -> None:
    G, draw = gates * H, np.random.default_rng(K)
    weight_GK, x_NK, place = normal(G, K), normal(9, K), Workspace()
    precision = data.draw(st.sampled_from(precisions()))
    for _ in range(4):
        changed_U = np.flatnonzero(draw.random(G) < 0.3) if data.draw(st.booleans()) else None
        weight_GK[slice(None) if changed_U is None else changed_U] += 1
        packed = native.pack(weight_GK, precision, gates, place, changed_U=changed_U)
        if data.draw(st.booleans()):  # one that was never multiplied by is followed, too
            found = packed.product(x_NK)
            np.testing.assert_array_equal(found, native.pack(weight_GK, precision, gates).product(x_NK))
            d_NG = normal(9, G)
            expected = native.pack(weight_GK, precision, gates).product_transposed(d_NG)
            np.testing.assert_array_equal(packed.product_transposed(d_NG), expected)


def test_matrices_that_take_turns_in_one_place_multiply_as_with_memory_of_their_own(path: str) -> None:
    place, weights = Workspace(), [normal(96, 64), normal(30, 7), normal(64, 96)]
    for change in (0.0, 1.0):
        for weight in weights:
            weight += change
        own = [native.pack(weight) for weight in weights]
        shared = [native.pack(weight, place=place) for weight in weights]
        for turn in (0, 1, 1, 2, 0):
            G, K = weights[turn].shape
            x_NK, d_NG = normal(5, K), normal(5, G)
            assert np.array_equal(shared[turn].product(x_NK), own[turn].product(x_NK))
            assert np.array_equal(shared[turn].product_transposed(d_NG), own[turn].product_transposed(d_NG))
            assert np.array_equal(shared[turn].product(x_NK), own[turn].product(x_NK))
    assert place.nbytes < 3 * 96 * 64 * 4


def test_a_matrix_for_reading_does_not_need_its_weight(path: str) -> None:
    weight_GK, x_NK = normal(20, 9), normal(3, 9)
    expected = native.pack(weight_GK).product(x_NK)
    for kernels in (native, reference):
        matrix = kernels.pack(weight_GK, packs="for reading")
        weight_GK += 1
        np.testing.assert_allclose(matrix.product(x_NK), expected, rtol=1e-4, atol=1e-4)
        weight_GK -= 1
    matrix = native.pack(weight_GK, packs="for reading")
    with pytest.raises(CoreError, match="packed for reading alone"):
        matrix.product_transposed(normal(3, 20))


def test_no_rows_give_no_rows(library: native.Library) -> None:
    assert native.pack(normal(3, 4)).product(np.empty((0, 4), np.float32)).shape == (0, 3)
    assert native.linear_weight_gradient(normal(0, 3), normal(0, 4)).tolist() == np.zeros((3, 4)).tolist()


def test_a_wrong_array_is_refused_before_the_core_sees_it(library: native.Library) -> None:
    packed = native.pack(normal(3, 4))
    for wrong in (normal(2, 5), normal(2, 4).astype(np.float64), normal(4, 2).T, normal(2, 8)[:, ::2]):
        with pytest.raises(CoreError, match=r"x is .*ascontiguousarray"):
            packed.product(wrong)
    with pytest.raises(CoreError, match="y is"):
        packed.product(normal(2, 4), out=np.empty((2, 4), np.float32))
    frozen = np.empty((2, 3), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(CoreError, match="not writable"):
        packed.product(normal(2, 4), out=frozen)


def test_a_precision_that_is_not_there_is_refused(library: native.Library) -> None:
    library.set_isa("generic")
    with pytest.raises(SettingError, match="precision is 'bf16': it is not what the path generic"):
        native.pack(normal(2, 2), "bf16")
    with pytest.raises(SettingError, match="must be one of float32, bf16, int8"):
        native.pack(normal(2, 2), "int4")
    with pytest.raises(SettingError):
        reference.pack(normal(2, 2), "bf16")


INT8_SIZES = [
    (1, 1, 1, 1),
    (3, 7, 33, 3),
    (100, 33, 99, 3),
    (61, 512, 96, 1),
    (7, 2100, 70, 2),
    (2, 513, 512, 1),
    (15, 300, 396, 4),
    (2, 17000, 34, 1),
]


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


@pytest.mark.parametrize(("N", "K", "G", "gates"), INT8_SIZES)
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
