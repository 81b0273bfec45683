"""A stack is its layers one after another, in the order that its page says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pantoum.config import DropoutConfig
from pantoum.errors import SettingError
from pantoum.kernels import DropoutDraw, reference
from pantoum.network import GRU, LSTM, RNN, Stack, concatenate_state, split_state, unroll
from pantoum.network.network_state import NetworkState, from_arrays, map_arrays, to_arrays

B, T, H = 2, 4, 5
Random = np.random.Generator


def cells(layers: int = 2, inputs: int = H) -> list[GRU]:
    return [GRU(inputs if k == 0 else H, H, seed=0, place=k, dtype=np.float64) for k in range(layers)]


def test_layers_follow_one_another(random: Random) -> None:
    below, above = LSTM(3, 4, dtype=np.float64), GRU(4, 5, dtype=np.float64)
    x = random.standard_normal((B, T, 3))
    outputs, state = unroll(Stack([below, above]), x)
    between, state_below = unroll(below, x)
    expected, state_above = unroll(above, between)
    np.testing.assert_array_equal(outputs, expected)
    np.testing.assert_array_equal(state[0][1], state_below[1])
    np.testing.assert_array_equal(state[1], state_above)


def test_layers_of_one_seed_differ_and_one_more_leaves_them_as_they_were() -> None:
    two, three = Stack(cells(2)).parameters, Stack(cells(3)).parameters
    assert (two["0.weight_hh"] != two["1.weight_hh"]).all()
    np.testing.assert_array_equal(two["1.weight_hh"], three["1.weight_hh"])


def test_each_layer_drops_its_inputs_and_the_last_its_outputs(random: Random) -> None:
    """The whole order, by hand, with the masks of layers 0 to 2."""
    rates = DropoutConfig(0.2, 0.3, 0.4)
    stack = Stack(cells(), dropout=rates)
    x = random.standard_normal((B, T, H))

    def drop(y: np.ndarray, rate: float, layer: int) -> np.ndarray:
        y_TBH = np.ascontiguousarray(y.swapaxes(0, 1))
        return reference.dropout(y_TBH, rate, layer, DropoutDraw(7, 8, np.arange(B))).swapaxes(0, 1)

    y = x
    for layer, rate in enumerate((rates.inputs, rates.between)):
        y, _ = unroll(stack.cells[layer], drop(y, rate, layer))
    outputs, state = unroll(stack, x, dropout_key=(7, 8))
    np.testing.assert_allclose(outputs, drop(y, rates.outputs, 2), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state[1], y[:, -1], rtol=1e-10)  # the state is not dropped


def test_outputs_past_a_length_are_zero(random: Random) -> None:
    outputs, _ = unroll(Stack(cells()), random.standard_normal((B, T, H)), lengths=[1, 3])
    assert not outputs[0, 1:].any()
    assert outputs[0, 0].all()


def test_variational_masks_are_the_same_at_every_step(random: Random) -> None:
    stack = Stack([RNN(3, 64)], dropout=DropoutConfig(outputs=0.5, kind="variational"))
    outputs, _ = unroll(stack, random.standard_normal((B, T, 3)), dropout_key=(0, 0))
    zeros = outputs == 0
    assert (zeros == zeros[:, :1]).all()
    assert 0 < zeros.mean() < 1
    assert (zeros[0] != zeros[1]).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stack([]), r"cells is \[\]: it must hold at least one cell; give a list of cells"),
        (lambda: Stack([GRU(3, 4), GRU(5, 4)]), "input_size 5 .* over one of hidden_size 4 .*: it must fit"),
        (lambda: Stack([GRU(4, 4), GRU(4, 4, dtype=np.float64)]), r"\(float64\) over .* 4 \(float32\)"),
        (lambda: Stack([GRU(4, 4)] * 3), "must be different: each layer has its own weights; build one"),
    ],
)
def test_cells_that_do_not_fit_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()


STACK = Stack([GRU(3, 4), LSTM(4, 5)])


@pytest.fixture
def state(random: np.random.Generator) -> Any:
    return map_arrays(lambda a: random.standard_normal(a.shape).astype(a.dtype), STACK.initial_state(3))


def assert_equal(a: Any, b: Any) -> None:
    for x, y in zip(to_arrays(a), to_arrays(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_concatenated_state_is_one_array_and_comes_apart_again(state: Any) -> None:
    array = concatenate_state(state)
    assert array.shape == (3, 4 + 5 + 5)
    assert_equal(split_state(STACK, array), state)
    assert_equal(split_state(STACK.cells[1], array[:, 4:]), state[1])


@pytest.mark.parametrize("shape", [(3, 13), (14,), (1, 3, 14)])
def test_an_array_of_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match=r"state is .*: it must have the shape \[B, 14\]"):
        split_state(STACK, np.zeros(shape))


def test_arrays_and_back(state: Any) -> None:
    assert [a.shape for a in to_arrays(state)] == [(3, 4), (3, 5), (3, 5)]
    assert_equal(from_arrays(STACK.initial_state(1), to_arrays(state)), state)
    with pytest.raises(SettingError, match="state is '2 arrays': it must be 3 for this model"):
        from_arrays(STACK.initial_state(1), to_arrays(state)[:2])


def network_state(state: Any) -> NetworkState:
    return NetworkState(tuple(to_arrays(state)))


def test_rows_of_a_models_state_are_selected_and_joined(state: Any) -> None:
    whole = network_state(state)
    parts = [whole.select([row]) for row in range(3)]
    assert len(whole) == 3 and [len(part) for part in parts] == [1, 1, 1]
    assert_equal(NetworkState.joined(parts).arrays, whole.arrays)
    assert_equal(whole.select(slice(1, 3)).arrays, NetworkState.joined(parts[1:]).arrays)
    assert_equal(whole.select(np.array([True, False, True])).arrays, whole.select([0, 2]).arrays)
    parts[0].arrays[0][...] = 9
    assert not (whole.arrays[0] == 9).any()


def test_rows_are_zeroed_in_a_new_state(state: Any) -> None:
    whole = network_state(state)
    kept = whole.copy()
    fresh = whole.zero_where(np.array([True, False, True]))
    assert_equal(whole.arrays, kept.arrays)
    assert not any(a[[0, 2]].any() for a in fresh.arrays)
    assert_equal(fresh.select([1]).arrays, whole.select([1]).arrays)
    assert fresh.arrays[0].dtype == np.float32


def test_a_state_of_another_batch_is_refused_and_one_that_is_not_finite_known(state: Any) -> None:
    whole = network_state(state)
    assert whole.finite and whole.checked(whole.copy()).shapes == whole.shapes
    with pytest.raises(SettingError, match="a state belongs to its model and its batch"):
        whole.checked(whole.select([0]))
    whole.arrays[1][2, 3] = np.nan
    assert not whole.finite
