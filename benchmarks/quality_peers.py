"""The peers of ``quality.py``, each a process that trains for so many minutes by the clock and prints JSON.

    python benchmarks/quality_peers.py lstm TRAIN VALID MINUTES [--seed 0]
    python benchmarks/quality_peers.py nanogpt TRAIN VALID MINUTES --nanogpt CHECKOUT --folder OUT

- ``lstm``: what one writes by hand with PyTorch: embedding, two layers of ``nn.LSTM``, dropout, AdamW with
  clipping, the state carried from batch to batch, bf16 autocast, a rate that rises, stays and falls by the
  clock.
- ``nanogpt``: nanoGPT's own ``train.py`` with the CPU recipe of its README; as many iterations as fit,
  measured first, the rate's decay stretched to them. Its text is prepared as its ``prepare.py`` does.

Figures are nats per character of the held-out text: ``carried`` (lstm), ``windows:256``; a transformer
carries no state, so nanoGPT's are ``windows:64`` (its context) and ``sliding`` (every character has 32 to
63 before it).
"""

from __future__ import annotations

import argparse
import json
import math
import pickle
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

LSTM_UNITS, LSTM_LAYERS, LSTM_EMBEDDING, LSTM_RATE, LSTM_DROPOUT = 384, 2, 128, 3e-3, 0.1
BATCH, CHUNK = 64, 64
RECIPE = (
    "--device=cpu",
    "--compile=False",
    "--eval_iters=20",
    "--block_size=64",
    "--batch_size=12",
    "--n_layer=4",
    "--n_head=4",
    "--n_embd=128",
    "--dropout=0.0",
    "--dtype=float32",
)
"""The settings of nanoGPT's README, "only a macbook": 2,000 iterations there."""
WINDOWS = 32
"""That are judged at once."""
TRIAL = 40
"""Iterations that its pace is measured with."""


class ByHand(nn.Module):
    """Embedding, LSTM, head."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, LSTM_EMBEDDING)
        self.lstm = nn.LSTM(LSTM_EMBEDDING, LSTM_UNITS, LSTM_LAYERS, batch_first=True, dropout=LSTM_DROPOUT)
        self.dropout, self.head = nn.Dropout(LSTM_DROPOUT), nn.Linear(LSTM_UNITS, symbols)

    def forward(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        outputs, state = self.lstm(self.embedding(tokens), state)
        return self.head(self.dropout(outputs)), state


def encoded(train: Path, valid: Path) -> tuple[Any, Any, list[str]]:
    """Both texts as numbers of the training text's characters; others become its first."""
    text = train.read_text(encoding="utf-8")
    symbols = sorted(set(text))
    number = {symbol: place for place, symbol in enumerate(symbols)}
    return (
        np.array([number[c] for c in text], np.int64),
        np.array([number.get(c, 0) for c in valid.read_text(encoding="utf-8")], np.int64),
        symbols,
    )


