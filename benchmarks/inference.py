"""Writing and scoring against the marks and the peers: a 3 x 512 GRU over 98 symbols, random weights.

Each contestant is a process of its own; they take turns (``processes.py``). Peers (``inference_peers.py``):
PyTorch eager and dynamically quantised, ONNX Runtime in float32 and int8 and with our exported model, each
with one and two threads.
Ours: one stream, 256 and 10,000 streams in float32 and int8, scoring in 64 segments, the core's own product
[256,512] x [512,1536] and a loop that only sums the packed bytes. Rates are of the least time of a step;
the medians stand beside. A short step finds an undisturbed moment sooner than a long one, so beside 10,000
streams a step of 256 is as many rounds as write 10,000 tokens too; each precision is held against itself.
Run it in an environment with the peers and pantoum:

    python benchmarks/inference.py [--json] [--seconds 6] [--only one,many,crowd,score,state,start]

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
from measured import machine
from processes import Child, Work, serve, start, take_turns
from startup import write_model

SECTIONS = {
    "one": [
        "ours one float32",
        "ours one int8",
        "ours bytes float32",
        "ours bytes int8",
        "torch eager",
        "torch int8",
        "onnx gru",
        "onnx products",
        "onnx int8",
        "onnx exported float32",
        "onnx exported int8",
    ],
    "many": ["ours product", "ours 256 float32", "ours 256 int8", "torch eager 256"],
    "crowd": ["ours 256 float32 long", "ours 10000 float32", "ours 256 int8 long", "ours 10000 int8"],
    "score": ["ours product", "ours score", "ours score command", "torch score"],
    "state": ["ours state", "ours state file", "ours load"],
    "start": [],
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
    from pantoum.inference.score import Scorer

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


def states(model: str, file: bool) -> Work:
    from pantoum.inference.loaded_model import load
    from pantoum.inference.session import Session
    from pantoum.inference.state import State

    session = Session(load(model))
    session.feed("Once upon a time")
    place = Path(tempfile.mkdtemp(), "a.state")

    def in_memory() -> None:
        session.rewind(State.from_bytes(bytes(session.state)))

    def in_file() -> None:
        session.state.write(place)
        session.rewind(State.read(place))

    return Work(in_file if file else in_memory, 1, {"bytes": len(bytes(session.state))})


def loads(model: str) -> Work:
    from pantoum.inference.loaded_model import load

    return Work(lambda: load(model), 1, {"bytes": Path(model).stat().st_size})


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
        return peers.onnx_writes("gru" if what == ["gru"] else "products", threads, what == ["int8"])
    if what == ["product"]:
        return product()
    if what[0] == "score":
        return scores(models["float32"], "command" in what)
    if what[0] == "state":
        return states(models["float32"], "file" in what)
    if what[0] == "load":
        return loads(models["float32"])
    if what[0] == "bytes":
        return reads(models[what[1]])
    if what[1] not in models:
        raise RuntimeError("there is no such model file")
    tokens = CROWD if "long" in what else TOKENS
    return writes(models[what[1]], {"one": 1}.get(what[0]) or int(what[0]), tokens)


def make_models(folder: str) -> dict[str, str]:
    """The model's files by precision."""
    from pantoum.inference.exporting import export

    models = {name: str(Path(folder, f"{name}.safetensors")) for name in ("float32", "int8")}
    write_model(Path(models["float32"]))
    export(models["float32"], "int8", models["int8"])
    return models


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


def start_times() -> dict[str, dict[str, Any]]:
    """What ``startup.py`` measures."""
    script = str(Path(__file__).with_name("startup.py"))
    done = subprocess.run([sys.executable, script, "--json", "--runs", "9"], capture_output=True, check=True)
    found = json.loads(done.stdout)["seconds"]
    return {
        name: {"min": t["minimum"], "median": t["median"], "max": t["maximum"]} for name, t in found.items()
    }


