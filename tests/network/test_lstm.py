"""The LSTM's own: its state is a pair, its forget gate begins open."""

from __future__ import annotations

import numpy as np

from pantoum.network import LSTM


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
