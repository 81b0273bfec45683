"""PyTorch's RNN, GRU and LSTM, two layers deep, from the golden files: results and every gradient.

``make_golden.py`` beside this file made them. With lengths, PyTorch packs the sequences.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.network import GRU, LSTM, RNN, Stack, unroll_vjp

FOLDER = Path(__file__).parent
CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
CASES = [kind + suffix for kind in CELLS for suffix in ("", "-lengths")]


def layers(golden: dict[str, np.ndarray], name: str, depth: int) -> Any:
    """PyTorch's [L,B,H] arrays as a stack's state."""
    if name + "1" in golden:
        return tuple((golden[name + "0"][layer], golden[name + "1"][layer]) for layer in range(depth))
    return tuple(golden[name + "0"])


@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_are_pytorchs(case: str) -> None:
    with np.load(FOLDER / f"{case}.npz") as file:
        golden = dict(file)
    depth, _, hidden = golden["state0"].shape
    cell = CELLS[case.removesuffix("-lengths")]
    stack = Stack(
        [
            cell(golden["inputs"].shape[2], hidden, dtype=np.float64),
            *(cell(hidden, hidden, dtype=np.float64) for _ in range(depth - 1)),
        ]
    )
    names = {name: "parameter.{1}_l{0}".format(*name.split(".")) for name in stack.parameters}
    stack.parameters.update({name: golden[theirs] for name, theirs in names.items()})
    outputs, last, pullback = unroll_vjp(
        stack, golden["inputs"], layers(golden, "state", depth), golden.get("lengths")
    )
    d_inputs, d_state, gradients = pullback(golden["d_outputs"], layers(golden, "d_last", depth))
    np.testing.assert_allclose(outputs, golden["outputs"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(d_inputs, golden["d_inputs"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(last, layers(golden, "last", depth), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(d_state, layers(golden, "d_state", depth), rtol=1e-9, atol=1e-12)
    for name, theirs in names.items():
        expected = golden[theirs.replace("parameter", "gradient")]
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)
