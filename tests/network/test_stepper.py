"""A step of a whole model is a scan of one step, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.network import LanguageModel
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.network.stepping import SteppedLosses, scan_stepper, stepper


def state_of(model: LanguageModel, rows: int, random: np.random.Generator) -> NetworkState:
    state = model.initial_state(rows)
    for array in state.arrays:
        array[...] = random.standard_normal(array.shape)
    if model.config.ngrams:
        state.arrays[-1][...] = random.integers(0, model.vocab_size + 1, state.arrays[-1].shape)
    return state


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"embedding_size": 10, "tied": True},
        {"embedding_size": 33, "tied": True},
        {"vocab_size": 33},
        {"vocab_size": 1100, "embedding_size": 9},
        {"ngrams": (2, 4), "ngram_rows": 64},
        {"members": 3, "embedding_size": 7, "ngrams": (2,), "ngram_rows": 64},
        {"members": 2, "vocab_size": 33},
    ],
)
def test_a_step_gives_the_scans_bits(cell: str, options: dict[str, Any]) -> None:
    shape = {"hidden_size": 33, "num_layers": 3, **options}
    model = LanguageModel(shape.pop("vocab_size", 50), config=ModelConfig(cell, **shape))
    random, V = np.random.default_rng(2), model.vocab_size
    if model.config.ngrams:  # which begin at 0
        model.parameters["ngrams.weight"][...] = random.standard_normal(
            model.parameters["ngrams.weight"].shape
        )
    for count in (1, 5, 40):
        rows, first = count + 3, 2
        state = state_of(model, rows, random)
        other = state.copy()
        tokens = random.integers(0, V, rows).astype(np.int32)
        logits_CV, expected_CV = np.zeros((count, V), np.float32), np.zeros((count, V), np.float32)
        program = Program(model)
        fast = stepper(program, tokens, state, logits_CV)
        slow = scan_stepper(program, tokens, other, expected_CV)
        for _ in range(2):
            fast(first, count)
            slow(first, count)
        np.testing.assert_array_equal(logits_CV, expected_CV)
        for array, expected in zip(state.arrays, other.arrays, strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    "options", [{}, {"members": 3, "embedding_size": 7, "ngrams": (2, 3), "ngram_rows": 64}]
)
def test_losses_by_steps_have_the_bits_of_a_scan(options: dict[str, Any]) -> None:
    model = LanguageModel(50, config=ModelConfig("gru", 33, 2, **options))
    random = np.random.default_rng(3)
    if model.config.ngrams:
        model.parameters["ngrams.weight"][...] = random.standard_normal((2 * 64, 50))
    program = Program(model, precision="int8")
    tokens_BT, reset_BT = random.integers(0, 50, (35, 8)), random.random((35, 7)) < 0.2
    state = state_of(model, 35, random)
    steps = SteppedLosses(program, 35)
    for reset in (reset_BT, None):  # the second call begins from another state than the first one left
        found = steps.losses(tokens_BT[:, :-1], tokens_BT[:, 1:], state, reset)
        expected = program.losses(tokens_BT[:, :-1], tokens_BT[:, 1:], state, reset_BT=reset)
        for one, other in zip(
            (*found[:2], *found[2].arrays), (*expected[:2], *expected[2].arrays), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("precision", "rows", "vocab_size", "stepped"),
    [("int8", 64, 65, True), ("int8", 8, 65, False), ("int8", 64, 5000, False), ("float32", 64, 65, False)],
)
def test_losses_go_by_steps_where_these_are_faster(
    precision: str, rows: int, vocab_size: int, stepped: bool
) -> None:
    program = Program(LanguageModel(vocab_size, 8, hidden_size=16, num_layers=1), precision=precision)
    assert SteppedLosses.are_faster(program, rows, rows * 16) is stepped
