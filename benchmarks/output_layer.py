"""The output layer of a large vocabulary: training steps, exact evaluation, writing, and memory, with marks.

    python benchmarks/output_layer.py [--json] [--seconds 6] [--only train,read,write,memory] [--samples 2048]

Tokens follow Zipf's law, as words do. Contestants are processes that take turns (``processes.py``); rates are
those of the least time of a step, the medians are in the report.

- ``train``: whole updates of a 2 x 512 GRU, B = 64, T = 35 (``training.update.learner``: sampled candidates,
  clipping, AdamW, averaged weights), with 98, 10,000 and 33,278 symbols, untied and tied; PyTorch's
  ``nn.GRU`` and ``nn.LSTM`` with a full softmax and fused AdamW, in float32 and by autocast in bf16.
- ``read``: a text of 33,278 symbols in 64 segments with the exact distribution (``evaluate``, and ``score``
  as the command line runs it), beside the rate of the product [3000,512] x [512,1536] in the same precision.
- ``write``: one text of 10,000 symbols in int8, sampling included, beside PyTorch, eager and quantised, and
  ONNX Runtime (``inference_peers.py``), each with one and two threads.
- ``memory``: the peak of a whole ``pantoum train`` of 33,278 words.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import inference_peers as peers
import numpy as np
from measured import machine
from memory import peak
from processes import Child, Work, serve, start, take_turns

from pantoum.config import parse_softmax
from pantoum.data.batches import Batch

B, T, H, L = 64, 35, 512, 2
SMALL, MIDDLE, LARGE = 98, 10_000, 33_278
TIED, UNTIED = 256, 176
"""Sizes of the embedding."""
SCORED = 64 * 1000
WRITTEN = 64
PEER_THREADS = (1, 2)
RATE = 1e-3
NUMBERS_PER_PARAMETER, ROOM = 24, 400e6


def zipf(V: int, count: int, seed: int = 0) -> Any:
    """Tokens whose frequency falls with their number."""
    share_V = 1 / (np.arange(V) + 2.7)
    return np.random.default_rng(seed).choice(V, count, p=share_V / share_V.sum())


def trains(V: int, precision: str, tied: bool, samples: int | None) -> Work:
    from pantoum.config import ModelConfig
    from pantoum.network import LanguageModel
    from pantoum.network.candidates import CandidateSampler
    from pantoum.training.update.backend import LocalBackend
    from pantoum.training.update.learner import MemberLearner
    from pantoum.training.update.optimizer import make_optimizer

    model = LanguageModel(V, config=ModelConfig("gru", H, L, TIED if tied else UNTIED, tied=tied))
    optimizer = make_optimizer("adamw", model, 0.01, precision=precision)
    sampler = None
    if samples is not None:
        sampler = CandidateSampler(np.bincount(zipf(V, 2_000_000, 1), minlength=V), samples, 0)
    learner = MemberLearner(model, optimizer, seed=0, average=0.99, precision=precision, sampler=sampler)
    backend = LocalBackend([learner])
    text_BT = zipf(V, B * (64 * T + 1)).reshape(B, -1)
    run: dict[str, Any] = {"state": model.initial_state(B), "step": 0}
    streams, reset_BT = np.arange(B), np.zeros((B, T), bool)

    def step() -> None:
        at = run["step"] % 64 * T
        inputs_BT, targets_BT = (text_BT[:, at + ahead : at + ahead + T] for ahead in (0, 1))
        batch = Batch(inputs_BT, targets_BT, reset_BT, 0)
        result = backend.gradients(batch, run["state"], run["step"], streams)
        run["state"], run["step"] = result.state, run["step"] + 1
        backend.update(RATE, 1.0)

    return Work(step, B * T)


def torch_trains(cell: str, V: int, precision: str) -> Work:
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    embedding, head = nn.Embedding(V, UNTIED), nn.Linear(H, V)
    layers = (nn.LSTM if cell == "lstm" else nn.GRU)(UNTIED, H, L)
    parameters = [p for module in (embedding, layers, head) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
    tokens_TB = torch.from_numpy(zipf(V, (T + 1) * B).reshape(T + 1, B))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            outputs, _ = layers(embedding(tokens_TB[:-1]))
            logits = head(outputs).flatten(0, 1)
        nn.functional.cross_entropy(logits.float(), tokens_TB[1:].flatten()).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return Work(step, B * T)


def product(precision: str) -> Work:
    from pantoum.kernels import backend

    kernels, random = backend(np.float32), np.random.default_rng(0)
    weight = kernels.pack(random.standard_normal((1536, 512), np.float32), precision)
    x, out = random.standard_normal((3000, 512), np.float32), np.empty((3000, 1536), np.float32)
    return Work(lambda: weight.product(x, out=out), 2e-9 * 3000 * 512 * 1536)


def words(V: int) -> Any:
    """A tokenizer of V words, ``<eos>`` and ``<unk>`` among them."""
    from pantoum.text.tokenizer import learner

    scholar = learner("words:whitespace", V, None)
    scholar.feed(" ".join(f"w{number}" for number in range(V - 2)))
    return scholar.learn()


def network(V: int) -> Any:
    from pantoum.config import ModelConfig
    from pantoum.network import LanguageModel

    return LanguageModel(V, config=ModelConfig("gru", H, L, UNTIED))


def multiplied(V: int) -> float:
    """GFLOP of a token that is read, by products; the first layer's inputs are vectors. ``V`` 0: of a token
    that only warms the state, whose logits nobody asks for."""
    return 2e-9 * (3 * H * (UNTIED + H) + (L - 1) * 6 * H * H + H * V)


def reads(what: str, precision: str) -> Work:
    from pantoum.config import ScoreConfig
    from pantoum.inference.evaluation import evaluate
    from pantoum.inference.loaded_model import LoadedModel
    from pantoum.inference.score import Scorer
    from pantoum.inference.scoring.protocols import WARM_TOKENS
    from pantoum.network.program import Program

    tokenizer, model = words(LARGE), network(LARGE)
    tokens, program = zipf(LARGE, SCORED + 1), Program(model, precision=precision)
    done = multiplied(LARGE) * SCORED + multiplied(0) * 63 * WARM_TOKENS
    if what == "evaluate":
        step: Callable[[], Any] = partial(evaluate, program, tokens, tokenizer, "segments:64", compress=False)
        return Work(step, done)
    text, loaded = tokenizer.decode(tokens), LoadedModel(program, tokenizer)

    def score() -> None:
        for _ in Scorer(loaded, ScoreConfig(streams=64)).batches([text]):
            pass

    return Work(score, done)


def writes(precision: str) -> Work:
    from pantoum.formats import model_file
    from pantoum.formats.model_file import ModelFile
    from pantoum.inference.exporting import export
    from pantoum.inference.loaded_model import load
    from pantoum.inference.writing.stream_batch import StreamBatch

    model, tokenizer = network(MIDDLE), words(MIDDLE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        spec = tokenizer.spec()
        model_file.write(path, ModelFile(model.config.spec(), dict(model.parameters), spec, {}))
        if precision == "int8":
            export(path, "int8", Path(folder, "int8.safetensors"))
            path = Path(folder, "int8.safetensors")
        batch = StreamBatch(load(path))
    batch.join(length=10**9, seed=0, stream=0)

    def step() -> None:
        for _ in range(WRITTEN):
            batch.round()

    return Work(step, WRITTEN)


def torch_writes(quantised: bool) -> Work:
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    embedding = nn.Embedding(MIDDLE, UNTIED)
    modules: Any = nn.ModuleList([nn.GRU(UNTIED, H, L), nn.Linear(H, MIDDLE)]).eval()
    if quantised:
        modules = torch.ao.quantization.quantize_dynamic(modules, {nn.GRU, nn.Linear}, torch.qint8)
    layers, head = modules
    run: dict[str, Any] = {"tokens": torch.zeros(1, dtype=torch.long), "state": torch.zeros(L, 1, H)}

    @torch.inference_mode()
    def step() -> None:
        for _ in range(WRITTEN):
            y, run["state"] = layers(embedding(run["tokens"])[None], run["state"])
            p = torch.softmax(head(y[0]) / peers.TEMPERATURE, -1)
            run["tokens"] = torch.multinomial(p, 1)[:, 0]
            run["tokens"].tolist()

    return Work(step, WRITTEN)


def onnx_writes(quantised: bool) -> Work:
    peers.V, peers.L = MIDDLE, L
    return peers.onnx_writes("products", int(os.environ["OMP_NUM_THREADS"]), quantised)


def contestants(section: str, samples: int) -> list[str]:
    """Names: the function and its arguments."""
    from pantoum import kernels

    precisions = kernels.precisions()
    if section == "train":
        sizes = (MIDDLE, LARGE)
        ours = [
            f"trains {V} {precision} {tied} {'' if V == SMALL else samples}".strip()
            for V in (SMALL, *sizes)
            for precision in precisions
            for tied in ("untied", "tied")
        ]
        return ours + [
            f"torch_trains {cell} {V} {precision}"
            for cell in ("gru", "lstm")
            for V in sizes
            for precision in precisions
        ]
    if section == "read":
        return [
            *(f"product {precision}" for precision in precisions),
            *(f"evaluate {precision}" for precision in precisions),
            "score float32",
        ]
    return [
        "writes float32",
        "writes int8",
        *(f"{kind}_writes {form}" for kind in ("torch", "onnx") for form in ("float32", "int8")),
    ]


def contestant(name: str) -> Work:
    """The work of a contestant's process."""
    kind, *what = name.split(", ")[0].split()
    if kind == "trains":
        samples = int(what[3]) if len(what) > 3 else None
        return trains(int(what[0]), what[1], what[2] == "tied", samples)
    if kind == "torch_trains":
        return torch_trains(what[0], int(what[1]), what[2])
    if kind == "product":
        return product(what[0])
    if kind in ("evaluate", "score"):
        return reads(kind, what[0])
    if kind == "writes":
        return writes(what[0])
    return (torch_writes if kind == "torch_writes" else onnx_writes)(what[0] == "int8")


