"""What a GPU gives to ``pantoum train --device cuda``: one command, one report.

    python benchmarks/gpu.py [--shakespeare input.txt] [--works FOLDER] [--nanogpt CHECKOUT] [--folder OUT]
                             [--device auto] [--shape origin] [--seconds 10] [--minutes 1,3,10]
                             [--processes 1,ALL] [--json]

Nothing is claimed for GPUs until this has run on one. It has not. Without a GPU it measures the processor,
and says so.

- Speed: tokens per second of whole steps (forward, backward, clipping, AdamW) of the training backend, of
  ``nn.GRU`` and ``nn.LSTM`` with the same sizes, and of these under ``torch.compile``, in float32 and bf16.
  Contestants take turns in one process; a figure is the median over the turns, with the least and the most.
  Beside each stand its share of the rate of ``nn.GRU`` or ``nn.LSTM`` (cuDNN's own, on a GPU), and of that of
  one large matrix product in the same precision: six operations per weight and token.
- nanoGPT, with a checkout of it: tokens per second of its own ``train.py`` with its own settings for
  characters.
- Quality, with texts: validation loss after 1, 3 and 10 minutes of ``pantoum train --device``, and tokens per
  second of the whole run, on one GPU and on all of them (``torchrun``; ``--processes``). The recipe is chosen
  for the speed of the core, so sizes are given here (``--sizes``).

``--device cpu --shape tiny --seconds 1 --no-compile --minutes 0.2`` shows on any machine that all of it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import machine
from torch import nn
from training import SHAPES

from pantoum.apps.torch.torch_backend import TorchBackend
from pantoum.config import CELLS as CELLS_OF_PANTOUM
from pantoum.config import ModelConfig
from pantoum.data.batches import Batch
from pantoum.training.assembly import make_backend
from pantoum.training.recipe.recipe import Recipe

CELLS = ("gru", "lstm")
PRECISIONS = ("float32", "bf16")
KINDS = ("pantoum", "torch.nn", "torch.nn, compiled")
CLIP, RATE, TURNS = 1.0, 1e-3, 3
NANOGPT = re.compile(r"iter \d+: loss [\d.]+, time ([\d.]+)ms")
TINY = {"V": 20, "B": 4, "T": 8, "H": 16, "L": 2}
Step = Callable[[], None]


def ours(shape: dict[str, int], cell: str, precision: str, device: str) -> Step:
    """A step of the training backend."""
    config = ModelConfig(cell, shape["H"], shape["L"], shape["H"])
    recipe = Recipe(
        model=config, batch_size=shape["B"], seq_len=shape["T"], optimizer="adamw", learning_rate=RATE,
        schedule="constant", warm_up=0.0, weight_decay=0.01, clip=CLIP, average=None, precision=precision,
        seed=0,
    )  # fmt: skip
    backend = TorchBackend(recipe, shape["V"], device)
    backend.restore(make_backend(recipe, shape["V"]).snapshot())
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1))
    resets, streams = np.zeros((shape["B"], shape["T"]), bool), np.arange(shape["B"])
    batch = Batch(tokens[:, :-1], tokens[:, 1:], resets, 0)
    carried = {"state": backend.initial_state(shape["B"]), "step": 0}

    def step() -> None:
        found = backend.gradients(batch, carried["state"], carried["step"], streams)
        backend.update(RATE, CLIP)
        carried.update(state=found.state, step=carried["step"] + 1)

    return step


class ByHand(nn.Module):
    """Embedding, layers, head."""

    def __init__(self, shape: dict[str, int], cell: str) -> None:
        super().__init__()
        H, V = shape["H"], shape["V"]
        self.embedding, self.head = nn.Embedding(V, H), nn.Linear(H, V)
        self.layers = (nn.LSTM if cell == "lstm" else nn.GRU)(H, H, shape["L"], batch_first=True)

    def forward(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        outputs, state = self.layers(self.embedding(tokens), state)
        return self.head(outputs), state


def by_hand(shape: dict[str, int], cell: str, precision: str, device: str, compiled: bool) -> Step:
    """A step as one writes it with PyTorch; the state is carried. oneDNN refuses LSTM in bf16 on a processor
    without bf16."""
    native = device != "cpu" or precision != "bf16" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    torch.manual_seed(0)
    model = ByHand(shape, cell).to(device)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    tokens = torch.randint(shape["V"], (shape["B"], shape["T"] + 1), device=device)
    zeros = torch.zeros(shape["L"], shape["B"], shape["H"], device=device)
    carried: dict[str, Any] = {"state": (zeros, zeros) if cell == "lstm" else zeros}

    def step() -> None:
        library = contextlib.nullcontext() if native else torch.backends.mkldnn.flags(enabled=False)
        with library, torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            logits, state = run(tokens[:, :-1], carried["state"])
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        parts = state if isinstance(state, tuple) else (state,)
        parts = tuple(part.detach().float() for part in parts)
        carried["state"] = parts if cell == "lstm" else parts[0]
        loss.item()  # the training loop looks at every loss

    return step


def rate(step: Step, tokens: int, seconds: float, device: str) -> float:
    """Tokens per second over so much time."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not count:
        step()
        count += 1
    if device == "cuda":
        torch.cuda.synchronize()
    return count * tokens / (time.perf_counter() - began)


