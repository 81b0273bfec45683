"""A file of a network for ONNX Runtime and others: ``export --to onnx``.

    tokens [B,T] int64, a state -> logits [B,T,V] of the token after each, the state after the tokens

Batch and time are open. The arrays of the state have the names, shapes and meaning of ``network.spec`` and
begin at zero; after the tokens they have the same names with ``next.`` before. A cell is the operator of ONNX
that computes it (``CellSpec.onnx``); where there is none, it is a ``Scan`` over its own equations. The graph
knows nothing of documents: whoever reads them begins each with a state of zeros.

The row of an n-gram is a hash modulo 2^64 (``mixers.ngrams``). ONNX does not say what becomes of a 64-bit
integer that overflows, so each factor is divided into halves of 32 bits, and no product reaches 2^63.

``Graph`` has nodes and constants, each under a name of its own. ``Value`` has the arithmetic of arrays, so
it can take their place in the equations of a cell: each operation becomes a node. Needs the package ``onnx``.

Shapes: B streams, T steps, V symbols, H units, G gate rows, K tokens kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.seams import (
    CELLS,
    Array,
    CellSpec,
    Codes,
    ModelConfig,
    ModelFile,
    durable,
    equations,
    notes_on_cache,
    plain_json,
    require,
    shape_of,
    state_of,
)
from pantoum.seams import COUNTS_NAME as COUNTS
from pantoum.seams import NGRAM_MULTIPLIER as MULTIPLIER
from pantoum.seams import TABLE_ROLE as TABLE
from pantoum.seams import CellInputs as Given
from pantoum.seams import floats_of_codes as floats
from pantoum.seams import member_prefix as prefix
from pantoum.seams import names_of_role as named
from pantoum.seams import parameters_under as under
from pantoum.seams import plain_weights as plain
from pantoum.seams import weights_of_file as weights

__all__ = ["FORMAT", "Graph", "Value", "by_gates", "layer_nodes", "write"]

OPSET, IR_VERSION = 17, 8
"""The versions of operators and of the file format that ONNX had in 2022: older readers know them."""
FORMAT = "pantoum for onnx"
MOST_BYTES = 2**31 - 2**20
"""What one file can hold: a protobuf of 2 GiB."""
LAST = 2**63 - 1
"""The end of a slice that has none."""
Arrays = Mapping[str, Any]
"""Arrays by their names; of an int8 model some are ``Codes``."""


def write(path: Path, content: ModelFile) -> None:
    """Write the file."""
    rule, advice = "needs the package `onnx`, which is not installed", "run: pip install 'pantoum[onnx]'"
    require(find_spec("onnx") is not None, "to", "onnx", rule, advice)
    import onnx

    require(
        not any(name.startswith(COUNTS) for name in content.extras),
        "to",
        "onnx",
        "has no operator that looks up counted n-grams, which this model has",
        "use --to torch, or train without --kneser-ney",
    )
    shape, precision = shape_of(content.config)
    parameters: dict[str, Any] = dict(plain(content).parameters)
    size = sum(array.nbytes for array in parameters.values())
    rule = f"holds at most 2 GiB in a file, and this model has {size:,} bytes"
    require(size < MOST_BYTES, "to", "onnx", rule, "use --to torch")
    if precision == "int8":
        parameters |= {name: one for name, one in weights(content).items() if isinstance(one, Codes)}
    graph = Graph(onnx)
    made = _network(graph, shape, parameters)
    about = {
        "format": FORMAT,
        "version": 1,
        "config": shape.spec(),
        "made_from": content.sha256,
        "tokenizer": content.tokenizer,
    }
    durable.write_file(path, [graph.model(made, plain_json.encode(about).decode())])


def by_gates(array: Array, order: str, wanted: str) -> Array:
    """The rows of an array, which are one block per gate, in another order of the gates."""
    blocks = dict(zip(order, np.split(array, len(order)), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted])


def _network(graph: Graph, shape: ModelConfig, parameters: Arrays) -> Any:
    states = state_of(shape)
    vocab_size = len(parameters["head.bias"])
    left, after, outputs = iter(states), list[Value](), list[Value]()
    tokens_BT = Value(graph, "tokens")
    tokens_TB = graph.node("Transpose", tokens_BT, perm=[1, 0])
    for place in range(shape.members):
        own = prefix(shape, place)
        x_TBI = _inputs(graph, tokens_TB, shape, parameters, own)
        for layer in range(shape.num_layers):
            before = f"{own}stack.{layer}."
            parts = [Value(graph, next(left).name) for _ in CELLS[shape.cell].state]
            x_TBI, last = layer_nodes(graph, CELLS[shape.cell], x_TBI, parts, before, parameters)
            after += last
        outputs.append(x_TBI)
    hidden_TBH = outputs[0] if len(outputs) == 1 else graph.node("Concat", *outputs, axis=2)
    hidden_BTH = graph.node("Transpose", hidden_TBH, perm=[1, 0, 2])
    if "head.projection.weight" in parameters:
        hidden_BTH = _product(graph, hidden_BTH, "head.projection", parameters["head.projection.weight"])
    logits_BTV = _head(graph, shape, parameters, hidden_BTH) + graph.constant(
        "head.bias", parameters["head.bias"]
    )
    for table in named(shape, "table"):
        added_BTV, recent_BK = _ngrams(
            graph, shape, tokens_BT, Value(graph, next(left).name), parameters[table]
        )
        logits_BTV += added_BTV
        after.append(recent_BK)
    inputs = [graph.declared("tokens", np.int64, ["batch", "time"])]
    inputs += [graph.declared(state.name, np.float32, ["batch", state.width]) for state in states]
    found = [graph.declared(graph.named(logits_BTV, "logits"), np.float32, ["batch", "time", vocab_size])]
    for state, value in zip(states, after, strict=True):
        name = graph.named(value, f"next.{state.name}")
        found.append(graph.declared(name, np.float32, ["batch", state.width]))
    return graph.made("pantoum", inputs, found)


def _inputs(graph: Graph, tokens_TB: Value, shape: ModelConfig, parameters: Arrays, own: str) -> Value:
    """What the first layer of a member takes."""
    if shape.embedding_size is not None:
        name = f"{own}embedding.weight"
        return graph.node("Gather", graph.constant(name, floats(parameters[name])), tokens_TB)
    values = graph.constant("off_on", np.array([0, 1], np.float32))
    return graph.node("OneHot", tokens_TB, graph.number(len(parameters["head.bias"])), values)


def _product(graph: Graph, x: Value, name: str, weight: Array | Codes) -> Value:
    """The product of x [..., K] with a weight [G,K]; if that is codes, with codes of x, which the graph makes
    where it runs: one scale for all of x, as ONNX has it."""
    if not isinstance(weight, Codes):
        return graph.node("MatMul", x, graph.constant(name, weight.T))
    codes, scale, zero = graph.nodes_of("DynamicQuantizeLinear", [x], 3)
    sums = graph.node("MatMulInteger", codes, graph.constant(name, weight.codes_GK.T), zero)
    scales_G = graph.constant(f"{name}.scale", weight.scales_G)
    return graph.node("Cast", sums, to=graph.onnx.TensorProto.FLOAT) * (scale * scales_G)


def _head(graph: Graph, shape: ModelConfig, parameters: Arrays, hidden_BTH: Value) -> Value:
    """The product with the head; a tied one is made of the embeddings, which the file has once."""
    if not shape.tied:
        return _product(graph, hidden_BTH, "head.weight", parameters["head.weight"])
    tables = [graph.constant(name, floats(parameters[name])) for name in named(shape, "input")]
    weight = graph.node("Transpose", *tables, perm=[1, 0]) if len(tables) == 1 else None
    if weight is None:
        share = graph.constant("share", np.array(len(tables), np.float32))
        weight = graph.node("Div", graph.node("Concat", *tables, axis=1), share)
        weight = graph.node("Transpose", weight, perm=[1, 0])
    return graph.node("MatMul", hidden_BTH, weight)


def layer_nodes(
    graph: Graph, cell: CellSpec, x_TBI: Value, state: list[Value], before: str, parameters: Arrays
) -> tuple[Value, list[Value]]:
    """(outputs [T,B,H], the state after the last step)."""
    own = under(before, parameters)
    units = own["weight_ih"].shape[0] // len(cell.gates)
    if cell.onnx is None or isinstance(own["weight_ih"], Codes):
        return _scanned(graph, cell, x_TBI, state, before, own)
    operator, order = cell.onnx
    gates = "".join(cell.gates)
    bias_hh = own.get("bias_hh", np.zeros_like(own["bias_ih"]))
    bias = np.concatenate([by_gates(own["bias_ih"], gates, order), by_gates(bias_hh, gates, order)])
    both = [by_gates(own[name], gates, order) for name in ("weight_ih", "weight_hh")]
    arrays = zip(("weight_ih", "weight_hh", "bias"), (*both, bias), strict=True)
    constants = [graph.constant(before + name, array[None]) for name, array in arrays]
    first = [graph.node("Unsqueeze", part, graph.numbers(0)) for part in state]
    attributes = {"linear_before_reset": int(cell.biased)} if operator == "GRU" else {}
    outputs, *last = graph.nodes_of(
        operator, [x_TBI, *constants, None, *first], 1 + len(state), hidden_size=units, **attributes
    )
    squeezed = [graph.node("Squeeze", part, graph.numbers(0)) for part in last]
    return graph.node("Squeeze", outputs, graph.numbers(1)), squeezed


def _scanned(
    graph: Graph, cell: CellSpec, x_TBI: Value, state: list[Value], before: str, own: Arrays
) -> tuple[Value, list[Value]]:
    """A cell without an operator, or in codes, which none of them takes: the input projection at once, then
    its equations, step by step."""
    units, bias = own["weight_ih"].shape[0] // len(cell.gates), own["bias_ih"].copy()
    last_bias = own.get("bias_hh")
    if last_bias is not None:  # but for the part that is not merely added
        merely = len(bias) - units if cell.biased else len(bias)
        bias[:merely] += last_bias[:merely]
    x_TBG = _product(graph, x_TBI, f"{before}weight_ih", own["weight_ih"]) + graph.constant(
        f"{before}bias", bias
    )
    body = Graph(graph.onnx, before)
    parts = [Value(body, f"{before}before.{name}") for name in cell.state]
    found = _step(body, cell, Value(body, f"{before}x"), parts, own, units)
    made = body.made(
        f"{before}step",
        [
            *(body.declared(part.name, np.float32, ["batch", units]) for part in parts),
            body.declared(f"{before}x", np.float32, ["batch", len(bias)]),
        ],
        [
            body.declared(body.named(value, f"{before}{name}"), np.float32, ["batch", units])
            for value, name in zip(
                (*found, found[0]), (*(f"next.{name}" for name in cell.state), "output"), strict=True
            )
        ],
    )
    *last, outputs = graph.nodes_of("Scan", [*state, x_TBG], len(state) + 1, body=made, num_scan_inputs=1)
    return outputs, last


def _step(
    body: Graph, cell: CellSpec, x_BG: Value, state: list[Value], own: Arrays, units: int
) -> list[Value]:
    """One step of the equations of a cell: the state after it."""
    of_cell = equations(cell)

    def sigmoid(x: Any) -> Any:
        return body.node("Sigmoid", x)

    def tanh(x: Any) -> Any:
        return body.node("Tanh", x)

    def split(value: Value, gates: int) -> list[Value]:
        return body.nodes_of("Split", [value, body.numbers(*[units] * gates)], gates, axis=1)

    def given(sums: Any, early: Any = ()) -> Given:
        h: Any = state[0]
        bias: Any = None
        if cell.biased:
            bias = body.constant(f"{body.prefix}last_bias", own["bias_hh"][-units:])
        c: Any = state[-1]
        projected: Any = inputs
        return Given(sums, projected, h, c, bias, early, sigmoid, tanh)

    inputs, sums, early = split(x_BG, len(cell.gates)), list[Value](), ()
    place, operand = 0, state[0]
    for number, gates in enumerate(cell.products):
        if number:
            early, operand = of_cell.early(given(sums))
        rows = own["weight_hh"][place * units : (place + gates) * units]
        sums += split(_product(body, operand, f"{body.prefix}weight_hh_{number}", rows), gates)
        place += gates
    found: Any = of_cell.forward(given(sums, early))
    return [found.h] if found.c is None else [found.h, found.c]


def _ngrams(
    graph: Graph, shape: ModelConfig, tokens_BT: Value, recent_BK: Value, table_RV: Array
) -> tuple[Value, Value]:
    """(the sum of the rows of each token [B,T,V], the last tokens after them [B,K])."""
    vocab_size, kept = table_RV.shape[1], max(shape.ngrams) - 1
    table, half = graph.constant(TABLE, table_RV), graph.number(2**32)
    known_BK = graph.node("Cast", recent_BK, to=graph.onnx.TensorProto.INT64)
    history_BS = graph.node("Concat", known_BK, tokens_BT + graph.number(1), axis=1)
    low, high, found = graph.number(0), graph.number(0), None
    for back in range(kept + 1):
        token_BT = graph.node(
            "Slice", history_BS, graph.numbers(kept - back), graph.numbers(-back or LAST), graph.numbers(1)
        )
        # Of the key's product with MULTIPLIER, what this token adds to it.
        factor = pow(vocab_size + 1, back, 2**64) * MULTIPLIER % 2**64
        lower = token_BT * graph.number(factor % 2**32)
        upper = graph.node("Mod", token_BT * graph.number(factor // 2**32), half)
        low += graph.node("Mod", lower, half)
        high += upper + graph.node("Div", lower, half)
        if back + 1 not in shape.ngrams:
            continue
        place = shape.ngrams.index(back + 1)
        top = graph.node("Mod", high + graph.node("Div", low, half), half)
        bits = shape.ngram_rows.bit_length() - 1
        row = graph.node("Div", top, graph.number(2 ** (32 - bits))) + graph.number(place * shape.ngram_rows)
        rows_BTV = graph.node("Gather", table, row)
        found = rows_BTV if found is None else found + rows_BTV
    assert found is not None
    last = graph.node("Slice", history_BS, graph.numbers(-kept), graph.numbers(LAST), graph.numbers(1))
    return found, graph.node("Cast", last, to=graph.onnx.TensorProto.FLOAT)


def export(content: ModelFile, out: Path, texts: Sequence[str]) -> dict[str, Any]:
    """``pantoum export --to onnx``."""
    write(out, content)
    return {"notes": notes_on_cache(content, "the file for onnx")}


# A graph as it is written. ---------------------------------------------------------------------------------


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
