"""Models as ONNX graphs: GRU, LSTM or RNN, with an embedding (``Gather``) or one-hot inputs before them and a
linear layer (``MatMul`` or ``Gemm``) after them.

The tokens are followed through the graph: what becomes of them is a ``Flow``. Operators that only change the
order or the type of numbers leave it as it is; any other on the way to the logits is refused by its name,
because the graph computes something else then. What is computed of shapes is no part of it. Needs the package
``onnx``. Constants may lie in ``NAME.data`` beside the file, as PyTorch writes them.

Shapes: V symbols, H units, G gate rows, I inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np

from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, blocks
from pantoum.seams import CELLS, Array, BadFileError, plain_json

__all__ = ["layer_of", "reader"]

RECURRENT = ("RNN", "GRU", "LSTM")
ORDER = {
    "Cast", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
"""Operators that change the order or the type of numbers."""
USUAL = {"RNN": [b"Tanh"], "GRU": [b"Sigmoid", b"Tanh"], "LSTM": [b"Sigmoid", b"Tanh", b"Tanh"]}


@dataclass(frozen=True, eq=False)
class Flow:
    """What became of the tokens so far."""

    table: Array | None = None
    one_hot: bool = False
    layers: tuple[SourceLayer, ...] = ()
    head: tuple[Array, Array] | None = None
    """The product [H,V] and the sum [V] after the layers."""


def reader(data_name: str) -> Callable[..., Iterator[bytes]]:
    """What reads such files, and a file of this name beside them, if there is one."""
    import onnx.numpy_helper  # noqa: F401

    return lambda file, data=None: blocks(_model(file.read(), data_name, data))


def _model(content: bytes, data_name: str, data: IO[bytes] | None) -> ForeignModel:
    import onnx

    model = onnx.load_model_from_string(content)
    walk = _Walk(onnx, model.graph, data_name, data)
    ends = [walk.flows[out.name] for out in model.graph.output if out.name in walk.flows]
    heads = [flow for flow in ends if flow.head is not None and flow.layers]
    if len(heads) != 1 or heads[0].head is None:
        if walk.stopped:
            raise BadFileError(
                f"it has the operator {walk.stopped[0]}, which plain recurrent models do not have",
                "only an embedding, recurrent layers and a linear layer can be imported",
            )
        what = "several outputs" if heads else "it has no output of a linear layer after a recurrent one"
        raise BadFileError(f"it has {what}", "export the whole model")
    weight_HV, bias_V = heads[0].head
    return ForeignModel(
        "ONNX", heads[0].layers, heads[0].table, weight_HV.T, bias_V, tokenizer=_tokenizer(model)
    )


class _Walk:
    """The constants of a graph and the way of its tokens, node by node."""

    def __init__(self, onnx: Any, graph: Any, data_name: str, data: IO[bytes] | None) -> None:
        self._onnx, self._data_name, self._data = onnx, data_name, data
        self.arrays = {tensor.name: self._array(tensor) for tensor in graph.initializer}
        whole = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
        self.flows = {
            one.name: Flow()
            for one in graph.input
            if one.name not in self.arrays and one.type.tensor_type.elem_type in whole
        }
        self._learned: set[str] = {name for name, array in self.arrays.items() if _learned(array)}
        """Values made of constants alone that are not zero."""
        self.stopped: list[str] = []
        """The operators at which a way ended."""
        for node in graph.node:
            self._take(node)

    def _array(self, tensor: Any) -> Array:
        """A constant; what lies in another file is read from the one that was opened, and no other."""
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            where = {entry.key: entry.value for entry in tensor.external_data}
            if self._data is None or where.get("location") != self._data_name:
                raise BadFileError(f"{tensor.name} is in another file", "save it with its data in one")
            self._data.seek(int(where.get("offset", 0)))
            tensor.raw_data = self._data.read(int(where.get("length", -1)))
            tensor.data_location = self._onnx.TensorProto.DEFAULT
        found: Array = self._onnx.numpy_helper.to_array(tensor)
        return found

    def _take(self, node: Any) -> None:
        given = [self.arrays.get(name) for name in node.input]
        flows = [self.flows[name] for name in node.input if name in self.flows]
        own = {one.name: one for one in node.attribute}
        if not flows:
            self._constant(node, own, given)
        elif node.op_type not in ("Shape", "Size"):
            found = self._after(node, own, given) if len(flows) == 1 else None
            if found is None:
                self.stopped.append(node.op_type)
            else:
                recurrent = node.op_type in RECURRENT  # whose second output is the last state
                outputs = filter(None, node.output[: 1 + recurrent])
                self.flows.update(dict.fromkeys(outputs, found))

    def _constant(self, node: Any, own: dict[str, Any], given: list[Array | None]) -> None:
        """An operator of constants, shapes or states; those that can make a weight are computed."""
        kind, first = node.op_type, given[0] if given else None
        made: Array | None = None
        if kind in ("Constant", "ConstantOfShape") and own:
            value = self._onnx.helper.get_attribute_value(next(iter(own.values())))
            if getattr(value, "data_location", 0) == self._onnx.TensorProto.EXTERNAL:
                raise BadFileError("one of its constants is in another file", "save it with its data in one")
            made = self._array(value) if hasattr(value, "data_location") else np.asarray(value)
        elif kind == "Transpose" and first is not None:
            made = first.transpose(list(own["perm"].ints) if "perm" in own else None)
        elif kind == "Identity":
            made = first
        if made is not None and kind != "ConstantOfShape":
            self.arrays[node.output[0]] = made
        if any(name in self._learned for name in node.input) or _learned(made):
            self._learned.update(node.output)

    def _after(self, node: Any, own: dict[str, Any], given: list[Array | None]) -> Flow | None:
        """What an operator makes of the one flow that it takes; ``None``: something else."""
        kind, names = node.op_type, list(node.input)
        flow = self.flows.get(names[0])
        if kind == "Gather" and flow is None:
            flow, table = self.flows[names[1]], given[0]
            fits = table is not None and table.ndim == 2 and table.dtype.kind == "f" and flow.table is None
            return replace(flow, table=table) if fits and not flow.one_hot else None
        if kind == "Add" and flow is None:
            flow, given = self.flows[names[1]], given[::-1]
        if flow is None or node.domain not in ("", "ai.onnx"):
            return None
        if kind in ORDER:
            return flow
        if kind == "OneHot":
            usual = len(given) == 3 and given[2] is not None and given[2].tolist() == [0, 1]
            return replace(flow, one_hot=True) if usual and flow.table is None else None
        if kind in RECURRENT and flow.head is None:
            if any(name and array is None for name, array in zip(names[1:4], given[1:4], strict=True)):
                raise BadFileError(f"its {kind} has weights that are not constants")
            if any(name in self._learned for name in names[5:7]):
                raise BadFileError(
                    f"its {kind} begins with a state that is not zero", "export it without one"
                )
            attributes = {name: self._onnx.helper.get_attribute_value(one) for name, one in own.items()}
            return replace(flow, layers=(*flow.layers, layer_of(kind, given, attributes)))
        if kind in ("MatMul", "Gemm") and flow.layers:
            return replace(flow, head=self._product(flow.head, given, own, flow.layers[-1].units))
        if kind == "Add" and flow.head is not None and given[1] is not None:
            return replace(flow, head=(flow.head[0], flow.head[1] + given[1].reshape(-1)))
        return flow if kind in ("Softmax", "LogSoftmax") and flow.head is not None else None

    def _product(
        self,
        head: tuple[Array, Array] | None,
        given: list[Array | None],
        own: dict[str, Any],
        units: int,
    ) -> tuple[Array, Array]:
        weight, bias = given[1], given[2] if len(given) > 2 else None
        constant = weight is not None and weight.ndim == 2 and (bias is not None or len(given) < 3)
        numbers = {name: self._onnx.helper.get_attribute_value(one) for name, one in own.items()}
        usual = not numbers.get("transA") and numbers.get("alpha", 1) == numbers.get("beta", 1) == 1
        if weight is None or not constant or not usual:
            raise BadFileError("its output layer is not a product with a constant matrix")
        weight = weight.T if numbers.get("transB") else weight
        if head is None and len(weight) != units:
            raise BadFileError(f"its output layer has {len(weight):,} rows for {units:,} units")
        if head is not None:
            weight, before = head[0] @ weight, head[1] @ weight
        else:
            before = np.zeros(weight.shape[1], np.float32)
        return weight, before if bias is None else before + bias.reshape(-1)


def _learned(array: Array | None) -> bool:
    """Whether it is a constant of numbers that are not zero."""
    return array is not None and array.dtype.kind == "f" and bool(array.any())


def layer_of(kind: str, given: list[Array | None], own: dict[str, Any]) -> SourceLayer:
    """A layer of these inputs and attributes."""
    known = (
        own.get("activations", USUAL[kind]) == USUAL[kind] and own.get("direction", b"forward") == b"forward"
    )
    if not known or own.get("clip") or own.get("input_forget"):
        raise BadFileError(f"its {kind} has another direction, other activations, clip or input_forget")
    if kind == "LSTM" and len(given) > 7 and given[7] is not None:
        raise BadFileError(f"its {kind} has peepholes")
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
