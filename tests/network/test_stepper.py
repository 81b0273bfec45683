"""A step of a whole model is a scan of one step, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS
from pantoum.network import LanguageModel
from pantoum.network.state import to_arrays
from pantoum.network.stepper import ScanStepper, stepper


def states_of(model: LanguageModel, rows: int, random: np.random.Generator) -> list[np.ndarray]:
    states = [
        random.standard_normal(array.shape).astype(np.float32)
        for array in to_arrays(model.initial_state(rows))
    ]
    if model.ngrams:
        states[-1] = random.integers(0, model.vocab_size + 1, states[-1].shape).astype(np.float32)
    return states


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
    ],
)
def test_a_step_gives_the_scans_bits(cell: str, options: dict[str, Any]) -> None:
    model = LanguageModel(**{"vocab_size": 50, "hidden_size": 33, "num_layers": 3, "cell": cell, **options})
    random, V = np.random.default_rng(2), model.vocab_size
    if model.ngrams:  # which begin at 0
        model.parameters["ngrams.weight"][...] = random.standard_normal((128, V))
    for count in (1, 5, 40):
        rows, first = count + 3, 2
        states = states_of(model, rows, random)
        others = [array.copy() for array in states]
        tokens = random.integers(0, V, rows).astype(np.int32)
        logits_CV, expected_CV = np.zeros((count, V), np.float32), np.zeros((count, V), np.float32)
        packed = model.pack()
        fast, slow = (
            stepper(packed, tokens, states, logits_CV),
            ScanStepper(packed, tokens, others, expected_CV),
        )
        for _ in range(2):
            fast.step(first, count)
            slow.step(first, count)
        np.testing.assert_array_equal(logits_CV, expected_CV)
        for array, other in zip(states, others, strict=True):
            np.testing.assert_array_equal(array, other)
