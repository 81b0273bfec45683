"""What adapting gains and costs, by whole commands in turns: `pantoum evaluate MODEL VALID` without and with
`--adapt`. The run is trained first where it does not exist; time wants a machine that does nothing else.

    python benchmarks/adapting.py input.txt --valid val.txt --run /tmp/adapting [--minutes 3] [--json]
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

from measured import command, machine, parser, print_marks

from pantoum.inference.adapt_rule import CHARACTERS as SETTINGS

GAIN, TIMES = 0.03, 3.0
WAYS: dict[str, tuple[str, ...]] = {"plain": (), "adapting": ("--adapt",)}


def main() -> None:
    """Both commands, in turns."""
    options = parser(__doc__)
    options.add_argument("texts", nargs="*", help="what the run is trained on")
    options.add_argument("--valid", required=True)
    options.add_argument("--run", type=Path, default=Path("runs/adapting"))
    options.add_argument("--minutes", type=float, default=3.0)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    if not (asked.run / "model.safetensors").exists():
        more = ("--minutes", str(asked.minutes), "--run", asked.run, "--keep-data")
        command("train", *asked.texts, "--valid", asked.valid, *more)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    nats = dict.fromkeys(WAYS, 0.0)
    for _ in range(asked.rounds):
        for name, flags in WAYS.items():
            began = time.perf_counter()
            nats[name] = command("evaluate", asked.run, asked.valid, *flags)["nats_per_token"]
            seconds[name].append(time.perf_counter() - began)
    gain, times = nats["plain"] - nats["adapting"], min(seconds["adapting"]) / min(seconds["plain"])
    marks = [
        {"mark": "gain, nats per token", "figure": gain, "wanted": f">= {GAIN}", "holds": gain >= GAIN},
        {
            "mark": "time, times the plain one",
            "figure": times,
            "wanted": f"<= {TIMES:g}",
            "holds": times <= TIMES,
        },
    ]
    report = {"machine": machine(), "settings": asdict(SETTINGS), "nats_per_token": nats, "seconds": seconds}
    if asked.json:
        return print(json.dumps({**report, "marks": marks}))
    print(report["machine"])
    for name, took in seconds.items():
        spread = f"{min(took):.2f} / {sorted(took)[len(took) // 2]:.2f} / {max(took):.2f} s"
        print(f"{name:<10} {nats[name]:.4f} nats per token, {spread}")
    return print_marks(marks)


if __name__ == "__main__":
    main()
