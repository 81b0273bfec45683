"""The peer of ``web.py``: ONNX Runtime Web under Node, its WebAssembly backend on one thread.

It comes from npm (``npm install onnxruntime-web``); a network of the same shape in four forms: the operator
GRU, its products one by one, these quantised to int8, and the file of ``pantoum export --to onnx``.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import inference_peers

import pantoum

SCRIPT = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const ort = createRequire(process.argv[2])("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const [file, form, count] = [process.argv[3], process.argv[4], Number(process.argv[5])];
const session = await ort.InferenceSession.create(readFileSync(file), { executionProviders: ["wasm"] });
const [inputs, outputs] = [session.inputNames, session.outputNames];
const states = inputs.slice(1);
const zeros = (name) => {
  const { shape } = session.inputMetadata.find((one) => one.name === name);
  const sizes = shape.map((size) => (typeof size === "number" ? size : 1));
  return new ort.Tensor("float32", new Float32Array(sizes.reduce((a, b) => a * b)), sizes);
};
const given = (token) => {
  if (form === "gru") {
    const { shape } = session.inputMetadata[0];
    const x = new Float32Array(shape[1]);
    x[token] = 1;
    return new ort.Tensor("float32", x, [1, shape[1]]);
  }
  return new ort.Tensor("int64", BigInt64Array.of(BigInt(token)), form === "exported" ? [1, 1] : [1]);
};
const run = async () => {
  let [token, state] = [0, states.map(zeros)];
  for (let step = 0; step < count; ++step) {
    const before = Object.fromEntries(states.map((name, i) => [name, state[i]]));
    const found = await session.run({ [inputs[0]]: given(token), ...before });
    const logits = found[outputs[0]].data;
    state = outputs.slice(1).map((name) => found[name]);
    const most = logits.reduce((a, b) => Math.max(a, b));
    const exps = Array.from(logits, (logit) => Math.exp((logit - most) / 0.9));
    let left = Math.random() * exps.reduce((a, b) => a + b);
    token = exps.findIndex((one) => (left -= one) <= 0);
    if (token < 0) token = 0;
  }
};
await run();
const began = process.cpuUsage();
await run();
const { user, system } = process.cpuUsage(began);
const seconds = (user + system) / 1e6;
console.log(JSON.stringify({ seconds, version: ort.env.versions?.web }));
"""


def files(folder: Path, model: Path) -> dict[str, Path]:
    """The network of ``inference_peers`` in its forms, and the model as it is exported."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    found = {name: folder / f"{name}.onnx" for name in ("gru", "products", "int8", "exported")}
    for form in ("gru", "products"):
        found[form].write_bytes(inference_peers.onnx_step(form).SerializeToString())
    quantize_dynamic(found["products"], found["int8"], weight_type=QuantType.QInt8, per_channel=True)
    pantoum.export(model, "onnx", found["exported"])
    return found


def seconds(packages: Path, folder: Path, file: Path, length: int) -> float:
    """What so many tokens take; ``packages``: where ``npm install`` was run."""
    script = folder / "onnx.mjs"
    script.write_text(SCRIPT)
    command = ["node", script, packages.resolve() / "package.json", file, file.stem, str(length)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(ran.stdout)["seconds"])
