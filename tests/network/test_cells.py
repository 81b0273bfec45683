"""The equations of every cell, written down once more, and what all cells share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.network import GRU, LSTM, RNN, MinGRU
from pantoum.network.blocks import Block
from pantoum.network.network_state import map_arrays, to_arrays


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def tensorflow_gru(cell: GRU, x_BTE: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """TensorFlow 1's GRUCell under dynamic_rnn, naively: kernels [E+H, 2H] (columns r then u) and [E+H, H].

    r, u = sigmoid([x, h] Wg + bg);  c = tanh([x, r*h] Wc + bc);  h' = u*h + (1-u)*c
    """
    H = cell.hidden_size
    ih, hh, bias = (cell.parameters[name] for name in ("weight_ih", "weight_hh", "bias_ih"))
    gates_kernel = np.concatenate([ih[: 2 * H].T, hh[: 2 * H].T])
    candidate_kernel = np.concatenate([ih[2 * H :].T, hh[2 * H :].T])
    outputs = []
    for t in range(x_BTE.shape[1]):
        x = x_BTE[:, t]
        r, u = np.split(sigmoid(np.concatenate([x, h], axis=1) @ gates_kernel + bias[: 2 * H]), 2, axis=1)
        c = np.tanh(np.concatenate([x, r * h], axis=1) @ candidate_kernel + bias[2 * H :])
        h = u * h + (1 - u) * c
        outputs.append(h)
    return np.stack(outputs, axis=1), h


@pytest.mark.parametrize(("B", "T", "H"), [(1, 1, 1), (3, 2, 7), (2, 30, 33)])
def test_reset_before_is_the_originals_gru(random: np.random.Generator, B: int, T: int, H: int) -> None:
    cell = GRU(5, H, reset="before", dtype=np.float64)
    for parameter in cell.parameters.values():
        parameter += random.standard_normal(parameter.shape)
    x, state = random.standard_normal((B, T, 5)), random.standard_normal((B, H))
    outputs, last = cell.scan(x, state)
    expected, expected_last = tensorflow_gru(cell, x, state)
    np.testing.assert_allclose(outputs, expected, rtol=1e-10)
    np.testing.assert_allclose(last, expected_last, rtol=1e-10)


def test_reset_before_begins_with_gate_biases_of_one() -> None:
    bias = GRU(2, 3, reset="before").parameters["bias_ih"]
    assert bias.tolist() == [1] * 6 + [0] * 3


def test_the_two_forms_differ_only_where_the_reset_gate_stands(random: np.random.Generator) -> None:
    """With W_hh of the candidate diagonal and no biases the two orders are the same."""
    after, before = GRU(3, 4, dtype=np.float64), GRU(3, 4, "before", dtype=np.float64)
    after.parameters["weight_hh"][8:] *= np.eye(4)
    for name in ("weight_ih", "weight_hh"):
        before.parameters[name] = after.parameters[name]
    for bias in (after.parameters["bias_ih"], after.parameters["bias_hh"], before.parameters["bias_ih"]):
        bias[...] = 0
    x, state = random.standard_normal((2, 5, 3)), random.standard_normal((2, 4))
    np.testing.assert_allclose(after.scan(x, state)[0], before.scan(x, state)[0], rtol=1e-12)


def test_another_reset_is_named() -> None:
    with pytest.raises(SettingError, match="reset is 'later': it must be one of after, before"):
        GRU(3, 4, reset="later")


def test_the_state_is_h_and_c(random: np.random.Generator) -> None:
    lstm = LSTM(3, 4)
    output, (h, c) = lstm.step(random.standard_normal((2, 3)), lstm.initial_state(2))
    np.testing.assert_array_equal(output, h)
    assert (h != c).all()


def test_the_forget_gates_bias_begins_at_one() -> None:
    parameters = LSTM(3, 4).parameters
    assert (parameters["bias_ih"] + parameters["bias_hh"])[4:8].tolist() == [1] * 4


def test_an_open_forget_gate_keeps_c() -> None:
    lstm = LSTM(1, 1, seed=None)
    lstm.parameters["bias_ih"] = [-50, 50, 0, 0]  # i shut, f open
    _, (_, c) = lstm.scan(np.ones((1, 100, 1)), (np.zeros((1, 1)), np.full((1, 1), 0.75)))
    assert c.item() == 0.75


def test_the_recurrence_is_that_of_its_paper(random: np.random.Generator) -> None:
    cell = MinGRU(3, 4, dtype=np.float64)
    x, h = random.standard_normal((2, 6, 3)), random.standard_normal((2, 4))
    outputs, _ = cell.scan(x, h)
    for t in range(6):
        z, n = np.split(x[:, t] @ cell.parameters["weight_ih"].T + cell.parameters["bias_ih"], 2, axis=1)
        z = 1 / (1 + np.exp(-z))
        h = z * h + (1 - z) * n
        np.testing.assert_allclose(outputs[:, t], h, rtol=1e-12)


def test_a_step_is_its_equation(random: np.random.Generator) -> None:
    cell = RNN(3, 4, dtype=np.float64)
    x, h = random.standard_normal((2, 3)), random.standard_normal((2, 4))
    p = cell.parameters
    expected = np.tanh(x @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"])
    output, state = cell.step(x, h)
    np.testing.assert_allclose(output, expected, rtol=1e-12)
    np.testing.assert_array_equal(output, state)


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
