"""What every cell promises: a scan is repeated steps, PyTorch's names and shapes, and a state that fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.network import GRU, LSTM, RNN, MinGRU
from pantoum.network.blocks import Block
from pantoum.network.network_state import map_arrays, to_arrays


@pytest.mark.parametrize("hidden_size", [1, 7, 33])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_a_scan_is_repeated_steps_from_a_state_that_is_not_zero(
    make_cell: Callable[..., Block],
    random: np.random.Generator,
    random_state: Callable[[Block, int], Any],
    hidden_size: int,
    batch_size: int,
    steps: int,
) -> None:
    cell = make_cell(5, hidden_size)
    x = random.standard_normal((batch_size, steps, 5)).astype(np.float32)
    start = state = random_state(cell, batch_size)
    kept = map_arrays(np.copy, start)
    outputs, last = cell.scan(x, start)
    for t in range(steps):
        output, state = cell.step(x[:, t], state)
        np.testing.assert_allclose(outputs[:, t], output, rtol=1e-4, atol=2e-6)
    for a, b, c, d in zip(*map(to_arrays, (last, state, start, kept)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)
        np.testing.assert_array_equal(c, d)
    assert outputs.dtype == np.float32
    assert outputs.shape == (batch_size, steps, hidden_size)


def test_a_stack_is_stepped_as_a_cell_is(
    make_block: Callable[[int, int], Block],
    random: np.random.Generator,
    random_state: Callable[[Block, int], Any],
) -> None:
    block = make_block(4, 4)
    x, state = random.standard_normal((2, 3, 4)), random_state(block, 2)
    outputs, last = block.scan(x, state)
    for t in range(3):
        output, state = block.step(x[:, t], state)
        np.testing.assert_allclose(outputs[:, t], output, rtol=1e-12)
    for a, b in zip(to_arrays(last), to_arrays(state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    ("cell", "shapes"),
    [
        (RNN(3, 2), {"weight_ih": (2, 3), "weight_hh": (2, 2), "bias_ih": (2,), "bias_hh": (2,)}),
        (GRU(3, 2), {"weight_ih": (6, 3), "weight_hh": (6, 2), "bias_ih": (6,), "bias_hh": (6,)}),
        (GRU(3, 2, "before"), {"weight_ih": (6, 3), "weight_hh": (6, 2), "bias_ih": (6,)}),
        (LSTM(3, 2), {"weight_ih": (8, 3), "weight_hh": (8, 2), "bias_ih": (8,), "bias_hh": (8,)}),
        (MinGRU(3, 2), {"weight_ih": (4, 3), "bias_ih": (4,)}),
    ],
)
def test_parameters_have_pytorchs_names_and_shapes(cell: Block, shapes: dict[str, tuple[int, ...]]) -> None:
    assert {name: array.shape for name, array in cell.parameters.items()} == shapes
    assert cell.num_parameters == sum(int(np.prod(shape)) for shape in shapes.values())
    assert all(array.dtype == np.float32 for array in cell.parameters.values())


def test_initial_values_come_from_the_seed(make_cell: Callable[..., Block]) -> None:
    once, again, other = (make_cell(3, 4, seed=seed) for seed in (5, 5, 6))
    for name, array in once.parameters.items():
        np.testing.assert_array_equal(array, again.parameters[name])
    assert (once.parameters["weight_ih"] != other.parameters["weight_ih"]).all()
    assert abs(once.parameters["weight_ih"]).max() <= 0.5
    assert not any(array.any() for array in make_cell(3, 4, seed=None).parameters.values())


def test_a_changed_batch_size_is_an_error(make_cell: Callable[..., Block]) -> None:
    cell = make_cell(3, 4)
    _, state = cell.step(np.zeros((2, 3)), cell.initial_state(2))
    with pytest.raises(SettingError, match=r"state is \(2, 4\): it must have the shape \(3, 4\)"):
        cell.step(np.zeros((3, 3)), state)


@pytest.mark.parametrize("sizes", [(0, 4), (4, -1), (4, 2.5), (True, 4)])
def test_sizes_are_whole_numbers(make_cell: Callable[..., Block], sizes: tuple[Any, Any]) -> None:
    with pytest.raises(
        SettingError, match=r"(input|hidden)_size is .*: it must be a whole number of at least 1"
    ):
        make_cell(*sizes)


def test_a_step_takes_one_input_a_stream(make_cell: Callable[..., Block]) -> None:
    with pytest.raises(SettingError, match=r"x_BE is \(2, 1, 3\): it must have the shape \[B, 3\]"):
        make_cell(3, 4).step(np.zeros((2, 1, 3)), None)
