"""Writing and scoring against the marks and the peers: a 3 x 512 GRU over 98 symbols, random weights.

Each contestant is a process of its own; they take turns (``processes.py``). Peers (``inference_peers.py``):
PyTorch eager and dynamically quantised, ONNX Runtime in float32 and int8 and with our exported model, each
with one and two threads.
Ours: one stream, 256 and 10,000 streams in float32 and int8, scoring in 64 segments, the core's own product
[256,512] x [512,1536] and a loop that only sums the packed bytes. Rates are of the least time of a step;
the medians stand beside. A short step finds an undisturbed moment sooner than a long one, so beside 10,000
streams a step of 256 is as many rounds as write 10,000 tokens too; each precision is held against itself.
Run it in an environment with the peers and pantoum:

    python benchmarks/inference.py [--json] [--seconds 6] [--only one,many,crowd,score]

``--seconds`` are each contestant's. A mark whose contestants did not run is not shown.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import inference_peers as peers
from inference_peers import TOKENS, H, L, V
from measured import machine, parser, print_marks
from processes import Child, Work, serve, start, take_turns
from startup import write_models

SECTIONS = {
    "one": [
        *("ours one float32", "ours one int8", "ours bytes float32", "ours bytes int8"),
        *(
            "torch eager",
            "torch int8",
            "onnx products",
            "onnx int8",
            "onnx exported float32",
            "onnx exported int8",
        ),
    ],
    "many": ["ours product", "ours 256 float32", "ours 256 int8", "torch eager 256"],
    "crowd": ["ours 256 float32 long", "ours 10000 float32", "ours 256 int8 long", "ours 10000 int8"],
    "score": ["ours product", "ours score", "ours score command", "torch score"],
}
PEER_THREADS = (1, 2)
PRODUCTS = (2 * L - 1) * 3 * H * H + H * V
"""Weights that one token is multiplied with; the first layer's input is a row of a table."""
SCORED = 64 * 4000
CROWD = 10_000


def resident(key: str) -> int:
    """This process's memory in bytes, by the name that the system gives it."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{key}:\s+(\d+)", text).group(1))  # type: ignore[union-attr]


def product() -> Work:
    import numpy as np

    from pantoum.kernels import backend

    kernels, random = backend(np.float32), np.random.default_rng(0)
    weight = kernels.pack(random.standard_normal((3 * H, H), np.float32), gates=3)
    x, out = random.standard_normal((256, H), np.float32), np.empty((256, 3 * H), np.float32)
    return Work(lambda: weight.product(x, out=out), 2e-9 * 256 * H * 3 * H)


def writes(model: str, streams: int, tokens: int) -> Work:
    """``tokens``: those of a step, at least a round of them."""
    from pantoum.inference.loaded_model import load
    from pantoum.inference.writing.stream_batch import StreamBatch

    warm_up_core()
    start = resident("VmRSS")
    batch = StreamBatch(load(model))
    for stream in range(streams):
        batch.join(length=10**9, seed=0, stream=stream)
    rounds = max(1, tokens // streams)

    def step() -> None:
        for _ in range(rounds):
            batch.round()

    def after() -> dict[str, Any]:
        return {"peak": resident("VmHWM"), "resident": resident("VmRSS")}

    size = Path(model).stat().st_size
    return Work(step, rounds * streams, {"start": start, "model": size, "state": 4 * H * L}, after)


def warm_up_core() -> None:
    """Its library, threads and NumPy are part of the start."""
    product().step()


def scores(model: str, command: bool) -> Work:
    """A text of that length in lines, as ``pantoum score --streams 64`` scores it."""
    import numpy as np

    from pantoum.config import ScoreConfig
    from pantoum.inference.loaded_model import load
    from pantoum.inference.scorer import Scorer

    loaded = load(model)
    text = loaded.tokenizer.decode(np.random.default_rng(0).integers(2, V, SCORED))

    def step() -> None:
        for _ in Scorer(loaded, ScoreConfig(streams=64)).batches([text]):
            pass

    def whole_command() -> None:
        command = ["-m", "pantoum", "score", model, file.name, "--streams", "64", "--quiet"]
        subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)

    file = tempfile.NamedTemporaryFile("w", suffix=".txt")  # noqa: SIM115 - it lives as long as the process
    file.write(text)
    file.flush()
    return Work(whole_command if command else step, SCORED)


def reads(model: str) -> Work:
    """The packed matrices of one token, read by a loop that only sums them."""
    from read_words import Reader

    from pantoum.inference.loaded_model import load

    program = load(model).program
    (member,) = program.members
    layers = member.layers.layers
    reader = Reader(
        [
            *(matrix for layer in layers for matrix in layer.weight_hh),
            *(layer.weight_ih for layer in layers[1:]),
            program.head.weight,
        ]
    )
    return Work(lambda: reader.read(TOKENS), TOKENS, {"bytes": reader.bytes})


def contestant(name: str, models: dict[str, str]) -> Work:
    """The work of a contestant's process."""
    kind, *what = name.split()
    threads = int(os.environ["OMP_NUM_THREADS"])
    if kind == "torch":
        import torch

        torch.set_num_threads(threads)
        if what == ["score"]:
            return peers.torch_scores()
        return peers.torch_writes(256 if "256" in what else 1, "int8" in what)
    if what[0] == "exported":
        return peers.onnx_exported(models[what[1]], threads)
    if kind == "onnx":
        return peers.onnx_writes(threads, what == ["int8"])
    if what == ["product"]:
        return product()
    if what[0] == "score":
        return scores(models["float32"], "command" in what)
    if what[0] == "bytes":
        return reads(models[what[1]])
    if what[1] not in models:
        raise RuntimeError("there is no such model file")
    tokens = CROWD if "long" in what else TOKENS
    return writes(models[what[1]], {"one": 1}.get(what[0]) or int(what[0]), tokens)


