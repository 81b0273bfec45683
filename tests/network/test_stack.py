"""A stack is its layers one after another, in the order that its page says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pantoum.config import DropoutConfig
from pantoum.errors import SettingError
from pantoum.kernels import DropoutDraw, reference
from pantoum.network import GRU, LSTM, RNN, Stack, unroll

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
