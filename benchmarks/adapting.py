"""What adapting gains and costs, by whole commands in turns without and with `--adapt`: `evaluate MODEL
VALID`, and what `generate` takes for 2,000 tokens more after the first 3,000 characters of VALID. The run is
trained first where it does not exist; it keeps its text. Time wants a machine that does nothing else.

    python benchmarks/adapting.py input.txt --valid val.txt --run /tmp/adapting [--minutes 3] [--json]
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from measured import command, machine, parser, print_marks

WAYS: dict[str, tuple[str, ...]] = {"plain": (), "adapting": ("--adapt",)}
FEW, MORE = 200, 2000
"""Tokens that are written."""


def main() -> None:
    """All commands, in turns; of each the least time."""
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
    prompt = Path(asked.valid).read_text("utf-8")[:3000]
    write = ("generate", asked.run, "--seed", "0", "--prompt", prompt, "--length")
    read_all: tuple[Any, ...] = ("evaluate", asked.run, asked.valid)
    commands = {"read": read_all, "few": (*write, FEW), "many": (*write, FEW + MORE)}
    seconds = {way: dict.fromkeys(commands, float("inf")) for way in WAYS}
    nats = dict.fromkeys(WAYS, 0.0)
    for _ in range(asked.rounds):
        for way, flags in WAYS.items():
            for name, words in commands.items():
                began = time.perf_counter()
                found = command(*words, *flags)
                seconds[way][name] = min(seconds[way][name], time.perf_counter() - began)
                nats[way] = found.get("nats_per_token", nats[way])
    gain, read = nats["plain"] - nats["adapting"], seconds["adapting"]["read"] / seconds["plain"]["read"]
    written = 1e6 * (seconds["adapting"]["many"] - seconds["adapting"]["few"]) / MORE
    marks = [
        {"mark": "gain, nats per token", "figure": gain, "wanted": ">= 0.03", "holds": gain >= 0.03},
        {"mark": "reading, times plain", "figure": read, "wanted": "<= 3", "holds": read <= 3},
        {"mark": "writing, us per token", "figure": written, "wanted": "<= 150", "holds": written <= 150},
    ]
    report = {"machine": machine(), "nats_per_token": nats, "seconds": seconds}
    if asked.json:
        return print(json.dumps({**report, "marks": marks}))
    print(json.dumps(report, indent=1))
    return print_marks(marks)


if __name__ == "__main__":
    main()