def marks(found: dict[str, dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The issue's marks that can be told from what was measured: ours, what it is held against, the mark."""
    told: list[dict[str, Any]] = []

    def rate(section: str, *begins: str, key: str = "rate") -> float | None:
        rates = [r[key] for name, r in found.get(section, {}).items() if name.startswith(begins) and key in r]
        return max(rates) if rates else None

    def tell(
        mark: str,
        figure: float | None,
        against: float | None,
        wanted: float,
        unit: str = "x",
        most: bool = False,
    ) -> None:
        if figure is not None and against:
            ratio = figure / against
            told.append(
                {
                    "mark": mark,
                    "figure": ratio,
                    "wanted": wanted,
                    "unit": unit,
                    "holds": ratio <= wanted if most else ratio >= wanted,
                }
            )

    eager = rate("one", "torch eager")
    tell("one stream, int8: torch eager", rate("one", "ours one int8"), eager, 12)
    tell(
        "one stream, int8: best peer of any form",
        rate("one", "ours one int8"),
        rate("one", "torch", "onnx"),
        2,
    )
    tell(
        "one stream, float32: best float32 peer",
        rate("one", "ours one float32"),
        rate("one", "torch eager", "onnx gru", "onnx products", "onnx exported float32"),
        1.1,
    )
    tell(
        "one stream, float32: a loop that sums the bytes",
        rate("one", "ours one float32"),
        rate("one", "ours bytes float32"),
        0.8,
    )
    own, score = rate("many", "ours product"), rate("score", "ours product")
    tell("256 streams, float32: the core's product rate", work_of(rate("many", "ours 256 float32")), own, 0.8)
    tell(
        "256 streams, int8: torch eager at 256",
        rate("many", "ours 256 int8"),
        rate("many", "torch eager 256"),
        2.5,
    )
    for precision in ("float32", "int8"):
        tell(
            f"10,000 streams, {precision}: the rate at 256",
            rate("crowd", f"ours 10000 {precision}"),
            rate("crowd", f"ours 256 {precision}"),
            0.95,
        )
    memory = found.get("crowd", {}).get("ours 10000 float32", {})
    if "peak" in memory:
        allowed = memory["start"] + memory["model"] + CROWD * (2 * memory["state"] + 1024)
        tell("10,000 streams: memory of what is allowed", memory["peak"], allowed, 1, most=True)
    for name in ("ours score", "ours score command"):
        scored = found.get("score", {}).get(name, {}).get("rate")
        tell(f"{name[5:]}, 64 segments: torch one token at a time", scored, rate("score", "torch score"), 20)
        tell(f"{name[5:]}, 64 segments: the core's product rate", work_of(scored), score, 0.7)
    for name, wanted in (("first character of generate", 0.3), ("pantoum --help", 0.1)):
        tell(name, found.get("start", {}).get(name, {}).get("min"), 1, wanted, "s", most=True)
    of_state = found.get("state", {})
    tell("state of 3 x 512", of_state.get("ours state", {}).get("bytes"), 1, 6451, "bytes", most=True)
    for name in ("ours state", "ours state file"):
        took = of_state.get(name, {}).get("min")
        tell(f"{name[5:]}: save and restore", took, 1e-3, 1, "ms", most=True)
    tell("load a 16 MB model, verified", of_state.get("ours load", {}).get("min"), 1e-3, 30, "ms", most=True)
    return told


def work_of(tokens: float | None) -> float | None:
    """GFLOP a second at so many tokens per second."""
    return None if tokens is None else 2e-9 * PRODUCTS * tokens


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
                print(
                    " " * 35
                    + ", ".join(
                        f"{key} {r[key] / 1e6:,.1f} MB" for key in ("start", "model", "peak", "resident")
                    )
                )
    print(f"\n{'mark':52} {'figure':>10}    wanted")
    for row in report["marks"]:
        print(
            f"{row['mark']:52} {row['figure']:10.4g} {row['unit']:5} {row['wanted']:8g}   "
            f"{'holds' if row['holds'] else 'MISSED'}"
        )


def main() -> None:
    """Measure section by section, then tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=6, help="of each contestant")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--models", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        make: Callable[[], Work] = lambda: contestant(options.serve, options.models)  # noqa: E731
        return serve(make, warm=0 if "score" in options.serve else 3)
    asked = options.only.split(",")
    if not set(asked) <= set(SECTIONS):
        parser.error(f"--only takes {','.join(SECTIONS)}")
    report: dict[str, Any] = {"machine": machine(), "found": {}}
    with tempfile.TemporaryDirectory() as folder:
        models = make_models(folder)
        for section in asked:
            report["found"][section] = (
                start_times() if section == "start" else measure(section, models, options.seconds)
            )
    report["marks"] = marks(report["found"])
    if options.json:
        return print(json.dumps(report))
    return show(report)


if __name__ == "__main__":
    main()