def measure(section: str, models: dict[str, str], seconds: float) -> dict[str, dict[str, Any]]:
    """One section: every contestant, peers with each number of threads."""
    makers = {}
    for name in SECTIONS[section]:
        for threads in [os.cpu_count() or 1] if name.startswith("ours") else PEER_THREADS:
            key = name if name.startswith("ours") else f"{name}, {threads} thread{'s' * (threads > 1)}"
            makers[key] = partial(Child, __file__, name, threads, "--models", json.dumps(models))
    children = start(makers)
    take_turns(children, seconds, 2 if section == "score" else 4)
    return {name: child.close() for name, child in children.items()}


Found = dict[str, dict[str, dict[str, Any]]]
OURS_AND_PEER = [
    ("one stream, int8: torch eager", "ours one int8", ("torch eager",), 12),
    ("one stream, int8: best peer of any form", "ours one int8", ("torch", "onnx"), 2),
    (
        "one stream, float32: best float32 peer",
        "ours one float32",
        ("torch eager", "onnx products", "onnx exported float32"),
        1.1,
    ),
    ("one stream, float32: a loop that sums the bytes", "ours one float32", ("ours bytes float32",), 0.8),
    ("256 streams, int8: torch eager at 256", "ours 256 int8", ("torch eager 256",), 2.5),
    ("10,000 streams, float32: the rate at 256", "ours 10000 float32", ("ours 256 float32 long",), 0.95),
    ("10,000 streams, int8: the rate at 256", "ours 10000 int8", ("ours 256 int8 long",), 0.95),
    ("score, 64 segments: torch one token at a time", "ours score", ("torch score",), 20),
    ("score command, 64 segments: the same", "ours score command", ("torch score",), 20),
]
"""A mark, who of ours, the best of whom it is held against (what their names begin with), and how many times
their rate it must have."""
OF_PRODUCT = [
    ("256 streams, float32: the core's product rate", "many", "ours 256 float32", 0.8),
    ("score, 64 segments: the core's product rate", "score", "ours score", 0.7),
    ("score command, 64 segments: the core's product rate", "score", "ours score command", 0.7),
]


def marks(found: Found) -> list[dict[str, Any]]:
    """The marks that can be told from what was measured."""
    rows: list[dict[str, Any]] = []

    def tell(mark: str, figure: float, wanted: float, most: bool = False) -> None:
        holds = figure <= wanted if most else figure >= wanted
        words = f"{'<=' if most else '>='} {wanted:g}"
        rows.append({"mark": mark, "figure": figure, "wanted": words, "holds": holds})

    for mark, own, others, wanted in OURS_AND_PEER:
        for rates in map(rates_of, found.values()):
            against = [rate for name, rate in rates.items() if name.startswith(others) and name != own]
            if own in rates and against:
                tell(mark, rates[own] / max(against), wanted)
    for mark, section, own, wanted in OF_PRODUCT:
        rates = rates_of(found.get(section, {}))
        if own in rates and "ours product" in rates:
            tell(mark, work_of(rates[own]) / rates["ours product"], wanted)
    memory = found.get("crowd", {}).get("ours 10000 float32", {})
    if "peak" in memory:
        allowed = memory["start"] + memory["model"] + CROWD * (2 * memory["state"] + 1024)
        tell("10,000 streams: memory of what is allowed", memory["peak"] / allowed, 1, most=True)
    return rows


def rates_of(section: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The rate of each contestant that was measured."""
    return {name: row["rate"] for name, row in section.items() if "rate" in row}


def work_of(tokens: float) -> float:
    """GFLOP a second at so many tokens per second."""
    return 2e-9 * PRODUCTS * tokens


def show(report: dict[str, Any]) -> None:
    """A table for people."""
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    for section, found in report["found"].items():
        print(f"\n{section}")
        for name, r in found.items():
            if "min" not in r:
                print(f"  {name:32} not measured: {r.get('missing')}")
                continue
            rates = f"   {r['rate']:12,.5g} a second (median {r['median_rate']:,.5g})" if "rate" in r else ""
            print(
                f"  {name:32} min {r['min'] * 1e3:9.3f} ms  median {r['median'] * 1e3:9.3f}  "
                f"max {r['max'] * 1e3:9.3f}{rates}"
            )
            if section == "crowd" and "peak" in r:
                sizes = (f"{key} {r[key] / 1e6:,.1f} MB" for key in ("start", "model", "peak", "resident"))
                print(" " * 35 + ", ".join(sizes))
    print()
    print_marks(report["marks"])


def main() -> None:
    """Measure section by section, then tell."""
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=6, help="of each contestant")
    options.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    options.add_argument("--serve", help=argparse.SUPPRESS)
    options.add_argument("--models", type=json.loads, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.serve:
        make: Callable[[], Work] = lambda: contestant(asked.serve, asked.models)  # noqa: E731
        return serve(make, warm=0 if "score" in asked.serve else 3)
    report: dict[str, Any] = {"machine": machine(), "found": {}}
    with tempfile.TemporaryDirectory() as folder:
        models = {name: str(path) for name, path in write_models(Path(folder)).items()}
        for section in asked.only.split(","):
            report["found"][section] = measure(section, models, asked.seconds)
    report["marks"] = marks(report["found"])
    return print(json.dumps(report)) if asked.json else show(report)


if __name__ == "__main__":
    main()