def lstm(asked: argparse.Namespace) -> dict[str, Any]:
    """Train by the clock and judge."""
    began, seconds = time.perf_counter(), asked.minutes * 60.0
    torch.manual_seed(asked.seed)
    train, valid, symbols = encoded(asked.train, asked.valid)
    model = ByHand(len(symbols))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LSTM_RATE, betas=(0.9, 0.99), fused=True)
    rows = torch.tensor(train[: (len(train) - 1) // BATCH * BATCH + 1])
    length = (len(rows) - 1) // BATCH
    inputs, targets = rows[:-1].view(BATCH, length), rows[1:].view(BATCH, length)
    state, at, steps, last = None, 0, 0, 0.0
    while (progress := (time.perf_counter() - began + last) / (seconds * 0.97)) < 1.0:
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = LSTM_RATE * min(1.0, progress / 0.04, (1.0 - progress) / 0.4)
        if at + CHUNK > length:
            state, at = None, 0
        with torch.autocast("cpu", torch.bfloat16):
            logits, state = model(inputs[:, at : at + CHUNK], state)
        loss = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets[:, at : at + CHUNK].flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state, at, steps = tuple(part.detach() for part in state), at + CHUNK, steps + 1
        last = time.perf_counter() - started
    model.eval()
    with torch.no_grad():
        text = torch.tensor(valid)
        total, carried = 0.0, None
        for start in range(0, len(text) - 1, 4096):
            chunk = text[start : start + 4097]
            logits, carried = model(chunk[None, :-1], carried)
            total += float(nn.functional.cross_entropy(logits[0], chunk[1:], reduction="sum"))
        cold = _cold(lambda tokens: model(tokens, None)[0], text, 256)
    return {
        "carried": total / (len(text) - 1),
        "windows:256": cold,
        "steps": steps,
        "tokens": steps * BATCH * CHUNK,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def nanogpt(asked: argparse.Namespace) -> dict[str, Any]:
    """Run its training twice, briefly for its pace and then for the time, and judge its checkpoint."""
    train, valid, symbols = encoded(asked.train, asked.valid)
    data = asked.nanogpt / "data" / "shakespeare_char"
    for name, tokens in (("train", train), ("val", valid)):
        tokens.astype(np.uint16).tofile(data / f"{name}.bin")
    meta = {
        "vocab_size": len(symbols),
        "itos": dict(enumerate(symbols)),
        "stoi": {symbol: place for place, symbol in enumerate(symbols)},
    }
    (data / "meta.pkl").write_bytes(pickle.dumps(meta))
    took, said = _nanogpt(asked, TRIAL, log_interval=1)
    pace = statistics.median(float(ms) / 1e3 for ms in re.findall(r"time ([0-9.]+)ms", said)[1:])
    rest = max(0.0, took - TRIAL * pace)  # what is not iterations: starting, and evaluating at both ends
    iterations = max(1, int((asked.minutes * 60.0 - 2.0 * rest) / pace))
    took, _ = _nanogpt(asked, iterations)
    sys.path.insert(0, str(asked.nanogpt))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    # A pickle, but written a moment ago by ourselves.
    kept = torch.load(asked.folder / "ckpt.pt", map_location="cpu", weights_only=False)
    model = GPT(GPTConfig(**kept["model_args"]))
    model.load_state_dict(kept["model"])
    model.eval()
    text, context = torch.tensor(valid), model.config.block_size

    def logits(tokens: Any) -> Any:
        return model(tokens, tokens)[0]  # with targets it gives all positions

    with torch.no_grad():
        half, total, count = context // 2, 0.0, 0
        for start in range(0, len(text) - 1 - context, half):
            found = logits(text[None, start : start + context])[0, half:]
            total += float(
                nn.functional.cross_entropy(
                    found, text[start + half + 1 : start + context + 1], reduction="sum"
                )
            )
            count += half
        cold = _cold(logits, text, context)
    return {
        f"windows:{context}": cold,
        "sliding": total / count,
        "steps": iterations,
        "seconds": took,
        "tokens": iterations * 12 * context,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _nanogpt(asked: argparse.Namespace, iterations: int, log_interval: int = 100) -> tuple[float, str]:
    """Seconds that so many iterations take, and what was said meanwhile."""
    began = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable,
            "train.py",
            "config/train_shakespeare_char.py",
            *RECIPE,
            f"--max_iters={iterations}",
            f"--lr_decay_iters={iterations}",
            f"--eval_interval={-(-iterations // 4)}",
            f"--log_interval={log_interval}",
            f"--out_dir={asked.folder.resolve()}",
        ],
        cwd=asked.nanogpt,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", choices=("lstm", "nanogpt"))
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/nanogpt"))
    asked = parser.parse_args()
    began = time.perf_counter()
    found = lstm(asked) if asked.peer == "lstm" else nanogpt(asked)
    assert all(math.isfinite(value) for value in found.values())
    print(json.dumps({"seconds": time.perf_counter() - began, **found}))


if __name__ == "__main__":
    main()
