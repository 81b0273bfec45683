"""The language model: its size, its gradient, its ways of reading that must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.kernels import Workspace
from pantoum.network import LanguageModel
from pantoum.network.state import map_arrays, to_arrays

CELLS = ("rnn", "gru", "gru-before", "lstm", "mingru")
OPTIONS: dict[str, dict[str, Any]] = {
    "one-hot": {},
    "one-hot, dropout": {"dropout": 0.3},
    "one-hot, variational, residual": {"dropout": "variational:0.3", "residual": True, "hidden_size": 7},
    "embedding": {"embedding_size": 4},
    "embedding, residual, norm": {"embedding_size": 5, "residual": True, "norm": "layer"},
    "embedding, everything": {"embedding_size": 5, "residual": True, "norm": "layer", "dropout": 0.2},
    "tied": {"embedding_size": 5, "tied": True},
    "tied, projection, dropout": {"embedding_size": 3, "tied": True, "dropout": "variational:0.2"},
}
V, B, T = 7, 3, 4


def build(cell: str, options: dict[str, Any]) -> LanguageModel:
    sizes = {"hidden_size": 5, "num_layers": 2, "seed": 1, "dtype": np.float64}
    return LanguageModel(V, cell=cell, **{**sizes, **options})


def random_state(model: LanguageModel, rows: int, random: np.random.Generator) -> Any:
    return map_arrays(lambda a: random.standard_normal(a.shape).astype(a.dtype), model.initial_state(rows))


def test_the_originals_model_has_its_4137570_parameters() -> None:
    model = LanguageModel(98, cell="gru-before", hidden_size=512, num_layers=3)
    assert model.num_parameters == 4_137_570
    assert sum(part.shape[1] for part in to_arrays(model.initial_state(1))) == 1536


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_the_central_differences(cell: str, options: dict[str, Any]) -> None:
    model, random = build(cell, options), np.random.default_rng(0)
    inputs, targets = random.integers(0, V, (2, B, T))
    state, reset = random_state(model, B, random), random.random((B, T)) < 0.2
    workspace = Workspace()

    def loss() -> float:
        return model.gradients(inputs, targets, state, reset_BT=reset, dropout_key=(3, 4),
                               workspace=workspace).loss

    loss()
    result = model.gradients(inputs, targets, state, reset_BT=reset, dropout_key=(3, 4))
    assert list(result.gradients) == list(model.parameters)
    for name, parameter in model.parameters.items():
        for _ in range(3):
            place = tuple(random.integers(0, size) for size in parameter.shape)
            kept = parameter[place]
            parameter[place] = kept + 1e-6
            above = loss()
            parameter[place] = kept - 1e-6
            below = loss()
            parameter[place] = kept
            assert result.gradients[name][place] == pytest.approx((above - below) / 2e-6, abs=1e-8), name


@pytest.mark.parametrize("cell", CELLS)
def test_a_token_out_of_range_is_named(cell: str) -> None:
    model = build(cell, {})
    with pytest.raises(SettingError, match=r"inputs_BT is 7: must be token numbers from 0 to 6"):
        model.gradients(np.full((B, T), V), np.zeros((B, T), int), model.initial_state(B))
