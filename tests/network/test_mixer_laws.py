"""Laws of everything that is put beside a network: however a text is read, it is the same distribution."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.kernels import without_core
from pantoum.network import LanguageModel
from pantoum.network.mixers import Mixer
from pantoum.network.mixers.cache import Cache
from pantoum.network.mixers.contexts import ContextMixer, ContextMixture
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.network.spec import TABLE
from pantoum.network.stepping import scan_stepper, stepper

V, B, T = 6, 3, 9
CUTS = st.lists(st.integers(1, T - 1), max_size=4)
LENGTHS = st.tuples(*[st.integers(0, T)] * B)
SEEDS = st.integers(0, 9)


def counts() -> Mixer:
    found = Counts(V, counted(np.random.default_rng(2).integers(0, V, 300), V, 4))
    return CountMixture(found, np.random.default_rng(3).random(found.buckets).astype(np.float32))


def contexts() -> Mixer:
    if (reason := without_core()) is not None:
        pytest.skip(reason)
    mixer = ContextMixer([bytes([97 + v]) for v in range(V)], slot_bits=12)
    mixer.read(np.tile(np.random.default_rng(1).integers(0, V, 25), 8))
    mixer.join(2)
    return ContextMixture(mixer, 0.75)


@pytest.fixture(scope="module", params=["n-grams", "counts", "cache", "contexts", "all but contexts"])
def program(request: pytest.FixtureRequest) -> Program:
    """With 16 rows for each order some n-grams share one."""
    kind = request.param
    ngrams = {"ngrams": (2, 3, 5), "ngram_rows": 16} if kind in ("n-grams", "all but contexts") else {}
    model = LanguageModel(V, config=ModelConfig(hidden_size=4, num_layers=1, embedding_size=3, **ngrams))
    for name, array in model.parameters.items():
        array *= 3
        if name == TABLE:
            array[...] = np.random.default_rng(8).standard_normal(array.shape)
    mixers = {"counts": [counts()], "cache": [Cache(5, 0.3, 1.7)], "n-grams": []}
    mixers["all but contexts"] = mixers["counts"] + mixers["cache"]
    return Program(model, mixers=mixers[kind] if kind in mixers else [contexts()])


def texts(seed: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, V, (B, T)), draw.random((B, T)) < 0.15


def begun(program: Program, seed: int = 7) -> NetworkState:
    """A state after some tokens."""
    tokens_BT, reset_BT = texts(seed)
    return program.logits(tokens_BT, program.initial_state(B), reset_BT=reset_BT)[1]


def assert_same(one: NetworkState, other: NetworkState) -> None:
    for ours, theirs in zip(one.arrays, other.arrays, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@settings(max_examples=15)
@given(cuts=CUTS, seed=SEEDS)
def test_however_a_text_is_cut_it_is_the_same(program: Program, cuts: list[int], seed: int) -> None:
    tokens_BT, reset_BT = texts(seed)
    state = start = begun(program)
    whole_BTV, last = program.logits(tokens_BT, start, reset_BT=reset_BT)
    parts = []
    for begin, end in pairwise(sorted({0, T, *cuts})):
        part = np.s_[:, begin:end]
        logits_BTV, state = program.logits(tokens_BT[part], state, reset_BT=reset_BT[part])
        parts.append(logits_BTV)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole_BTV, atol=1e-5)
    assert_same(state, last)


@settings(max_examples=10)
@given(at=st.integers(0, T - 1), seed=SEEDS)
def test_a_reset_makes_the_past_invisible(program: Program, at: int, seed: int) -> None:
    tokens_BT, reset_BT = texts(seed)[0], np.zeros((B, T), bool)
    reset_BT[:, at] = True
    logits_BTV, state = program.logits(tokens_BT, begun(program, seed), reset_BT=reset_BT)
    fresh_BTV, own = program.logits(tokens_BT[:, at:], program.initial_state(B))
    np.testing.assert_allclose(logits_BTV[:, at:], fresh_BTV, atol=1e-5)
    for array, of_fresh, declared in zip(state.arrays, own.arrays, arrays_of(program), strict=True):
        if declared != "outputs":  # those of the past stay, and count for nothing
            np.testing.assert_allclose(array, of_fresh, atol=1e-5)


@settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
def test_past_its_length_a_row_keeps_its_state(program: Program, lengths: tuple[int, ...], seed: int) -> None:
    tokens_BT, reset_BT = texts(seed)
    start = begun(program)
    logits_BTV, after = program.logits(tokens_BT, start, reset_BT=reset_BT, lengths=np.array(lengths))
    for b, length in enumerate(lengths):
        own = start.select([b])
        if length:
            part = np.s_[b : b + 1, :length]
            own_1TV, own = program.logits(tokens_BT[part], own, reset_BT=reset_BT[part])
            np.testing.assert_allclose(logits_BTV[part], own_1TV, atol=1e-5)
        assert_same(after.select([b]), own)


def test_what_can_be_no_token_in_a_state_counts_as_none(program: Program) -> None:
    wild, none = begun(program), begun(program)
    for array, empty, kind in zip(wild.arrays, none.arrays, arrays_of(program), strict=True):
        if kind == "tokens":
            array[...] = np.resize([-1.0, 0.5, 1e30, np.nan, np.inf], array.shape[1])
            empty[...] = 0
    tokens_BT = texts(1)[0]
    with np.errstate(invalid="ignore"):
        logits_BTV, _ = program.logits(tokens_BT, wild)
    np.testing.assert_array_equal(logits_BTV, program.logits(tokens_BT, none)[0])


def test_a_step_is_a_scan_of_one_step(program: Program) -> None:
    tokens_R, seen = texts(3)[0].astype(np.int32), []
    for make in (stepper, scan_stepper):
        state, tokens, logits_CV = begun(program), np.zeros(B, np.int32), np.zeros((2, V), np.float32)
        step = make(program, tokens, state, logits_CV)
        for t, first in enumerate((0, 1, 1)):
            tokens[...] = tokens_R[:, t]
            step(first, 2)
            seen.append(logits_CV.copy())
        seen += state.arrays
    for ours, theirs in zip(seen[: len(seen) // 2], seen[len(seen) // 2 :], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_streams_do_not_disturb_each_other(program: Program) -> None:
    tokens_BT, start = texts(5)[0], begun(program)
    whole_BTV, _ = program.logits(tokens_BT, start)
    for b in range(B):
        alone_1TV, _ = program.logits(tokens_BT[[b]], start.select([b]))
        np.testing.assert_allclose(whole_BTV[[b]], alone_1TV, atol=1e-5)


def arrays_of(program: Program) -> list[str]:
    """The kind of each array of the state."""
    units = program.model.hidden_size
    of_mixers = [array.kind for mixer in program.mixers for array in mixer.states(units)]
    return ["layer"] * (len(program.initial_state(1).arrays) - len(of_mixers)) + of_mixers
