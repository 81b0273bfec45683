"""The steps that benchmarks/training.py lets compete, and the process that one contestant runs in.

A step is forward, backward, clipping by norm and AdamW of a language model: embedding, a stack of cells, a
head. A contestant's name is ``KIND:CELL:PRECISION``: ``ours``, ``torch`` (``nn.GRU``, ``nn.LSTM``, bf16 by
autocast, fused AdamW), ``tensorflow`` and ``jax`` (Keras' GRU); ``product:PRECISION`` is PyTorch's matrix
product [3000,512] x [512,1536]. This file, run as a program, is the child (``processes.py``); its units are
GFLOP.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from processes import Child, Work, serve

from pantoum.config import CELLS

GATES = {name: len(cell.gates) for name, cell in CELLS.items()}
CLIP, RATE = 1.0, 1e-3
WARM_UP = 2
LEAST = 2
"""Steps of a turn, however long they take."""
Step = Callable[[], Any]
Shape = dict[str, int]


def gigaflops(shape: Shape, cell: str) -> float:
    """Multiplications and additions of a step's dense products, forward and backward."""
    H = shape["H"]
    return 6 * shape["B"] * shape["T"] * (2 * GATES[cell] * H * H * shape["L"] + H * shape["V"]) / 1e9


def work(name: str, shape: Shape) -> float:
    """GFLOP of a contestant's step."""
    kind, cell = name.split(":")[:2]
    return 2 * 3000 * 512 * 1536 / 1e9 if kind == "product" else gigaflops(shape, cell)


def ours(shape: Shape, cell: str, precision: str) -> Step:
    import numpy as np

    from pantoum import kernels
    from pantoum.network import LanguageModel
    from pantoum.network.gradient import norm
    from pantoum.network.program import Program
    from pantoum.training.update.optimizer import make_optimizer

    model = LanguageModel(shape["V"], shape["H"], cell, shape["H"], shape["L"])
    optimizer, workspace = make_optimizer("adamw", model, 0.01), kernels.Workspace()
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1))
    backend, run = kernels.backend(np.float32), {"state": model.initial_state(shape["B"])}

    def step() -> float:
        program = Program(model, precision=precision, purpose="train", workspace=workspace)
        result = program.gradients(tokens[:, :-1], tokens[:, 1:], run["state"])
        run["state"] = result.state
        optimizer.step(result.gradients, RATE, min(1.0, CLIP / norm(backend, result.gradients)))
        return result.loss

    return step


def torch(shape: Shape, cell: str, precision: str, device: str = "cpu", compiled: bool = False) -> Step:
    """A step as one writes it with PyTorch; the state is carried. oneDNN refuses LSTM in bf16 on a processor
    without bf16."""
    import torch
    from torch import nn

    class ByHand(nn.Module):
        """Embedding, layers, head."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(shape["V"], H), nn.Linear(H, shape["V"])
            self.layers = (nn.LSTM if cell == "lstm" else nn.GRU)(H, H, shape["L"], batch_first=True)

        def forward(self, tokens: Any, state: Any) -> tuple[Any, Any]:
            outputs, state = self.layers(self.embedding(tokens), state)
            return self.head(outputs), state

    torch.manual_seed(0)
    H, B = shape["H"], shape["B"]
    native = device != "cpu" or precision != "bf16" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    model = ByHand().to(device)
    forward = torch.compile(model) if compiled else model
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
    tokens = torch.randint(shape["V"], (B, shape["T"] + 1), device=device)
    zeros = torch.zeros(shape["L"], B, H, device=device)
    run: dict[str, Any] = {"state": (zeros, zeros) if cell == "lstm" else zeros}

    def step() -> float:
        optimizer.zero_grad()
        library = nullcontext() if native else torch.backends.mkldnn.flags(enabled=False)
        with library, torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            logits, state = forward(tokens[:, :-1], run["state"])
        run["state"] = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return float(loss.detach())

    return step


def keras(shape: Shape, cell: str, precision: str) -> Step:
    """On the backend that KERAS_BACKEND names; the first step compiles, some ten seconds on JAX."""
    import keras
    import numpy as np

    layers = [keras.layers.GRU(shape["H"], return_sequences=True) for _ in range(shape["L"])]
    model = keras.Sequential(
        [keras.layers.Embedding(shape["V"], shape["H"]), *layers, keras.layers.Dense(shape["V"])]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(RATE, weight_decay=0.01, global_clipnorm=CLIP), loss)
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1))
    return lambda: model.train_on_batch(tokens[:, :-1], tokens[:, 1:])


def product(shape: Shape, precision: str, _: str) -> Step:
    import torch

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(3000, 512).to(kind), torch.randn(512, 1536).to(kind)
    out = torch.empty(3000, 1536, dtype=kind)
    return lambda: torch.mm(a, b, out=out)


MAKE = {"ours": ours, "torch": torch, "tensorflow": keras, "jax": keras, "product": product}


def child(name: str, shape: Shape, threads: int) -> Child:
    """A contestant's process."""
    # What JAX has compiled once it finds again in the next run.
    compiled = str(Path(tempfile.gettempdir(), "jax-compiled"))
    return Child(
        str(Path(__file__).resolve()),
        name,
        threads,
        json.dumps(shape),
        KERAS_BACKEND=name.split(":")[0],
        JAX_COMPILATION_CACHE_DIR=compiled,
    )


def main() -> None:
    """The child: ``--serve NAME`` and the shape as JSON."""
    name, shape = sys.argv[2], json.loads(sys.argv[3])
    kind, cell, precision = [*name.split(":"), ""][:3]
    serve(lambda: Work(MAKE[kind](shape, cell, precision), work(name, shape)), WARM_UP, LEAST)


if __name__ == "__main__":
    main()
