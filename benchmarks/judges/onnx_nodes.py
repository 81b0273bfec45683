"""ONNX's own tests of its operators RNN, GRU and LSTM, given to our cells and to our exporter.

    python benchmarks/judges/onnx_nodes.py

Each case of the package `onnx` (`onnx.backend.test.case.node`) is read as `pantoum import` reads a layer. Its
results must be those of our cell (`pantoum.network`), and of the node that `export --to onnx` writes for this
cell, in ONNX's reference evaluator. Prints passed of run, and why a case is refused. Exits with 1 if one of
the others fails.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from pantoum.apps.convert import from_onnx, onnx_file
from pantoum.apps.convert.import_model import of_layer
from pantoum.apps.convert.onnx_file import Graph, Value
from pantoum.config import CELLS
from pantoum.network.blocks import Cell
from pantoum.network.network_state import to_arrays

OPERATORS = ("RNN", "GRU", "LSTM")


def cases() -> Iterator[tuple[str, Any, list[Any], list[Any]]]:
    """The name, the node, the inputs and the results of each test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node as made

        for operator in OPERATORS:  # its own function for this makes the cases of all operators
            importlib.import_module(f"onnx.backend.test.case.node.{operator.lower()}")
        found = list(made._NodeTestCases)
    seen = set()
    for case in found:
        nodes = [node for node in case.model.graph.node if node.op_type in OPERATORS]
        if len(nodes) == 1 and len(case.model.graph.node) == 1 and case.name not in seen:
            seen.add(case.name)
            ((inputs, results),) = case.data_sets
            yield case.name, nodes[0], list(inputs), list(results)


def judged(node: Any, inputs: list[Any], results: list[Any]) -> list[tuple[str, float]]:
    """(ours, the greatest difference) for the cell and for the exporter."""
    import onnx

    own = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    names = [name for name in node.input if name]
    given = dict(zip(names, inputs, strict=True))
    places = [given.get(name) for name in node.input]
    layer = from_onnx.layer_of(node.op_type, places, own)
    batch_first = bool(own.get("layout"))
    x_BTI = places[0] if batch_first else places[0].swapaxes(0, 1)
    parameters, units = of_layer(layer, layer.units, layer.inputs), layer.units
    return [
        ("cell", difference(by_cell(layer.cell, parameters, x_BTI), node, results, batch_first)),
        ("exporter", difference(by_graph(layer.cell, parameters, x_BTI, units), node, results, batch_first)),
    ]


def by_cell(name: str, parameters: dict[str, Any], x_BTI: Any) -> list[Any]:
    """Outputs [B,T,H], and the parts of the last state."""
    spec, rows = CELLS[name], len(parameters["weight_ih"])
    cell = Cell(x_BTI.shape[2], rows // len(spec.gates), None, spec=spec)
    cell.parameters.update(parameters)
    outputs_BTH, state = cell.scan(x_BTI.astype(np.float32), cell.initial_state(len(x_BTI)))
    return [outputs_BTH, *to_arrays(state)]


def by_graph(name: str, parameters: dict[str, Any], x_BTI: Any, units: int) -> list[Any]:
    """The same of the exported node."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    graph, spec = Graph(onnx), CELLS[name]
    state = [Value(graph, part) for part in spec.state]
    arrays = {f"layer.{key}": array for key, array in parameters.items()}
    outputs, last = onnx_file.layer_nodes(graph, spec, Value(graph, "x"), state, "layer.", arrays)
    B, T, inputs = x_BTI.shape
    ends = [graph.named(value, f"out{place}") for place, value in enumerate([outputs, *last])]
    made = graph.made(
        "node",
        [
            graph.declared("x", np.float32, [T, B, inputs]),
            *(graph.declared(part, np.float32, [B, units]) for part in spec.state),
        ],
        [
            graph.declared(name, np.float32, [T, B, units] if place == 0 else [B, units])
            for place, name in enumerate(ends)
        ],
    )
    zeros = np.zeros((B, units), np.float32)
    fed = {"x": np.ascontiguousarray(x_BTI.swapaxes(0, 1), np.float32), **dict.fromkeys(spec.state, zeros)}
    found = ReferenceEvaluator(onnx.load_model_from_string(graph.model(made, "{}"))).run(None, fed)
    return [found[0].swapaxes(0, 1), *found[1:]]


def difference(ours: list[Any], node: Any, results: list[Any], batch_first: bool) -> float:
    """From the results that the node names: Y, Y_h and Y_c."""
    theirs = dict(zip([name for name in node.output if name], results, strict=True))
    found = [0.0]
    for place, name in enumerate(node.output):
        if name:
            shape = ours[place].shape
            expected = theirs[name]
            if place == 0 and not batch_first:
                expected = expected.transpose(2, 0, 1, 3)
            found.append(float(np.abs(expected.reshape(shape) - ours[place]).max()))
    return max(found)


def main() -> int:
    """Judge all of them."""
    run = passed = 0
    for name, node, inputs, results in cases():
        try:
            found = judged(node, inputs, results)
        except ValueError as problem:
            print(f"{name}: refused, {problem}")
            continue
        for ours, far in found:
            run, passed = run + 1, passed + (far < 1e-5)
            print(f"{name}, {ours}: {'passed' if far < 1e-5 else f'FAILED, {far:g} away'}")
    print(f"{passed} passed of {run} run")
    return int(passed < run)


if __name__ == "__main__":
    sys.exit(main())