def measure(section: str, samples: int, seconds: float) -> dict[str, dict[str, Any]]:
    makers = {}
    for name in contestants(section, samples):
        peer = name.startswith(("torch", "onnx"))
        for threads in PEER_THREADS if peer and section == "write" else [os.cpu_count() or 1]:
            key = f"{name}, {threads} threads" if peer else name
            makers[key] = partial(Child, str(Path(__file__).resolve()), key, threads)
    children = start(makers)
    take_turns(children, seconds)
    return {name: child.close() for name, child in children.items()}


def memory() -> dict[str, Any]:
    """The peak of a run of the command line."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        tokens = np.concatenate([np.arange(LARGE - 2), zipf(LARGE - 2, 400_000)])
        text.write_text("\n".join(" ".join(f"w{n}" for n in line) for line in np.array_split(tokens, 9000)))
        shape = {"hidden-size": H, "num-layers": L, "batch-size": B, "seq-len": T, "embedding-size": UNTIED}
        asked = {"tokens": "words:whitespace", "vocab-size": LARGE, "steps": 24, "average": 0.99, **shape}
        command = [sys.executable, "-m", "pantoum", "train", str(text), "--json", "--quiet"]
        command += [f"--{name}={value}" for name, value in asked.items()] + ["--run", str(Path(folder, "r"))]
        found, answer = peak(command)
    return {
        "peak": found,
        "parameters": answer["parameters"],
        "allowed": NUMBERS_PER_PARAMETER * answer["parameters"] + ROOM,
    }


def marks(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The marks of what was measured: a ratio, and what it should be at least."""
    told: list[dict[str, Any]] = []

    def rate(section: str, *begins: str) -> float | None:
        rates = [
            r["rate"] for name, r in found.get(section, {}).items() if name.startswith(begins) and "rate" in r
        ]
        return max(rates, default=None)

    def tell(mark: str, figure: float | None, against: float | None, wanted: float) -> None:
        if figure and against:
            ratio = figure / against
            told.append({"mark": mark, "ratio": ratio, "wanted": wanted, "holds": ratio >= wanted})

    for precision in ("float32", "bf16"):
        for V in (MIDDLE, LARGE):
            peer = rate("train", f"torch_trains gru {V} ", f"torch_trains lstm {V} ")
            for tied in ("untied", "tied"):
                ours = rate("train", f"trains {V} {precision} {tied}")
                small = rate("train", f"trains {SMALL} {precision} {tied}")
                name = f"{V:,} symbols, {precision}, {tied}"
                tell(f"training, {name}: the rate with {SMALL} symbols", ours, small, 0.6)
                tell(f"training, {name}: PyTorch's best with a full softmax", ours, peer, 2.5)
        for kind in ("evaluate", "score"):
            of_product = rate("read", f"product {precision}")
            tell(
                f"{kind}, {precision}: the product's rate",
                rate("read", f"{kind} {precision}"),
                of_product,
                0.7,
            )
    tell("one text, int8: the best peer", rate("write", "writes int8"), rate("write", "torch", "onnx"), 4)
    if "memory" in found:
        tell("memory that is allowed: peak", found["memory"]["allowed"], found["memory"]["peak"], 1)
    return told


