"""The most memory that `pantoum train` takes, against what a run must hold.

A real run of the command line, at the origin's shape (B=100, T=30, 3 x 512, 98 symbols), with averaged
weights, held-out evaluations and checkpoints; its peak resident set is what the system counted. It may take

    parameters x 24 bytes      weights, gradients, two moments, average: 4 each; packed twice in bf16: 4
  + parameters x 16 bytes      while saving: a copy of weights, average and moments
  + activations of one chunk   see below
  + 80 MB                      Python, NumPy, the core, the text, and all that is forgotten here

The activations of N = B*T tokens, with p the bytes of a product's operand (2 or 4), G gate rows of a layer:
for each layer what the backward pass reads (gates 4G, hidden 4H, candidate 4H of a GRU or cell 4H of an LSTM,
the operands pH) and its input's gradient 4H; and once the gates' gradient as operands pG and the head's 4H.

    python benchmarks/memory.py [--cell gru] [--precision bf16] [--steps 8] [--json]
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from contestants import GATES
from measured import machine, parser

from pantoum import kernels

B, T, H, L = 100, 30, 512, 3
SYMBOLS = "".join(map(chr, range(32, 127))) + "\n"
ROOM = 80e6


def activations(cell: str, precision: str) -> float:
    """Bytes, by the formula above."""
    p = 2 if precision == "bf16" else 4
    G = GATES[cell] * H
    more = 4 * H if cell in ("gru", "lstm") else 0
    if cell == "gru-before":
        more = p * H  # r * h, the operands of its second product
    return float(B * T * (L * (4 * G + 4 * H + more + p * H + 4 * H) + p * G + 4 * H))


def peak(command: list[str]) -> tuple[float, dict[str, Any]]:
    """The most bytes that a command held at once, and its answer."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    answer = json.loads(text)
    scale = 1 if sys.platform == "darwin" else 1024
    return float(usage.ru_maxrss * scale), answer


def main() -> None:
    """One run, and the account."""
    options = parser(__doc__)
    options.add_argument("--cell", choices=GATES, default="gru")
    options.add_argument("--precision", choices=("float32", "bf16"), default=kernels.precisions()[-1])
    options.add_argument("--steps", type=int, default=8)
    asked = options.parse_args()
    sizes = f"--hidden-size {H} --embedding-size {H} --num-layers {L} --batch-size {B} --seq-len {T}"
    chosen = f"--steps {asked.steps} --cell {asked.cell} --precision {asked.precision}"
    more = f"{sizes} {chosen} --dropout 0 --optimizer adamw --valid-fraction 0.02 --json --quiet"
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        text.write_text("".join(random.Random(0).choices(SYMBOLS, k=400_000)))
        words = ["train", str(text), "--run", str(Path(folder, "run")), *more.split()]
        found, answer = peak([sys.executable, "-m", "pantoum", *words])
    weights = answer["parameters"]
    parts = {
        "parameters x 24": 24.0 * weights,
        "parameters x 16 while saving": 16.0 * weights,
        "activations": activations(asked.cell, asked.precision),
        "room": ROOM,
    }
    allowed = sum(parts.values())
    met = found <= allowed
    if asked.json:
        report = {"machine": machine(), **vars(asked), "parameters": weights, "parts": parts}
        return print(json.dumps({**report, "allowed": allowed, "peak": found, "met": met}))
    print(machine())
    print(f"{chosen} {sizes}: {weights:,} parameters")
    for name, size in parts.items():
        print(f"  {name:<32}{size / 1e6:7.1f} MB")
    print(f"allowed {allowed / 1e6:.1f} MB, peak {found / 1e6:.1f} MB: {'met' if met else 'NOT met'}")
    return None


if __name__ == "__main__":
    main()
