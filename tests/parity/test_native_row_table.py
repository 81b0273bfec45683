"""Tables of which a batch uses few rows: the core against NumPy, on every path, at odd widths."""

from __future__ import annotations

from inspect import ismethod
from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.errors import CoreError
from pantoum.kernels import RowCodes, native, reference
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.network.stepping import scan_stepper, stepper

SHAPES = [(1, 1, 16, 1), (3, 2, 16, 7), (300, 3, 40, 98), (700, 1, 512, 33)]
"""Tokens, rows for each, rows of the table, columns."""


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rows_of(N: int, each: int, R: int) -> Any:
    return np.random.default_rng(2).integers(0, R, (N, each)).astype(np.int32)


def near(ours: Any, theirs: Any, terms: int = 1) -> None:
    """Equal but for the rounding of sums of so many terms in another order."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * max(1.0, terms / 4))


def moved(kernels: Any, N: int, each: int, R: int, V: int) -> list[Any]:
    """Two updates of the rows in use: table and squares."""
    table_RV, squares_RV = normal(R, V), np.square(normal(R, V, seed=1))
    for seed in (3, 4):
        rows_U, gradient_UV = reference.lookup_sum_gradient(normal(N, V, seed=seed), rows_of(N, each, R))
        kernels.rms_rows(
            table_RV, rows_U, gradient_UV, squares_RV, rate=0.1, keep=0.9, epsilon=1e-8, factor=0.5
        )
    return [table_RV, squares_RV]


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_sums_of_rows_have_numpys_bits(path: str, N: int, each: int, R: int, V: int) -> None:
    table_RV, rows_NO = normal(R, V), rows_of(N, each, R)
    assert np.array_equal(native.lookup_sum(table_RV, rows_NO), reference.lookup_sum(table_RV, rows_NO))


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_sums_of_coded_rows_have_numpys_bits_and_those_of_their_floats(
    path: str, N: int, each: int, R: int, V: int
) -> None:
    table_RV, rows_NO = normal(R, V), rows_of(N, each, R)
    table_RV[::3] = 0
    coded = RowCodes.of(table_RV)
    found = native.lookup_sum(coded, rows_NO)
    assert np.array_equal(found, reference.lookup_sum(coded, rows_NO))
    assert np.array_equal(found, native.lookup_sum(coded.floats(), rows_NO))


def test_scales_of_any_size_and_codes_at_the_ends_have_numpys_bits(path: str) -> None:
    random = np.random.default_rng(6)
    codes_RV = random.choice(np.array([-127, -1, 0, 1, 127], np.int8), (40, 37))
    scales_R = random.standard_normal(40).astype(np.float32) * np.float32(10) ** random.integers(-30, 30, 40)
    table, rows_NO = RowCodes.whole(codes_RV, scales_R.astype(np.float32)), rows_of(50, 3, 40)
    assert np.array_equal(native.lookup_sum(table, rows_NO), reference.lookup_sum(table, rows_NO))


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_sums_into_rows_are_numpys(path: str, N: int, each: int, R: int, V: int) -> None:
    d_NV, rows_NO = normal(N, V), rows_of(N, each, R)
    (rows_U, sums_UV), (expected_U, expected_UV) = (
        kernels.lookup_sum_gradient(d_NV, rows_NO) for kernels in (native, reference)
    )
    assert np.array_equal(rows_U, expected_U) and rows_U.dtype == np.int64
    near(sums_UV, expected_UV, N * each // R)
    exact_RV = np.zeros((R, V))
    np.add.at(exact_RV, rows_NO.reshape(-1), np.repeat(d_NV, each, axis=0))
    np.testing.assert_allclose(sums_UV, exact_RV[rows_U], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("N", "each", "R", "V"), SHAPES)
def test_the_update_is_numpys_and_of_these_rows_alone(path: str, N: int, each: int, R: int, V: int) -> None:
    ours, theirs = moved(native, N, each, R, V), moved(reference, N, each, R, V)
    for one, other in zip(ours, theirs, strict=True):
        near(one, other)
    others_R = np.setdiff1d(np.arange(R), rows_of(N, each, R))
    assert np.array_equal(ours[0][others_R], normal(R, V)[others_R])


def test_paths_and_threads_change_no_bit(library: native.Library) -> None:
    found = set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2, 3):
            library.set_threads(threads)
            arrays = [
                array
                for N, each, R, V in SHAPES
                for array in (
                    *moved(native, N, each, R, V),
                    native.lookup_sum(normal(R, V), rows_of(N, each, R)),
                    native.lookup_sum_gradient(normal(N, V), rows_of(N, each, R))[1],
                )
            ]
            found.add(b"".join(array.tobytes() for array in arrays))
    assert len(found) == 1


@pytest.mark.parametrize("kernels", [native, reference])
def test_no_tokens_use_no_rows(library: native.Library, kernels: Any) -> None:
    table_RV, none_NO = normal(16, 5), np.zeros((0, 2), np.int32)
    assert kernels.lookup_sum(table_RV, none_NO).shape == (0, 5)
    rows_U, sums_UV = kernels.lookup_sum_gradient(np.zeros((0, 5), np.float32), none_NO)
    assert rows_U.shape == (0,) and sums_UV.shape == (0, 5)
    kernels.rms_rows(table_RV, rows_U, sums_UV, np.zeros_like(table_RV), rate=0.1, keep=0.9, epsilon=1e-8)
    assert np.array_equal(table_RV, normal(16, 5))


def test_what_is_not_there_is_refused(library: native.Library) -> None:
    table_RV, rows_NO = normal(16, 5), rows_of(3, 2, 16)
    for wrong in (rows_NO + 16, rows_NO - 16, rows_NO.astype(np.float32), rows_NO[:, :0]):
        with pytest.raises(CoreError, match="rows are"):
            native.lookup_sum(table_RV, wrong)
    with pytest.raises(CoreError, match="rows is"):
        native.lookup_sum(table_RV.T, rows_NO % 5)
    with pytest.raises(CoreError, match="sum_uses: d is"):
        native.lookup_sum_gradient(normal(5, 3).T, rows_NO)

    def update(rows_U: Any, U: int = 2, R: int = 16) -> None:
        native.rms_rows(table_RV, rows_U, normal(U, 5), normal(R, 5), rate=0.1, keep=0.9, epsilon=1e-8)

    for rows_U, message in (
        (np.array([3, 16]), "rows are"),
        (np.array([-1, 3]), "rows are"),
        (np.array([3, 3]), "not ascending"),
        (np.array([4, 3]), "not ascending"),
    ):
        with pytest.raises(CoreError, match=message):
            update(rows_U)
    with pytest.raises(CoreError, match="gradient is"):
        update(np.array([1, 3]), U=3)
    with pytest.raises(CoreError, match="squares is"):
        update(np.array([1, 3]), R=15)


def mixture(V: int, order: int, seed: int = 1) -> CountMixture:
    """Counts of a text in which few words are frequent."""
    draw = np.random.default_rng(seed)
    text = np.minimum(draw.geometric(min(0.5, 8 / V), 6000), V) - 1
    counts = Counts(V, counted(text, V, order))
    return CountMixture(counts, draw.random(counts.buckets).astype(np.float32))


def wild_state(mixture: CountMixture, rows: int, draw: np.random.Generator) -> Any:
    """Tokens of streams, some of which are none, or what can be none."""
    state_RK = draw.integers(0, 9, (rows, mixture.counts.kept)).astype(np.float32)
    odd_RK = draw.choice(np.array([-1, 0.5, 3.5, 1e9, np.inf, np.nan], np.float32), state_RK.shape)
    return np.where(draw.random(state_RK.shape) < 0.05, odd_RK, state_RK)


@pytest.mark.parametrize(("V", "order"), [(2, 2), (65, 8), (700, 4), (2000, 5)])
@pytest.mark.parametrize("scale", [1, 30])
def test_the_core_mixes_as_its_reference(path: str, V: int, order: int, scale: float) -> None:
    own, draw = mixture(V, order), np.random.default_rng(V)
    tokens_TB = np.minimum(draw.geometric(min(0.5, 8 / V), (6, 7)), V) - 1
    found = own.counts.find(tokens_TB, wild_state(own, 7, draw))
    assert (found.nodes_KN[0] >= 0).all() and (order == 2 or (found.nodes_KN < 0).any())
    logits_NV = (draw.standard_normal((42, V)) * scale).astype(np.float32)
    expected_NV, weights_N = logits_NV.astype(np.float64), own.weights_C[found.buckets_N]
    native.mix_counts(own.counts.tree, found.nodes_KN, weights_N, logits_NV)
    reference.mix_counts(own.counts.tree, found.nodes_KN, weights_N, expected_NV)
    np.testing.assert_allclose(logits_NV, expected_NV, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(
    ("V", "order", "shape"),
    [(65, 7, {}), (65, 5, {"members": 2, "ngrams": (2, 3), "ngram_rows": 32}), (1100, 5, {"num_layers": 1})],
)
def test_a_step_is_a_scan_of_one_step(
    library: native.Library, V: int, order: int, shape: dict[str, Any], precision: str
) -> None:
    """The same bits on every path, however many threads and rows there are."""
    model = LanguageModel(V, config=ModelConfig(**{"hidden_size": 150, "num_layers": 2, **shape}))
    if "ngrams.weight" in model.parameters:
        table_WV = model.parameters["ngrams.weight"]
        table_WV[...] = np.random.default_rng(5).standard_normal(table_WV.shape)
    own = mixture(V, order)
    for rows in (1, 5, 40):
        found = set()
        for isa in library.paths():
            library.set_isa(isa)
            program = Program(model, precision=precision, mixers=[own])
            for threads in (1, 2):
                library.set_threads(threads)
                found |= {stepped(program, rows, make) for make in (stepper, scan_stepper)}
        assert len(found) == 1


def stepped(program: Program, rows: int, make: Any) -> bytes:
    """Three steps of all rows but the first: logits and states."""
    draw = np.random.default_rng(rows)
    arrays = program.initial_state(rows + 1).arrays
    assert program.counts is not None
    state = NetworkState((*arrays[:-1], wild_state(program.counts, rows + 1, draw).astype(np.float32)))
    tokens = draw.integers(0, 9, rows + 1).astype(np.int32)
    logits_CV, found = np.zeros((rows, program.vocab_size), np.float32), []
    read = make(program, tokens, state, logits_CV)
    assert make is scan_stepper or ismethod(read)  # of one call of the core
    for _ in range(3):
        read(1, rows)
        found.append(logits_CV.tobytes())
        tokens[...] = logits_CV.argmax(axis=1)[0] % 9
    assert np.isfinite(logits_CV).all() and (np.abs(np.exp(logits_CV).sum(axis=1) - 1) < 1e-4).all()
    return b"".join([*found, *(array.tobytes() for array in state.arrays)])


def test_logits_that_are_not_finite_stay_so(path: str) -> None:
    own = mixture(65, 3)
    nodes_KN, weights_N = np.full((2, 3), -1), np.full(3, 0.5, np.float32)
    logits_NV = np.zeros((3, 65), np.float32)
    logits_NV[0, 7], logits_NV[1, 64], logits_NV[2] = np.nan, np.inf, -np.inf
    native.mix_counts(own.counts.tree, nodes_KN, weights_N, logits_NV)
    assert np.isnan(logits_NV).all()