def matrix_rate(precision: str, device: str, seconds: float) -> float:
    """Floating-point operations per second of a large matrix product."""
    size, dtype = 4096 if device == "cuda" else 1024, {"bf16": torch.bfloat16}.get(precision, torch.float32)
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def step() -> None:
        for _ in range(10 if device == "cuda" else 1):
            left @ right

    rate(step, 0, min(1.0, seconds), device)
    return rate(step, 2 * size**3 * (10 if device == "cuda" else 1), seconds, device)


def operations(shape: dict[str, int], cell: str) -> int:
    """Floating-point operations of the matrix products per token, forward and backward."""
    gates = len(CELLS_OF_PANTOUM[cell].gates)
    return 6 * (2 * gates * shape["L"] * shape["H"] ** 2 + shape["V"] * shape["H"])


def speed(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All contestants, in turns."""
    shape = TINY if asked.shape == "tiny" else SHAPES[asked.shape]
    products = {each: matrix_rate(each, asked.device, asked.seconds / TURNS) for each in PRECISIONS}
    tokens, rows = shape["B"] * shape["T"], list[dict[str, Any]]()
    for cell in CELLS:
        for precision in PRECISIONS:
            steps = {"pantoum": ours(shape, cell, precision, asked.device)}
            for kind in KINDS[1 : 2 if asked.no_compile else 3]:
                steps[kind] = by_hand(shape, cell, precision, asked.device, "compiled" in kind)
            for step in steps.values():
                rate(step, tokens, min(1.0, asked.seconds), asked.device)  # compiles and warms
            turns = [
                {
                    kind: rate(step, tokens, asked.seconds / TURNS, asked.device)
                    for kind, step in steps.items()
                }
                for _ in range(TURNS)
            ]
            by_hand_rate = statistics.median(turn["torch.nn"] for turn in turns)
            for kind in steps:
                found = sorted(turn[kind] for turn in turns)
                median = statistics.median(found)
                rows.append({
                    "contestant": kind, "cell": cell, "precision": precision,
                    "tokens_per_second": median, "least": found[0], "most": found[-1],
                    "of_torch_nn": median / by_hand_rate,
                    "of_matrix_product": median * operations(shape, cell) / products[precision],
                })  # fmt: skip
    return rows


def nanogpt(asked: argparse.Namespace) -> dict[str, Any] | None:
    """nanoGPT's own training for characters; its data folder must be prepared."""
    if asked.nanogpt is None:
        return None
    settings = ["config/train_shakespeare_char.py", f"--device={asked.device}", "--max_iters=200"]
    command = [sys.executable, "train.py", *settings, "--eval_interval=100000", "--log_interval=1"]
    done = subprocess.run(command, cwd=asked.nanogpt, capture_output=True, text=True, check=True)
    times = [float(time) / 1000.0 for time in NANOGPT.findall(done.stdout)][20:]
    return {"tokens_per_second": 64 * 256 / statistics.median(times), "settings": settings}


def processes_of(asked: argparse.Namespace) -> list[int]:
    """The numbers of processes to train on: one, and as many as there are GPUs."""
    if asked.processes is not None:
        return [int(each) for each in asked.processes.split(",")]
    return sorted({1, torch.cuda.device_count() if asked.device == "cuda" else 1})


def quality(asked: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Validation losses by the clock, and the speed of whole runs."""
    texts = [(name, text) for name in ("shakespeare", "works") if (text := getattr(asked, name)) is not None]
    minutes = [float(each) for each in asked.minutes.split(",")]
    rows = list[dict[str, Any]]()
    for (name, text), each, count in itertools.product(texts, minutes, processes_of(asked)):
        run = folder / f"{name}-{each:g}-on-{count}"
        launcher = [sys.executable, "-m"]
        if count > 1:  # the dashes keep torchrun from taking --run for an option of its own
            launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "-m", "--"]
        words = ["pantoum", "train", str(text), "--minutes", f"{each:g}", "--device", asked.device]
        words += ["--run", str(run), "--json", *asked.sizes.split()]
        done = subprocess.run([*launcher, *words], stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
        validation = result["validation"] or {}
        rows.append({
            "text": name, "minutes": each, "processes": count, "run": str(run), "steps": result["steps"],
            "parameters": result["parameters"], "tokens_per_second": result["tokens"] / result["seconds"],
            "nats_per_character": validation.get("nats_per_character"),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "cpu"))
    parser.add_argument("--shape", default="origin", choices=(*SHAPES, "tiny"))
    parser.add_argument("--seconds", type=float, default=10.0, help="of each contestant")
    parser.add_argument("--minutes", default="1,3,10")
    parser.add_argument("--processes", help="default: 1 and the number of GPUs")
    parser.add_argument("--sizes", default="--hidden-size 1024 --num-layers 2 --members 1")
    parser.add_argument("--shakespeare", type=Path)
    parser.add_argument("--works", type=Path)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.device == "auto":
        asked.device = "cuda" if torch.cuda.is_available() else "cpu"
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "no GPU that PyTorch can use was found: nothing is measured, and nothing is claimed for GPUs"
        )
    where = torch.cuda.get_device_name() if asked.device == "cuda" else "CPU: this says nothing of GPUs"
    with tempfile.TemporaryDirectory() as temporary:
        report = {
            "machine": machine(), "torch": torch.__version__, "device": where, "shape": asked.shape,
            "speed": speed(asked), "nanogpt": nanogpt(asked),
            "quality": quality(asked, asked.folder or Path(temporary)),
        }  # fmt: skip
    if asked.json:
        print(json.dumps(report))
        return
    print(f"PyTorch {torch.__version__} on {where}, shape {asked.shape}")
    print(f"machine: {json.dumps(report['machine'])}")
    for row in report["speed"]:
        print(
            f"{row['contestant']:20} {row['cell']:5} {row['precision']:8} {row['tokens_per_second']:12,.0f} "
            f"tokens per second ({row['least']:,.0f} to {row['most']:,.0f}), {row['of_torch_nn']:.2f} of "
            f"torch.nn's rate, {row['of_matrix_product']:.3f} of a matrix product's"
        )
    print(f"nanogpt: {json.dumps(report['nanogpt'])}")
    for row in report["quality"]:
        print(
            f"{row['text']:12} {row['minutes']:g} minutes on {row['processes']}: "
            f"{row['nats_per_character']:.4f} nats per character, {row['tokens_per_second']:,.0f} tokens per "
            "second of the whole run"
        )


if __name__ == "__main__":
    main()
