"""Counted contexts in the core: the bits of their reference on every path, however a text is cut."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.kernels.native import context_tables as native
from pantoum.kernels.native.context_tables import ContextTables
from pantoum.network.mixers.contexts import ContextMixer
from tests.oracle import contexts as oracle

V, T = 29, 180
TEXTS = [bytes([97 + v]) for v in range(20)] + [b" ", b"\n", b"1", b".", b" a", b"A", b"\xc3\xa9", b"-", b""]


def made(beside: int) -> ContextTables:
    counts_V = np.random.default_rng(1).integers(0, 100, V)
    own = ContextMixer(TEXTS, counts_V, slot_bits=12)
    if beside:
        own.join(beside)
    return own._tables


def text(seed: int = 2) -> np.ndarray:
    """A text that repeats itself, not always."""
    draw = np.random.default_rng(seed)
    tokens_T = np.tile(draw.integers(0, V, 45), T // 45)
    return np.where(draw.random(T) < 0.1, draw.integers(0, V, T), tokens_T)


def logits(networks: int) -> np.ndarray:
    return (3 * np.random.default_rng(3).standard_normal((T, networks, V))).astype(np.float32)


@pytest.mark.parametrize("beside", [0, 1, 2])
def test_the_core_reads_with_the_bits_of_its_reference(path: str, beside: int) -> None:
    ours, theirs = made(beside), made(beside)
    given_TNV = logits(beside) if beside else None
    resets_T = np.arange(T) % 70 == 69
    for part, predict in ((slice(0, 40), False), (slice(40, 41), True), (slice(41, T), True)):
        given = None if given_TNV is None or not predict else given_TNV[part]
        found, wanted = (
            kernels.read_contexts(tables, text()[part], given, resets_T[part], predict)
            for kernels, tables in ((native, ours), (oracle, theirs))
        )
        assert found.tobytes() == wanted.tobytes() and (found.mean() > 0) == predict
    for name, array in ours.named().items():
        if name != "pending":  # scratch of the core
            assert array.tobytes() == getattr(theirs, name).tobytes(), name
    given = None if given_TNV is None else given_TNV[0]
    before = ours.copy()
    found, wanted = (
        kernels.context_probabilities(tables, given) for kernels, tables in ((native, ours), (oracle, theirs))
    )
    assert found.tobytes() == wanted.tobytes() and abs(found.sum() - 1) < 1e-5 and (found > 0).all()
    found, wanted = (
        kernels.context_probabilities(tables.copy(), given, text()[7:30])
        for kernels, tables in ((native, ours), (oracle, theirs))
    )
    assert found.tobytes() == wanted.tobytes() and abs(found.sum() - 1) < 1e-5
    assert (
        before.slots.tobytes() == ours.slots.tobytes() and before.weights.tobytes() == ours.weights.tobytes()
    )


def test_logits_become_those_of_the_mixture_after_the_last_gap(path: str) -> None:
    tables, given, after_K = made(2), logits(2)[0], text()[7:30]
    native.read_contexts(tables, text(), logits(2))
    mixed_V, gapped_K = given[0].copy(), np.concatenate([[4, 3, V], after_K])
    p_V = native.context_probabilities(tables.copy(), given, gapped_K, mixed_V, 0.3)
    softmax_V = np.exp(given[0]) / np.exp(given[0]).sum()
    np.testing.assert_allclose(np.exp(mixed_V), 0.7 * softmax_V + 0.3 * p_V, rtol=1e-5)
    for other_K in (after_K, np.concatenate([after_K, [-1], after_K])):
        again_V = native.context_probabilities(tables.copy(), given, other_K)
        assert again_V.tobytes() == p_V.tobytes()
    whole_V = native.context_probabilities(tables.copy(), given, text()[4:30])
    assert whole_V.tobytes() != p_V.tobytes()


@pytest.mark.parametrize("beside", [0, 2])
def test_the_core_decides_with_the_bits_of_its_reference(path: str, beside: int) -> None:
    """Drawn decisions: both give the same chances, arrive at the same symbols, and learn the same."""
    tables, draw = (made(beside), made(beside)), np.random.default_rng(4)
    ours, theirs = native.ContextDecider(tables[0]), oracle.context_decider(tables[1])
    for given_NV in logits(beside)[:40] if beside else [None] * 40:
        chance, symbol = ours.begin(given_NV), -1
        assert chance == theirs.begin(given_NV)
        while symbol < 0:
            outcome = int(draw.random() * (1 << 22) < chance)
            chance, symbol = ours.decide(outcome)
            assert (chance, symbol) == theirs.decide(outcome)
    for name, array in tables[0].named().items():
        if name != "pending":
            assert array.tobytes() == getattr(tables[1], name).tobytes(), name
