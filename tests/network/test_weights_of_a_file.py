"""A program of weights that come from a file: codes, and arrays that go away afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.kernels import reference
from pantoum.network import LanguageModel
from pantoum.network.packing import Codes, Weight
from pantoum.network.program import Program, is_held
from pantoum.network.spec import declared

V = 11
SHAPES: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"embedding_size": 5},
    {"embedding_size": 5, "tied": True},
    {"embedding_size": 16, "tied": True},
    {"ngrams": (2, 4), "ngram_rows": 32},
    {"embedding_size": 5, "members": 2},
    {"members": 3, "ngrams": (3,), "ngram_rows": 16, "cell": "lstm"},
]


def made(shape: dict[str, Any]) -> LanguageModel:
    config = ModelConfig(**{"hidden_size": 16, "num_layers": 2, **shape})
    model = LanguageModel(V, config=config, seed=2)
    random = np.random.default_rng(3)
    for array in model.parameters.values():
        array += random.standard_normal(array.shape).astype(np.float32) / 10
    return model


def read(program: Program) -> bytes:
    """What it makes of a text in two parts."""
    tokens, state, found = np.arange(24).reshape(2, 12) % V, program.initial_state(2), []
    for part in (tokens[:, :5], tokens[:, 5:]):
        logits, state = program.logits(part, state)
        found.append(logits.tobytes())
    return b"".join(found + [array.tobytes() for array in state.arrays])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_only_multiplied_may_go_away(shape: dict[str, Any]) -> None:
    model = made(shape)
    expected = read(Program(model))
    lent = {name: array.copy() for name, array in model.parameters.items()}
    empty = LanguageModel(V, config=model.config, seed=None)
    program = Program(empty, lent)
    for name, array in lent.items():
        if not is_held(declared(model.config, V)[name]):
            array[...] = np.nan
    assert read(program) == expected
    assert not empty.parameters["head.bias"].any()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_codes_are_read_as_a_program_in_int8_reads_their_weights(shape: dict[str, Any]) -> None:
    model, coded = made(shape), dict[str, Weight]()
    for name, array in model.parameters.items():
        coded[name] = Codes(*reference.quantize(array)) if array.ndim == 2 else array
        if declared(model.config, V)[name].role in ("input", "table"):
            model.parameters[name] = coded[name].floats()  # what is looked up is looked up as floats
    expected = Program(model, precision="int8")
    if model.config.tied or model.config.embedding_size is not None:
        found, _ = Program(model, coded).logits(np.array([[3, 1]]), model.initial_state(1))
        near, _ = expected.logits(np.array([[3, 1]]), model.initial_state(1))
        np.testing.assert_allclose(found, near, atol=0.1)
        return
    assert read(Program(model, coded)) == read(expected)
