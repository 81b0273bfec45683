"""The peers of ``quality.py``, each a process that trains for so many minutes by the clock and prints JSON.

    python benchmarks/quality_peers.py lstm TRAIN VALID TEST MINUTES [--words] [--seed 0]
    python benchmarks/quality_peers.py adaptive TRAIN VALID TEST MINUTES
    python benchmarks/quality_peers.py nanogpt TRAIN VALID TEST MINUTES --nanogpt CHECKOUT --folder OUT

- ``lstm``: what one writes by hand with PyTorch: embedding, ``nn.LSTM``, dropout, AdamW with clipping, 64
  streams whose state is carried from batch to batch, bf16 autocast, a rate that rises, stays and falls by the
  clock. Of characters two layers of 384 units; ``--words``: one layer of 256 whose embedding is tied to the
  output layer.
- ``adaptive``: of words, with ``nn.AdaptiveLogSoftmaxWithLoss`` over the words by frequency, not tied.
- ``nanogpt``: nanoGPT's own ``train.py`` with the CPU recipe of its README; as many iterations as fit,
  measured first, the rate's decay stretched to them. Its text is prepared as its ``prepare.py`` does.

Characters: nats per character of TEST, ``carried`` (lstm) and ``windows:256``; a transformer carries no
state, so nanoGPT's are ``windows:64`` (its context) and ``sliding`` (every character has 32 to 63 before it).
Words: perplexities per word, ``static``, and ``cache`` with a continuous cache (Grave, Joulin and Usunier
2016) of 2,000 words, its two numbers chosen on the first words of VALID.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import pickle
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import parser
from modified_kneser_ney import read_characters, read_words
from torch import nn

STREAMS = 64
CUTOFFS = (2000, 10_000)
CACHE, TUNED_ON = 2000, 10_000
FLATNESSES, SHARES = (0.05, 0.1, 0.2, 0.4), (0.05, 0.1, 0.2, 0.3, 0.4)
RECIPE = (
    "--device=cpu --compile=False --eval_iters=20 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 "
    "--n_embd=128 --dropout=0.0 --dtype=float32"
)
"""The settings of nanoGPT's README, "only a macbook": 2,000 iterations there."""
READ, WINDOWS = 256, 32
"""Tokens that are read at once, and windows that are judged at once."""
TRIAL = 40
"""Iterations that its pace is measured with."""


@dataclass(frozen=True)
class Shape:
    """Sizes and settings of the LSTM."""

    units: int
    layers: int
    embedding: int
    dropout: float
    rate: float
    steps: int


CHARACTERS, WORDS = Shape(384, 2, 128, 0.1, 3e-3, 64), Shape(256, 1, 256, 0.2, 4e-3, 35)


class ByHand(nn.Module):
    """Embedding, LSTM, output layer: full, tied (of words) or adaptive. Tokens are [time, streams]."""

    def __init__(self, symbols: int, shape: Shape = WORDS, adaptive: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, shape.embedding)
        between = shape.dropout if shape.layers > 1 else 0.0
        self.lstm = nn.LSTM(shape.embedding, shape.units, shape.layers, dropout=between)
        self.dropout, self.of_words = nn.Dropout(shape.dropout), shape == WORDS
        self.adaptive = self.head = self.bias = None
        if adaptive:
            cutoffs = [cutoff for cutoff in CUTOFFS if cutoff < symbols]
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(shape.units, symbols, cutoffs)
        elif self.of_words:
            self.bias = nn.Parameter(torch.zeros(symbols))
        else:
            self.head = nn.Linear(shape.units, symbols)
        if self.of_words:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        embedded = self.embedding(tokens)
        outputs, state = self.lstm(self.dropout(embedded) if self.of_words else embedded, state)
        return self.dropout(outputs), state

    def logits(self, hidden: Any) -> Any:
        if self.head is not None:
            return self.head(hidden)
        return nn.functional.linear(hidden, self.embedding.weight, self.bias)

    def loss(self, hidden: Any, targets: Any) -> Any:
        if self.adaptive is not None:
            with torch.autocast("cpu", enabled=False):  # it puts float32 and bf16 into one tensor otherwise
                return self.adaptive(hidden.float(), targets).loss
        return nn.functional.cross_entropy(self.logits(hidden).float(), targets)

    def log_probabilities(self, hidden: Any) -> Any:
        if self.adaptive is not None:
            return self.adaptive.log_prob(hidden)
        return torch.log_softmax(self.logits(hidden), -1)


