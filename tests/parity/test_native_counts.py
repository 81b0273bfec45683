"""Counted n-grams in the core: the probabilities of their reference, and in a step those of a scan."""

from __future__ import annotations

from inspect import ismethod
from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.kernels import native, reference
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.network.stepping import scan_stepper, stepper


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
