"""The draw of the next token: the core beside its reference, on the same logits and the same draws."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from pantoum.errors import CoreError, PantoumError
from pantoum.kernels import native, reference
from pantoum.kernels.reference.sample import with_sum
from pantoum.kernels.types import DrawRows

NONE = np.zeros(0, np.int32)


def rows_of(count: int, random: np.random.Generator) -> DrawRows:
    """Rows with settings of every kind."""
    rows = DrawRows(count)
    for row in range(count):
        values = {
            "seed": int(random.integers(2**62)),
            "stream": row,
            "position": int(random.integers(2**40)),
            "temperature": float(random.choice([0, 0.3, 0.8, 1, 5, 5e-324, 100])),
        }
        for name, choices in (
            ("top_k", [1, 2, 40, 2000]),
            ("top_p", [0.1, 0.25, 0.5, 0.95, 0.999]),
            ("min_p", [0.01, 0.2, 1.0]),
            ("penalty", [0.5, 1.3, 5.0]),
        ):
            if random.random() < 0.4:
                values[name] = float(random.choice(choices))
        rows.set(row, **values)
    return rows


def logits_of(kind: str, rows: int, vocab: int, random: np.random.Generator) -> np.ndarray:
    logits_BV = (random.standard_normal((rows, vocab)) * random.choice([0.1, 1, 5, 40])).astype(np.float32)
    if kind == "ties":
        return np.round(logits_BV)
    if kind == "equal":
        return np.zeros((rows, vocab), np.float32)
    if kind == "minus infinities":
        logits_BV[:, 1::3] = -np.inf
    return logits_BV


@pytest.mark.parametrize("vocab", [1, 2, 9, 98, 700, 5000])
@pytest.mark.parametrize("kind", ["plain", "ties", "equal", "minus infinities"])
def test_the_core_draws_as_its_reference(path: str, kind: str, vocab: int) -> None:
    random = np.random.default_rng(vocab)
    ours = rows_of(40, random)
    others = copy.deepcopy(ours)
    banned = np.array([0], np.int32) if vocab > 2 else NONE
    for _ in range(3):
        logits_BV = logits_of(kind, 40, vocab, random)
        native.sampler(ours, banned, logits_BV)(0, 40)
        reference.sampler(others, banned, logits_BV)(0, 40)
        np.testing.assert_array_equal(ours.tokens, others.tokens)
        np.testing.assert_allclose(ours.log_probability, others.log_probability, rtol=1e-7, atol=1e-6)
        np.testing.assert_allclose(ours.nats, others.nats, rtol=1e-7, atol=1e-6)
    for mine, other in zip(ours.arrays()[6:9], others.arrays()[6:9], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert ours.recent_RW is not None and (ours.recent_RW == others.recent_RW).all()


@pytest.mark.parametrize(("count", "vocab"), [(61, 333), (7, 5000)])
def test_every_path_any_threads_and_any_batch_give_the_same_bits(
    library: native.Library, count: int, vocab: int
) -> None:
    """With fewer rows than threads, threads share a row of a large vocabulary."""
    random = np.random.default_rng(1)
    before, logits_BV = rows_of(count, random), logits_of("plain", count, vocab, random)
    found = set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads, size in ((1, count), (2, count), (1, 1), (2, 1), (3, 2), (2, 7)):
            library.set_threads(threads)
            rows = copy.deepcopy(before)
            for first in range(0, count, size):
                several = min(size, count - first)
                native.sampler(rows, NONE, logits_BV[first : first + several])(first, several)
            found.add(b"".join(array.tobytes() for array in rows.arrays()))
    assert len(found) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error_of_ours(path: str, bad: float) -> None:
    logits_BV = np.zeros((2, 20), np.float32)
    logits_BV[1, 3 if bad > -np.inf or np.isnan(bad) else slice(None)] = bad
    rows = DrawRows(2)
    with pytest.raises(PantoumError, match="not finite"):
        native.sampler(rows, NONE, logits_BV)(0, 2)
    assert rows.written.tolist() == [1, 0]


@pytest.mark.parametrize("vocab", [1, 2, 31, 32, 98, 700, 5000])
def test_a_mask_leaves_out_what_it_does_not_allow(path: str, vocab: int) -> None:
    random = np.random.default_rng(vocab)
    ours, words = rows_of(40, random), -(-vocab // 32) + 1
    ours.mask(words)
    assert ours.allowed_RM is not None
    allowed_RV = random.random((40, vocab)) < 0.2
    allowed_RV[np.arange(40), random.integers(vocab, size=40)] = True
    allowed_RV[::7] = True
    padded = np.zeros((40, 32 * words), bool)
    padded[:, :vocab] = allowed_RV
    ours.allowed_RM[...] = np.packbits(padded, axis=1, bitorder="little").view("<u4")
    others = copy.deepcopy(ours)
    for kind in ("plain", "ties", "equal"):
        logits_BV = logits_of(kind, 40, vocab, random)
        native.sampler(ours, NONE, logits_BV)(0, 40)
        reference.sampler(others, NONE, logits_BV)(0, 40)
        assert allowed_RV[np.arange(40), ours.tokens].all()
        np.testing.assert_array_equal(ours.tokens, others.tokens)
        np.testing.assert_allclose(ours.log_probability, others.log_probability, rtol=1e-7, atol=1e-6)


def test_a_thread_may_find_no_allowed_token_in_its_part_of_a_row(path: str, library: native.Library) -> None:
    library.set_threads(2)
    rows, logits_CV = DrawRows(1), np.zeros((1, 9000), np.float32)
    rows.mask(282)
    assert rows.allowed_RM is not None
    for token in [5, 8990] * 40:  # a thread that is not awake leaves its part to the other one
        rows.allowed_RM[:] = 0
        rows.allowed_RM[0, token // 32] = 1 << token % 32
        native.sampler(rows, NONE, logits_CV)(0, 1)
        assert rows.tokens[0] == token


def test_a_mask_of_all_tokens_changes_no_bit(path: str) -> None:
    random = np.random.default_rng(2)
    plain, logits_BV = rows_of(40, random), logits_of("plain", 40, 300, random)
    masked = copy.deepcopy(plain)
    masked.mask(10)
    for rows in (plain, masked):
        native.sampler(rows, NONE, logits_BV)(0, 40)
    for mine, other in zip(masked.arrays(), plain.arrays(), strict=False):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("V", [1, 2, 98, 257, 1000, 5003])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_the_core_counts_as_its_reference(path: str, V: int, scale: float) -> None:
    draw, total = np.random.default_rng(V), (1 << 24) - V
    logits_NV = (draw.standard_normal((13, V)) * scale).astype(np.float32)
    logits_NV[3, V // 2] = -np.inf if V > 1 else 0
    expected_NV = logits_NV.astype(np.float64)
    native.frequencies(logits_NV, total)
    reference.frequencies(expected_NV, total)
    assert (logits_NV == np.floor(logits_NV)).all() and (logits_NV >= 0).all()
    assert (logits_NV.astype(np.int64).sum(axis=1) == total).all()
    assert (expected_NV.sum(axis=1) == total).all()
    np.testing.assert_allclose(logits_NV, expected_NV, rtol=2e-5, atol=V + 1)


def test_a_row_depends_on_nothing_else(library: native.Library) -> None:
    """The same bits on every path, with any threads, alone or among others."""
    draw = np.random.default_rng(2)
    logits_NV = (draw.standard_normal((200, 301)) * 4).astype(np.float32)
    found = set()
    for isa in library.paths():
        library.set_isa(isa)
        for threads in (1, 2, 3):
            library.set_threads(threads)
            together_NV, alone_NV = logits_NV.copy(), logits_NV.copy()
            native.frequencies(together_NV, 1 << 20)
            for row in range(0, 200, 7):
                native.frequencies(alone_NV[row : row + 1], 1 << 20)
                assert (alone_NV[row] == together_NV[row]).all()
            found.add(together_NV.tobytes())
    assert len(found) == 1


def test_logits_that_are_not_finite_are_refused(path: str) -> None:
    for odd in (np.nan, np.inf):
        logits_NV = np.zeros((3, 40), np.float32)
        logits_NV[1, 39] = odd
        for kernels in (native, reference):
            with np.errstate(invalid="ignore"), pytest.raises(PantoumError, match="not finite"):
                kernels.frequencies(logits_NV.copy(), 1000)
    with pytest.raises(CoreError, match="refused"):
        native.frequencies(np.zeros((1, 3), np.float32), 1 << 25)


def test_a_sum_that_is_too_large_is_taken_from_the_largest_on() -> None:
    whole_NV = np.array([[3.0, 5.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    with_sum(whole_NV, 2)
    assert whole_NV.tolist() == [[2, 0, 0, 0], [0, 0, 1, 1]]
