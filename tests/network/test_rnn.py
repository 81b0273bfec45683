"""The plain cell: its equation, written down once more."""

from __future__ import annotations

import numpy as np

from pantoum.network import RNN


def test_a_step_is_its_equation(random: np.random.Generator) -> None:
    cell = RNN(3, 4, dtype=np.float64)
    x, h = random.standard_normal((2, 3)), random.standard_normal((2, 4))
    p = cell.parameters
    expected = np.tanh(x @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"])
    output, state = cell.step(x, h)
    np.testing.assert_allclose(output, expected, rtol=1e-12)
    np.testing.assert_array_equal(output, state)
