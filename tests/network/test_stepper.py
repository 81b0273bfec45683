"""A step of a whole model is a scan of one step, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.network.state import NetworkState
from pantoum.network.stepper import ScanStepper, stepper


def state_of(model: LanguageModel, rows: int, random: np.random.Generator) -> NetworkState:
    state = model.initial_state(rows)
    for array in state.arrays:
        array[...] = random.standard_normal(array.shape)
    if model.features:
        state.arrays[-1][...] = random.integers(0, model.vocab_size + 1, state.arrays[-1].shape)
    return state


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"embedding_size": 10, "tied": True, "residual": True, "norm": "layer"},
        {"embedding_size": 33, "tied": True, "residual": True},
        {"vocab_size": 33, "residual": True, "norm": "layer"},
        {"vocab_size": 1100, "embedding_size": 9},
        {"ngrams": (2, 4), "ngram_rows": 64},
        {"members": 3, "embedding_size": 7, "norm": "layer", "ngrams": (2,), "ngram_rows": 64},
        {"members": 2, "vocab_size": 33, "residual": True},
    ],
)
def test_a_step_gives_the_scans_bits(cell: str, options: dict[str, Any]) -> None:
    shape = {"hidden_size": 33, "num_layers": 3, **options}
    model = LanguageModel(shape.pop("vocab_size", 50), config=ModelConfig(cell, **shape))
    random, V = np.random.default_rng(2), model.vocab_size
    if model.features:  # which begin at 0
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
        slow = ScanStepper(program, tokens, other, expected_CV)
        for _ in range(2):
            fast.step(first, count)
            slow.step(first, count)
        np.testing.assert_array_equal(logits_CV, expected_CV)
        for array, expected in zip(state.arrays, other.arrays, strict=True):
            np.testing.assert_array_equal(array, expected)
