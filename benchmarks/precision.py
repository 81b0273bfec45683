"""What bf16 costs in quality: the same runs in float32 and in bf16, several seeds, validation loss compared.

Each run is a real `pantoum train` of the same text, model, steps and seed; only the precision of products
differs. The figure is the run's own validation loss (`segments:64`, nats per token, the best model). Runs are
kept in --folder: the script can be stopped at any moment, and the same command goes on where it ended. Time
does not matter to the figure, so it may run niced beside other work:

    nice -n 19 python benchmarks/precision.py input.txt --folder /tmp/precision [--valid val.txt] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from measured import machine

MARK = 0.01
PRECISIONS = ("float32", "bf16")


def trained(folder: Path, texts: list[str], settings: list[str], precision: str, seed: int) -> dict[str, Any]:
    """What one run says of itself; it is begun, gone on with, or only asked."""
    run = folder / f"{precision}-{seed}"
    command = [sys.executable, "-m", "pantoum", "train", "--run", str(run), "--json", "--quiet"]
    if (run / "config.json").exists():
        command.append("--resume")
    else:
        command += [*texts, *settings, "--seed", str(seed), "--precision", precision]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Train what is not trained yet, and compare."""
    parser = argparse.ArgumentParser(description="bf16 against float32 on held-out text")
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--valid")
    parser.add_argument("--folder", type=Path, default=Path("runs/precision"))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--num-layers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seq-len", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    settings = [
        word
        for name in ("steps", "hidden_size", "num_layers", "batch_size", "seq_len")
        for word in ("--" + name.replace("_", "-"), str(getattr(asked, name)))
    ]
    settings += ["--optimizer", "adamw"]
    if asked.valid:
        settings += ["--valid", asked.valid]
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in map(int, asked.seeds.split(",")):
        row: dict[str, Any] = {"seed": seed}
        for precision in PRECISIONS:
            print(f"seed {seed}, {precision}", file=sys.stderr, flush=True)
            done = trained(asked.folder, asked.texts, settings, precision, seed)
            row[precision] = done["validation"]["nats_per_token"]
            row[f"{precision} seconds"] = done["seconds"]
        row["difference"] = row["bf16"] - row["float32"]
        rows.append(row)
    differences = [row["difference"] for row in rows]
    report = {
        "machine": machine(),
        "settings": " ".join(settings),
        "runs": rows,
        "difference": {
            "mean": statistics.fmean(differences),
            "min": min(differences),
            "max": max(differences),
        },
        "mark": MARK,
        "met": abs(statistics.fmean(differences)) <= MARK,
    }
    if asked.json:
        print(json.dumps(report))
        return
    print(machine())
    print(report["settings"])
    for row in rows:
        print(
            f"seed {row['seed']}: float32 {row['float32']:.4f}  bf16 {row['bf16']:.4f}  "
            f"difference {row['difference']:+.4f} nats per token  "
            f"({row['float32 seconds']:.0f} and {row['bf16 seconds']:.0f} s)"
        )
    print(
        f"mean difference {statistics.fmean(differences):+.4f} nats, mark within {MARK}: "
        f"{'met' if report['met'] else 'NOT met'}"
    )


if __name__ == "__main__":
    main()
