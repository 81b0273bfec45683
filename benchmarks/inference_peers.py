"""The peers of ``inference.py``: PyTorch and ONNX Runtime with a one-hot GRU of the same shape.

PyTorch: ``nn.GRU`` on one-hot inputs and a ``nn.Linear``, eager, and the same quantised dynamically. ONNX
Runtime: the step written by hand with products and gates spelled out (its GRU operator was slower, and cannot
be quantised), and our exported model. Every peer draws its token from the softmax at temperature 0.8, as ours
does. ``score`` reads given tokens one by one and has the nats of each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from processes import Work

TOKENS = 64
"""Tokens in a step of one stream."""
SCORED = 5000
"""Tokens in a step of scoring: with two numbers of threads and two turns 20,000 in all."""
TEMPERATURE = 0.8
V, H, L = 98, 512, 3


def torch_model(quantised: bool) -> tuple[Any, Any]:
    import torch

    torch.manual_seed(0)
    layers, head = torch.nn.GRU(V, H, L, batch_first=True).eval(), torch.nn.Linear(H, V).eval()
    if quantised:
        both = torch.ao.quantization.quantize_dynamic(
            torch.nn.ModuleList([layers, head]), {torch.nn.GRU, torch.nn.Linear}, torch.qint8
        )
        layers, head = both[0], both[1]
    return layers, head


def torch_writes(streams: int, quantised: bool = False) -> Work:
    """The loop that people write: a token in, a distribution out, a draw."""
    import torch

    layers, head = torch_model(quantised)
    run: dict[str, Any] = {
        "tokens": torch.zeros(streams, dtype=torch.long),
        "state": torch.zeros(L, streams, H),
    }
    rounds = TOKENS if streams == 1 else 1

    @torch.inference_mode()
    def step() -> None:
        for _ in range(rounds):
            x = torch.nn.functional.one_hot(run["tokens"], V).float().unsqueeze(1)
            y, run["state"] = layers(x, run["state"])
            p = torch.softmax(head(y[:, 0]) / TEMPERATURE, -1)
            run["tokens"] = torch.multinomial(p, 1)[:, 0]
            run["tokens"].tolist()  # somebody reads what was written

    return Work(step, rounds * streams)


def torch_scores() -> Work:
    """Given tokens, one at a time."""
    import torch

    layers, head = torch_model(False)
    run = {"state": torch.zeros(L, 1, H)}
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, V, SCORED + 1))

    @torch.inference_mode()
    def step() -> None:
        for at in range(SCORED):
            x = torch.nn.functional.one_hot(tokens[at : at + 1], V).float().unsqueeze(1)
            y, run["state"] = layers(x, run["state"])
            float(-torch.log_softmax(head(y[0, 0]), -1)[tokens[at + 1]])

    return Work(step, SCORED)


def onnx_writes(threads: int, quantised: bool = False) -> Work:
    """The same loop around ONNX Runtime, NumPy for the draw."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "step.onnx")
        path.write_bytes(onnx_step().SerializeToString())
        if quantised:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(path, Path(folder, "int8.onnx"), weight_type=QuantType.QInt8, per_channel=True)
            path = Path(folder, "int8.onnx")
        return onnx_loop(path, threads, lambda token: np.array([token]))


def onnx_exported(model: str, threads: int) -> Work:
    """The same loop, in the precision of the model, around the file of ``pantoum export --to onnx``."""
    from pantoum.inference.exporting import export

    with tempfile.TemporaryDirectory() as folder:
        export(model, "onnx", Path(folder, "step.onnx"))
        return onnx_loop(Path(folder, "step.onnx"), threads, lambda token: np.array([[token]]))


def onnx_loop(path: Path, threads: int, input_of: Callable[[int], Any]) -> Work:
    """A token in, a distribution out, a draw; the inputs of the session are the token and the state."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    run: dict[str, Any] = {"token": 0, "state": [np.zeros((1, H), np.float32)] * L}
    names = [given.name for given in session.get_inputs()]

    def step() -> None:
        for u in random.random(TOKENS):
            given = [input_of(run["token"]), *run["state"]]
            logits, *run["state"] = session.run(None, dict(zip(names, given, strict=True)))
            z = logits.reshape(-1) / TEMPERATURE
            cumulative = np.cumsum(np.exp(z - z.max()))
            run["token"] = int(np.searchsorted(cumulative, u * cumulative[-1]))

    return Work(step, TOKENS)


def onnx_step() -> Any:
    """One token through the stack: inputs x, the token, and h0.. [1,H]; outputs the logits and new states.
    The first layer's input product is a row of a table, as ours is."""
    from onnx import TensorProto, checker, helper, numpy_helper

    random = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []

    def constant(name: str, *shape: int, value: Any = None) -> str:
        array = random.uniform(-(H**-0.5), H**-0.5, shape).astype(np.float32) if value is None else value
        weights.append(numpy_helper.from_array(array, name))
        return name

    def node(kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, list(outputs), **attributes))
        return outputs[0]

    x, one = "x", constant("one", value=np.ones((1, 1), np.float32))
    for layer in range(L):
        h, name, gates = f"h{layer}", f"l{layer}.", []
        for side, inputs in (("i", x), ("h", h)):
            if inputs == "x":
                product = node("Gather", [constant(name + "table", V, 3 * H), "x"], name + "pi")
            else:
                product = node("MatMul", [inputs, constant(name + "w" + side, H, 3 * H)], name + "p" + side)
            total = node("Add", [product, constant(name + "b" + side, 3 * H)], name + "s" + side)
            names = [name + side + gate for gate in "rzn"]
            node("Split", [total], *names, axis=1, num_outputs=3)
            gates.append(names)
        (ir, iz, in_), (hr, hz, hn) = gates
        r = node("Sigmoid", [node("Add", [ir, hr], name + "r+")], name + "r")
        z = node("Sigmoid", [node("Add", [iz, hz], name + "z+")], name + "z")
        n = node("Tanh", [node("Add", [in_, node("Mul", [r, hn], name + "rh")], name + "n+")], name + "n")
        old = node("Mul", [z, h], name + "zh")
        new = node("Mul", [node("Sub", [one, z], name + "1-z"), n], name + "zn")
        x = node("Add", [old, new], f"new{layer}")
    node("Add", [node("MatMul", [x, constant("head", H, V)], "product"), constant("bias", V)], "logits")

    def value(name: str, size: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])

    token = helper.make_tensor_value_info("x", TensorProto.INT64, [1])
    inputs = [token, *(value(f"h{layer}", H) for layer in range(L))]
    outputs = [value("logits", V), *(value(f"new{layer}", H) for layer in range(L))]
    graph = helper.make_graph(nodes, "step", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return model
