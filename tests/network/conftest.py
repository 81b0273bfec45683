"""Blocks of every kind, small and in float64, for the laws that all of them obey."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS as TABLE
from pantoum.config import DropoutConfig
from pantoum.network import LanguageModel, Stack
from pantoum.network.blocks import Block, Cell
from pantoum.network.network_state import map_arrays
from pantoum.network.parameters import under

CELLS: dict[str, Callable[..., Cell]] = {name: partial(Cell, spec=spec) for name, spec in TABLE.items()}


def stack_of(kind: str, inputs: int, hidden: int, layers: int = 2, **options: Any) -> Stack:
    sizes = [inputs] + [hidden] * (layers - 1)
    cells = [
        CELLS[kind](size, hidden, seed=3, place=place, dtype=np.float64) for place, size in enumerate(sizes)
    ]
    return Stack(cells, **options)


def layers_of(model: LanguageModel) -> Stack:
    """The layers of a model as a stack of cells, with copies of their weights."""
    cells = []
    for layer in range(model.config.num_layers):
        own = under(f"stack.{layer}.", model.parameters)
        size = own["weight_ih"].shape[1]
        cells.append(CELLS[model.config.cell](size, model.config.hidden_size, seed=None, dtype=model.dtype))
        cells[-1].parameters.update(own)
    return Stack(cells, model.config.dropout)


BLOCKS: dict[str, Callable[[int, int], Block]] = {
    **{kind: lambda e, h, kind=kind: CELLS[kind](e, h, seed=1, dtype=np.float64) for kind in CELLS},
    "stack": lambda e, h: stack_of("gru", e, h),
    "stack of three": lambda e, h: stack_of("lstm", e, h, 3),
    "stack, dropout": lambda e, h: stack_of("gru-before", e, h, dropout=DropoutConfig(0.2, 0.3, 0.4)),
    "stack, variational": lambda e, h: stack_of(
        "mingru", e, h, dropout=DropoutConfig(0.2, 0.3, 0.4, "variational")
    ),
}


@pytest.fixture(params=CELLS)
def make_cell(request: pytest.FixtureRequest) -> Callable[..., Block]:
    """A cell's constructor: (input_size, hidden_size, seed=, dtype=)."""
    return CELLS[request.param]


@pytest.fixture(params=BLOCKS)
def make_block(request: pytest.FixtureRequest) -> Callable[[int, int], Block]:
    """A block's constructor: (input_size, hidden_size), float64."""
    return BLOCKS[request.param]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def random_state(random: np.random.Generator) -> Callable[[Block, int], Any]:
    """A state that is not zero."""

    def make(block: Block, rows: int) -> Any:
        zeros = block.initial_state(rows)
        return map_arrays(lambda a: random.standard_normal(a.shape).astype(a.dtype), zeros)

    return make
