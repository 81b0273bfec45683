"""Keras's own tests of its layers GRU, LSTM and SimpleRNN, with layers that compute by our cells.

    KERAS_BACKEND=torch python benchmarks/judges/keras_layers.py [PACKAGE]

The tests (`gru_test.py`, `lstm_test.py`, `simple_rnn_test.py`) lie in the package `keras`, or in that of a
checkout (PACKAGE is its folder `keras`). They are run as they are, but for the class of the layer: ours
inherits from it, and where Keras would compute, its variables are read as `pantoum import` reads them and our
cell (`pantoum.network`) computes. So the golden numbers, states, masks and directions of the tests are those
of our cells. Prints passed of run, and why a test is refused. Exits with 1 if one of the others fails.
"""

from __future__ import annotations

import importlib
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pantoum.apps.convert.from_keras import _layer
from pantoum.apps.convert.import_model import of_layer
from pantoum.config import CELLS
from pantoum.network.blocks import Cell
from pantoum.network.network_state import to_arrays

FILES = {"gru_test": "GRU", "lstm_test": "LSTM", "simple_rnn_test": "SimpleRNN"}
REFUSED = {
    "test_basics": "of regularizers, dropout, saving and symbolic tensors: of Keras, not of a cell",
    "test_stateful_with_symbolic_batch_size": "of TensorFlow's symbolic tensors, not of a cell",
}


def computed_by_our_cell(kind: type[Any]) -> type[Any]:
    """The layer, whose loop over time steps is a scan of our cell."""
    import keras

    class Ours(kind):  # type: ignore[misc]
        def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
            x_BTI, begun = keras.ops.convert_to_numpy(sequences), initial_state
            begun = begun if isinstance(begun, (list, tuple)) else [begun]
            begun = [keras.ops.convert_to_numpy(part).astype(np.float32) for part in begun]
            parts = {place: keras.ops.convert_to_numpy(v) for place, v in enumerate(self.cell.weights)}
            parts = {place: array for place, array in parts.items() if array.dtype.kind == "f"}
            layer = _layer(kind.__name__, parts, self.cell.get_config())
            cell = Cell(layer.inputs, layer.units, None, spec=CELLS[layer.cell])
            cell.parameters.update(of_layer(layer, layer.units, layer.inputs))
            mask_BT = np.ones(x_BTI.shape[:2], bool) if mask is None else keras.ops.convert_to_numpy(mask)
            outputs_BTH, last = scanned(cell, x_BTI.astype(np.float32), begun, mask_BT, self)
            tensor = keras.ops.convert_to_tensor
            outputs = tensor(outputs_BTH if self.return_sequences else outputs_BTH[:, -1:])
            return tensor(outputs_BTH[:, -1]), outputs, [tensor(part) for part in last]

    Ours.__name__ = kind.__name__
    return Ours


def scanned(cell: Any, x_BTI: Any, begun: list[Any], mask_BT: Any, layer: Any) -> tuple[Any, list[Any]]:
    """(outputs [B,T,H], the parts of the last state). A place that the mask leaves out keeps the state, and
    has the output before it, or zeros."""
    if layer.go_backwards:
        x_BTI, mask_BT = x_BTI[:, ::-1], mask_BT[:, ::-1]
    state = tuple(begun) if len(begun) > 1 else begun[0]
    if mask_BT.all():
        outputs_BTH, after = cell.scan(np.ascontiguousarray(x_BTI), state)
        return outputs_BTH, list(to_arrays(after))
    outputs, shown = [], np.zeros_like(begun[0])
    for place in range(x_BTI.shape[1]):
        going = mask_BT[:, place, None]
        found, after = cell.step(np.ascontiguousarray(x_BTI[:, place]), state)
        kept = [
            np.where(going, new, old) for new, old in zip(to_arrays(after), to_arrays(state), strict=True)
        ]
        state = tuple(kept) if len(kept) > 1 else kept[0]
        nothing = np.zeros_like(found) if layer.zero_output_for_mask else shown
        shown = np.where(going, found, shown)
        outputs.append(np.where(going, found, nothing))
    return np.stack(outputs, axis=1), list(to_arrays(state))


class Told(unittest.TextTestResult):
    """Results of tests, each with its name; those that are refused are not run."""

    passed = 0

    def startTest(self, test: Any) -> None:
        name = test._testMethodName
        refused = next((why for begins, why in REFUSED.items() if name.startswith(begins)), None)
        if refused is not None:
            setattr(test, name, lambda *_: test.skipTest(refused))
        super().startTest(test)

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        Told.passed += 1
        print(f"{test.id()}: passed")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        print(f"{test.id()}: refused, {reason}")


def main() -> int:
    """Judge all of them."""
    if len(sys.argv) > 1:
        sys.path.insert(0, str(Path(sys.argv[1]).absolute().parent))
    suite = unittest.TestSuite()
    for name, kind in FILES.items():
        try:
            tests = importlib.import_module(f"keras.src.layers.rnn.{name}")
        except ImportError as problem:
            sys.exit(f"these tests are not there ({problem}): give the folder keras of a checkout of Keras")
        ours = computed_by_our_cell(getattr(tests.layers, kind))
        tests.layers = SimpleNamespace(**{**vars(tests.layers), kind: ours})
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(tests))
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Told, verbosity=0).run(suite)
    run = result.testsRun - len(result.skipped)
    print(f"{Told.passed} passed of {run} run, {len(result.skipped)} refused")
    return int(Told.passed < run or not run)


if __name__ == "__main__":
    sys.exit(main())
