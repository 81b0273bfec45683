"""A graph of ONNX as it is written: nodes and constants, each under a name of its own.

``Value`` has the arithmetic of arrays, so it can take their place in the equations of a cell
(``kernels.reference.cell``): each operation becomes a node. Needs the package ``onnx``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pantoum.errors import SettingError
from pantoum.seams import Array

__all__ = ["OPSET", "Graph", "Value", "onnx_package"]

OPSET, IR_VERSION = 17, 8
"""The versions of operators and of the file format that ONNX had in 2022: older readers know them."""


def onnx_package(argument: str, value: str) -> Any:
    """The package; ``SettingError`` about this argument where it is not installed."""
    try:
        import onnx
    except ImportError:
        rule, advice = "needs the package `onnx`, which is not installed", "run: pip install 'pantoum[onnx]'"
        raise SettingError(argument, value, rule, advice) from None
    return onnx


@dataclass(frozen=True)
class Value:
    """What a node of a graph gives."""

    graph: Graph
    name: str

    def __add__(self, other: Value) -> Value:
        return self.graph.node("Add", self, other)

    def __sub__(self, other: Value) -> Value:
        return self.graph.node("Sub", self, other)

    def __mul__(self, other: Value) -> Value:
        return self.graph.node("Mul", self, other)


class Graph:
    """Nodes in their order, and constants."""

    def __init__(self, onnx: Any, prefix: str = "") -> None:
        """``prefix``: of the names in a graph within another, whose names it may use."""
        self.onnx, self.prefix = onnx, prefix
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, array: Array) -> Value:
        """An array, once under each name."""
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        return Value(self, name)

    def numbers(self, *numbers: int) -> Value:
        """Whole numbers as an array of one axis."""
        return self.constant(
            "_".join([f"{self.prefix}numbers", *map(str, numbers)]), np.array(numbers, np.int64)
        )

    def number(self, number: int) -> Value:
        """A whole number."""
        return self.constant(f"number_{number}", np.array(number, np.int64))

    def node(self, operator: str, *inputs: Value | None, **attributes: Any) -> Value:
        """The only result of an operator; ``None`` is an input that is left out."""
        return self.nodes_of(operator, inputs, 1, **attributes)[0]

    def nodes_of(
        self, operator: str, inputs: Sequence[Value | None], outputs: int, **attributes: Any
    ) -> list[Value]:
        """The results of an operator."""
        names = [f"{self.prefix}{operator}_{len(self.nodes)}_{place}" for place in range(outputs)]
        given = ["" if one is None else one.name for one in inputs]
        self.nodes.append(self.onnx.helper.make_node(operator, given, names, **attributes))
        return [Value(self, name) for name in names]

    def named(self, value: Value, name: str) -> str:
        """The same under another name, as an output."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value.name], [name]))
        return name

    def declared(self, name: str, dtype: type[np.generic], axes: Sequence[int | str]) -> Any:
        """An input or an output; an axis with a name is open."""
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.onnx.helper.make_tensor_value_info(name, kind, list(axes))

    def made(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """The graph in the form of the package."""
        return self.onnx.helper.make_graph(self.nodes, name, inputs, outputs, list(self.constants.values()))

    def model(self, graph: Any, about: str) -> bytes:
        """The bytes of a file of this graph; ``about`` is its one metadata text."""
        helper = self.onnx.helper
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="pantoum",
        )
        helper.set_model_props(made, {"pantoum": about})
        data: bytes = made.SerializeToString(deterministic=True)
        return data