def trained(train: Any, symbols: int, shape: Shape, minutes: float, adaptive: bool) -> tuple[ByHand, int]:
    """Train by the clock, so that the last update still fits; the model, and its updates."""
    began, seconds = time.perf_counter(), minutes * 60.0 * 0.97
    model = ByHand(symbols, shape, adaptive)
    optimizer = torch.optim.AdamW(model.parameters(), lr=shape.rate, betas=(0.9, 0.99), fused=True)
    length = (len(train) - 1) // STREAMS
    text = torch.tensor(train[: length * STREAMS + 1])
    inputs, targets = (part.view(STREAMS, length).t() for part in (text[:-1], text[1:]))
    state, at, updates, last = None, 0, 0, 0.0
    while (progress := (time.perf_counter() - began + last) / seconds) < 1.0:
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = shape.rate * min(1.0, progress / 0.04, (1.0 - progress) / 0.4)
        if at + shape.steps > length:
            state, at = None, 0
        end = at + shape.steps
        with torch.autocast("cpu", torch.bfloat16):
            hidden, state = model(inputs[at:end], state)
            loss = model.loss(hidden.flatten(0, 1), targets[at:end].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state, at, updates = tuple(part.detach() for part in state), end, updates + 1
        last = time.perf_counter() - started
    return model.eval(), updates


def lstm(asked: argparse.Namespace) -> dict[str, Any]:
    """Train by the clock and judge."""
    began, adaptive = time.perf_counter(), asked.peer == "adaptive"
    words = asked.words or adaptive
    shape, read = (WORDS, read_words) if words else (CHARACTERS, read_characters)
    symbols, (train, valid, test) = read(asked.train, asked.valid, asked.test)
    if adaptive:  # its clusters want the frequent words first
        order = np.argsort(-np.bincount(train, minlength=symbols), kind="stable")
        place = np.empty(symbols, np.int64)
        place[order] = np.arange(symbols)
        train, valid, test = place[train], place[valid], place[test]
    minutes = asked.minutes - (time.perf_counter() - began) / 60.0
    model, updates = trained(train, symbols, shape, minutes, adaptive)
    tokens = updates * STREAMS * shape.steps
    seconds = time.perf_counter() - began
    found = {"steps": updates, "tokens": tokens, "tokens_per_second": tokens / seconds}
    found |= {"vocab_size": symbols, "parameters": sum(each.numel() for each in model.parameters())}
    return found | (of_words(model, valid, test) if words else of_characters(model, test))


@torch.no_grad()
def of_characters(model: ByHand, test: Any) -> dict[str, float]:
    """``carried`` and ``windows:256``."""
    _, log_p = read_through(model, test)
    cold = _cold(
        lambda tokens: model.logits(model(tokens.t(), None)[0]).transpose(0, 1), torch.tensor(test), 256
    )
    return {"carried": -float(log_p.mean(dtype=torch.float64)), "windows:256": cold}


@torch.no_grad()
def of_words(model: ByHand, valid: Any, test: Any) -> dict[str, float]:
    """``static`` and ``cache``."""
    tuned = valid[:TUNED_ON]
    hidden, static = read_through(model, tuned)
    tries = {each: cached(tuned, hidden, static, each) for each in FLATNESSES}
    flatness, share = min(
        itertools.product(FLATNESSES, SHARES), key=lambda pair: perplexity(static, tries[pair[0]], pair[1])
    )
    hidden, static = read_through(model, test)
    found = {"static": math.exp(-float(static.double().mean())), "flatness": flatness, "share": share}
    return {**found, "cache": perplexity(static, cached(test, hidden, static, flatness), share)}


def read_through(model: ByHand, text: Any) -> tuple[Any, Any]:
    """(hidden states [N,H], log probabilities of the targets [N]) of a text read from start to end."""
    tokens, state = torch.tensor(text), None
    hidden, found = [], []
    for at in range(0, len(tokens) - 1, READ):
        part = tokens[at : at + READ + 1]
        outputs, state = model(part[:-1, None], state)
        hidden.append(outputs[:, 0])
        found.append(model.log_probabilities(outputs[:, 0]).gather(1, part[1:, None])[:, 0])
    return torch.cat(hidden), torch.cat(found)


def cached(text: Any, hidden: Any, static: Any, flatness: float) -> Any:
    """The probability [N] that the words of the cache alone give each target."""
    targets = torch.tensor(text[1:])
    scale = flatness * math.sqrt(1.0 / float(hidden.pow(2).mean()))  # for models of any width alike
    found = torch.zeros(len(static))
    for at in range(1, len(static)):
        first = max(0, at - CACHE)
        weights = torch.softmax(scale * (hidden[first:at] @ hidden[at]), 0)
        found[at] = weights[targets[first:at] == targets[at]].sum()
    return found


def perplexity(static: Any, of_cache: Any, share: float) -> float:
    """The perplexity per word of the mixture; nothing is in the cache before the first word."""
    mixed = (1.0 - share) * static.double().exp() + share * of_cache.double()
    mixed[0] = static[0].double().exp()
    return math.exp(-float(mixed.log().mean()))


def nanogpt(asked: argparse.Namespace) -> dict[str, Any]:
    """Run its training twice, briefly for its pace and then for the time, and judge its checkpoint."""
    symbols = sorted(set(asked.train.read_text(encoding="utf-8")))
    number = {symbol: place for place, symbol in enumerate(symbols)}
    data = asked.nanogpt / "data" / "shakespeare_char"
    for name, path in (("train", asked.train), ("val", asked.test)):
        tokens = np.array([number.get(c, 0) for c in path.read_text(encoding="utf-8")], np.uint16)
        tokens.tofile(data / f"{name}.bin")
    meta = {"vocab_size": len(symbols), "itos": dict(enumerate(symbols)), "stoi": number}
    (data / "meta.pkl").write_bytes(pickle.dumps(meta))
    took, said = _nanogpt(asked, TRIAL, log_interval=1)
    pace = statistics.median(float(ms) / 1e3 for ms in re.findall(r"time ([0-9.]+)ms", said)[1:])
    rest = max(0.0, took - TRIAL * pace)  # what is not iterations: starting, and evaluating at both ends
    iterations = max(1, int((asked.minutes * 60.0 - 2.0 * rest) / pace))
    took, _ = _nanogpt(asked, iterations)
    sys.path.insert(0, str(asked.nanogpt))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    # A pickle, but written a moment ago by ourselves.
    saved = torch.load(asked.folder / "ckpt.pt", map_location="cpu", weights_only=False)
    model = GPT(GPTConfig(**saved["model_args"]))
    model.load_state_dict(saved["model"])
    model.eval()
    text, context = torch.tensor(tokens.astype(np.int64)), model.config.block_size

    def logits(tokens: Any) -> Any:
        return model(tokens, tokens)[0]  # with targets it gives all positions

    half, total, count = context // 2, 0.0, 0
    with torch.no_grad():
        for start in range(0, len(text) - 1 - context, half):
            found = logits(text[None, start : start + context])[0, half:]
            targets = text[start + half + 1 : start + context + 1]
            total += float(nn.functional.cross_entropy(found, targets, reduction="sum"))
            count += half
        cold = _cold(logits, text, context)
    parameters = sum(p.numel() for p in model.parameters())
    found = {"steps": iterations, "tokens": iterations * 12 * context, "parameters": parameters}
    return {f"windows:{context}": cold, "sliding": total / count, "seconds": took, **found}


def _nanogpt(asked: argparse.Namespace, iterations: int, log_interval: int = 100) -> tuple[float, str]:
    """Seconds that so many iterations take, and what was said meanwhile."""
    flags = {
        "max_iters": iterations,
        "lr_decay_iters": iterations,
        "eval_interval": -(-iterations // 4),
        "log_interval": log_interval,
        "out_dir": asked.folder.resolve(),
    }
    words = [*RECIPE.split(), *(f"--{name}={value}" for name, value in flags.items())]
    command = [sys.executable, "train.py", "config/train_shakespeare_char.py", *words]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=asked.nanogpt, check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - began, done.stdout


def _cold(logits: Any, text: Any, window: int) -> float:
    """Nats per target over windows that each begin with nothing known."""
    full = (len(text) - 1) // window * window
    inputs_WT, targets_WT = text[:full].view(-1, window), text[1 : full + 1].view(-1, window)
    parts = [
        *zip(inputs_WT.split(WINDOWS), targets_WT.split(WINDOWS), strict=True),
        (text[None, full:-1], text[None, full + 1 :]),
    ]
    total = sum(
        float(nn.functional.cross_entropy(logits(inputs).flatten(0, 1), targets.flatten(), reduction="sum"))
        for inputs, targets in parts
        if targets.numel()
    )
    return total / (len(text) - 1)


def main() -> None:
    """Train one peer, print what it reached."""
    options = parser(__doc__)
    options.add_argument("peer", choices=("lstm", "adaptive", "nanogpt"))
    for name in ("train", "valid", "test"):
        options.add_argument(name, type=Path)
    options.add_argument("minutes", type=float)
    options.add_argument("--words", action="store_true")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--nanogpt", type=Path)
    options.add_argument("--folder", type=Path, default=Path("runs/nanogpt"))
    asked = options.parse_args()
    torch.manual_seed(asked.seed)
    began = time.perf_counter()
    found = nanogpt(asked) if asked.peer == "nanogpt" else lstm(asked)
    print(json.dumps({"seconds": time.perf_counter() - began, **found}))


if __name__ == "__main__":
    main()