def show(report: dict[str, Any]) -> None:
    """Tables for people."""
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    for section, found in report["found"].items():
        print(f"\n{section}")
        for name, r in found.items():
            if not isinstance(r, dict):
                print(f"  {name:44}{r:14,.0f}")
            elif "rate" not in r:
                print(f"  {name:44} not measured: {r.get('missing')}")
            else:
                print(f"  {name:44}{r['rate']:12,.5g} per second, median {r['median_rate']:,.5g}")
    print()
    for each in report["marks"]:
        print(
            f"{each['mark']:72}{each['ratio']:7.2f}, mark {each['wanted']}",
            "" if each["holds"] else "  MISSED",
        )


def main() -> None:
    """The parent, or with ``--serve NAME`` a contestant."""
    if sys.argv[1:2] == ["--serve"]:
        serve(lambda: contestant(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description="the output layer of a large vocabulary")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each contestant")
    parser.add_argument("--samples", type=int, default=parse_softmax("sampled"))
    parser.add_argument("--only", default="train,read,write,memory")
    asked = parser.parse_args()
    found = {
        section: memory() if section == "memory" else measure(section, asked.samples, asked.seconds)
        for section in asked.only.split(",")
    }
    report = {"machine": machine(), "samples": asked.samples, "found": found, "marks": marks(found)}
    print(json.dumps(report)) if asked.json else show(report)


if __name__ == "__main__":
    main()
