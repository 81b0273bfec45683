"""Both forms of the GRU, and the original's own equations written down once more."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.errors import SettingError
from pantoum.network import GRU


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
