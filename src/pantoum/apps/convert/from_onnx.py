"""Models as ONNX graphs: GRU, LSTM or RNN, with an embedding (``Gather``) or one-hot inputs before them and a
linear layer (``MatMul`` or ``Gemm``) after them.

Operators that only change the order or the type of numbers are passed over; any other is refused by its name,
because the graph computes something else then. Needs the package ``onnx``.

Shapes: V symbols, H units, G gate rows, I inputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer
from pantoum.apps.convert.onnx_graph import onnx_package
from pantoum.errors import ModelFileError
from pantoum.seams import CELLS, Array, bounded, plain_json

__all__ = ["layer_of", "read"]

MOST_BYTES = 2**31
RECURRENT = ("RNN", "GRU", "LSTM")
PASSED = {
    "Cast", "Concat", "Constant", "ConstantOfShape", "Dropout", "Expand", "Identity", "LogSoftmax", "OneHot",
    "Reshape", "Shape", "Slice", "Softmax", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
USUAL = {"RNN": [b"Tanh"], "GRU": [b"Sigmoid", b"Tanh"], "LSTM": [b"Sigmoid", b"Tanh", b"Tanh"]}


class _Walk:
    """The constants and the parts of a graph, node by node."""

    def __init__(self, onnx: Any, graph: Any) -> None:
        self.onnx = onnx
        self.arrays: dict[str, Array] = {}
        for tensor in graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise ValueError(f"{tensor.name} lies in another file; save it with its data in one")
            self.arrays[tensor.name] = onnx.numpy_helper.to_array(tensor)
        self.layers: list[SourceLayer] = []
        self.tables: list[Array] = []
        self.one_hot = 0
        self.head: tuple[Array, Array] | None = None
        """The product [H,V] and the sum [V] after the layers."""
        for node in graph.node:
            self._take(node)

    def _take(self, node: Any) -> None:
        given = [self.arrays.get(name) for name in node.input]
        own = {one.name: self.onnx.helper.get_attribute_value(one) for one in node.attribute}
        kind = node.op_type
        if kind in RECURRENT:
            self.layers.append(layer_of(kind, given, own))
        elif kind == "Gather" and given[0] is not None and given[0].ndim == 2 and given[0].dtype.kind == "f":
            self.tables.append(given[0])
        elif kind in ("MatMul", "Gemm") and self.layers:
            self._product(given, own)
        elif kind == "Add" and self.head is not None and any(one is not None for one in given):
            bias = next(one for one in given if one is not None)
            self.head = self.head[0], self.head[1] + bias.reshape(-1)
        elif kind == "Constant" and "value" in own:
            self.arrays[node.output[0]] = self.onnx.numpy_helper.to_array(own["value"])
        elif kind == "Transpose" and given[0] is not None:
            self.arrays[node.output[0]] = given[0].transpose(own.get("perm"))
        elif kind == "Identity" and given[0] is not None:
            self.arrays[node.output[0]] = given[0]
        elif kind not in PASSED and kind != "Gather":
            raise ValueError(f"it has the operator {kind} where no plain recurrent model has one")
        self.one_hot += kind == "OneHot"

    def _product(self, given: list[Array | None], own: dict[str, Any]) -> None:
        weight, bias = given[1], given[2] if len(given) > 2 else None
        if weight is None or weight.ndim != 2 or own.get("transA") or own.get("alpha", 1) != 1:
            raise ValueError("its output layer is not a product with a constant matrix")
        weight = weight.T if own.get("transB") else weight
        if self.head is not None:
            weight, before = self.head[0] @ weight, self.head[1] @ weight
        else:
            before = np.zeros(weight.shape[1], np.float32)
        self.head = weight, before if bias is None else before + bias.reshape(-1)


def read(path: Path) -> ForeignModel:
    """The model of such a file."""
    onnx = onnx_package("file", str(path))
    data = bounded.read_small(path, MOST_BYTES, ModelFileError)
    try:
        model = onnx.load_model_from_string(data)
        walk = _Walk(onnx, model.graph)
        if not walk.layers or walk.head is None:
            raise ValueError("it has no recurrent layer with a linear layer after it")
        if len(walk.tables) + walk.one_hot > 1:
            raise ValueError("it has several embeddings: an ensemble cannot be imported")
    except ModelFileError as problem:
        raise ModelFileError(f"cannot import {str(path)!r}: {problem}") from None
    except Exception as problem:  # the errors of protobuf are of no one kind
        raise ModelFileError(f"cannot import {str(path)!r}: {problem}; export it again") from None
    embedding_VE = walk.tables[0] if walk.tables else None
    weight_HV, bias_V = walk.head
    return ForeignModel(
        "ONNX", tuple(walk.layers), embedding_VE, weight_HV.T, bias_V, tokenizer=_tokenizer(model)
    )


def layer_of(kind: str, given: list[Array | None], own: dict[str, Any]) -> SourceLayer:
    """A layer of these inputs and attributes."""
    known = (
        own.get("activations", USUAL[kind]) == USUAL[kind] and own.get("direction", b"forward") == b"forward"
    )
    if not known or own.get("clip") or own.get("input_forget"):
        raise ValueError(f"its {kind} has another direction, other activations, clip or input_forget")
    if any(one is None for one in given[1:3]) or (kind == "LSTM" and len(given) > 7 and given[7] is not None):
        raise ValueError(f"its {kind} has weights that are no constants, or peepholes")
    before = kind == "GRU" and not own.get("linear_before_reset")
    cell, gates = next(
        (cell, cell.onnx[1])
        for cell in CELLS.values()
        if cell.onnx is not None and cell.onnx[0] == kind and (kind != "GRU" or cell.biased != before)
    )
    weight_ih, weight_hh = (np.asarray(one)[0] for one in given[1:3])
    both = (
        given[3] if len(given) > 3 and given[3] is not None else np.zeros((1, 2 * len(weight_ih)), np.float32)
    )
    return SourceLayer(cell.name, gates, weight_ih, weight_hh, *np.split(both[0], 2))


def _tokenizer(model: Any) -> dict[str, Any] | None:
    """That of a file of ``pantoum export --to onnx``."""
    text = next((one.value for one in model.metadata_props if one.key == "pantoum"), "{}")
    try:
        found: Any = plain_json.decode(text.encode())
    except ValueError:
        return None
    found = found.get("tokenizer") if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None
