"""What adapting gains and costs, and the search that its settings come from.

The mark, by whole commands in turns, `pantoum evaluate MODEL VALID` without and with `--adapt` (the run is
trained first where it does not exist; time wants a machine that does nothing else):

    python benchmarks/adapting.py input.txt --valid val.txt --run /tmp/adapting [--minutes 3] [--json]

The search, on other texts than those of the mark. A run for each TRAIN:HELD_OUT pair, then every variant on
the first tokens of its held-out text; results are lines of a file in --folder, those that are there are not
done again, so it can be stopped at any moment:

    nice python benchmarks/adapting.py --search TRAIN:HELD_OUT [TRAIN:HELD_OUT ...] --folder /tmp/search
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine

from pantoum.inference.adapt import Adapter, Settings
from pantoum.inference.adapt_rule import CHARACTERS as SETTINGS
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.scoring.reader import PlainReader

GAIN, TIMES = 0.03, 4.0
PANTOUM = [sys.executable, "-m", "pantoum"]
SHAPE = [
    "--hidden-size",
    "384",
    "--num-layers",
    "2",
    "--embedding-size",
    "128",
    "--batch-size",
    "64",
    "--seq-len",
    "64",
    "--tokens",
    "characters",
    "--quiet",
]


def train(run: Path, texts: list[str], valid: str | None, *settings: str) -> None:
    """Train a run that does not exist yet."""
    if not (run / "model.safetensors").exists():
        held_out = [] if valid is None else ["--valid", valid]
        subprocess.run(
            [*PANTOUM, "train", *texts, *held_out, *settings, "--run", str(run)],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def evaluated(run: Path, valid: str, *options: str) -> tuple[dict[str, Any], float]:
    """The figures of one command, and its seconds by the clock."""
    began = time.perf_counter()
    done = subprocess.run(
        [*PANTOUM, "evaluate", str(run), valid, "--json", "--quiet", *options],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout), time.perf_counter() - began


def mark(asked: argparse.Namespace) -> dict[str, Any]:
    """Both commands, in turns."""
    train(asked.run, asked.texts, asked.valid, "--minutes", str(asked.minutes))
    seconds: dict[str, list[float]] = {"plain": [], "adapting": []}
    nats = {}
    for _ in range(asked.rounds):
        for name, options in (("plain", ()), ("adapting", ("--adapt",))):
            found, took = evaluated(asked.run, asked.valid, *options)
            seconds[name].append(took)
            nats[name] = found["nats_per_token"]
    gain, times = nats["plain"] - nats["adapting"], min(seconds["adapting"]) / min(seconds["plain"])
    return {
        "machine": machine(),
        "settings": asdict(SETTINGS),
        "nats_per_token": nats,
        "seconds": seconds,
        "gain": gain,
        "times": times,
        "marks": {"gain": GAIN, "times": TIMES},
        "met": gain >= GAIN and times <= TIMES,
    }


def variants() -> Iterator[tuple[str, Settings]]:
    """The grid: around what was chosen, one thing at a time; then what else may adapt, and without sizes."""
    for chunk in (32, 96, 192, 256):
        for rate in (0.0005, 0.001, 0.002, 0.004, 0.008):
            yield "all", replace(SETTINGS, chunk=chunk, rate=rate)
    for decay in (0.0, 0.0003, 0.001, 0.003, 0.01):
        yield "all", replace(SETTINGS, decay=decay)
    for floor in (0.01, 0.03, 0.3, 1.0):
        yield "all", replace(SETTINGS, floor=floor)
    for part in ("weight_hh", "weight_ih", "head", "stack"):
        yield part, SETTINGS
    for rate in (0.0001, 0.0003, 0.001, 0.003):
        yield "one size", replace(SETTINGS, rate=rate)


def adapter_of(model: LoadedModel, part: str, settings: Settings) -> Adapter:
    """An adapter of which only a part moves, or whose rows all have one size."""
    if part == "one size":
        flat = {name: np.ones_like(array) for name, array in model.extras.items()}
        return Adapter(replace(model, extras=flat), settings)
    adapter = Adapter(model, settings)
    if part != "all":
        speeds = adapter._rule._speeds
        for name in [name for name in speeds if part not in name]:
            del speeds[name]
    return adapter


def search(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Every variant on every text, as far as it is not known."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    log = asked.folder / "results.jsonl"
    known = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    seen = {(row["text"], row["part"], json.dumps(row["settings"])) for row in known}
    for pair in asked.search:
        text, held_out = pair.split(":")
        run = asked.folder / Path(text).stem
        train(run, [text], held_out, "--steps", str(asked.steps), *SHAPE)
        model = load(run)
        ids_T = model.tokenizer.encode(Path(held_out).read_text(encoding="utf-8"))[: asked.tokens + 1]
        inputs_BT, targets_BT = (part.astype(np.int64)[None] for part in (ids_T[:-1], ids_T[1:]))
        plain = float(PlainReader(model).losses(inputs_BT, targets_BT, None).mean(dtype=np.float64))
        for part, settings in variants():
            if (run.name, part, json.dumps(asdict(settings))) in seen:
                continue
            nats_BT = adapter_of(model, part, settings).losses(inputs_BT, targets_BT)
            nats = float(nats_BT.mean(dtype=np.float64))
            row = {
                "text": run.name,
                "part": part,
                "settings": asdict(settings),
                "tokens": len(ids_T) - 1,
                "plain": plain,
                "nats": nats,
                "gain": plain - nats,
            }
            seen.add((run.name, part, json.dumps(asdict(settings))))
            known.append(row)
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{run.name}  {part}  {settings}  {plain:.4f} -> {nats:.4f}", file=sys.stderr, flush=True)
    return known


def main() -> None:
    """The mark, or the search."""
    parser = argparse.ArgumentParser(description="what adapting gains and costs")
    parser.add_argument("texts", nargs="*", help="what the run is trained on")
    parser.add_argument("--valid")
    parser.add_argument("--run", type=Path, default=Path("runs/adapting"))
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--search", nargs="+", metavar="TRAIN:HELD_OUT")
    parser.add_argument("--folder", type=Path, default=Path("runs/adapting-search"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.search:
        rows = search(asked)
        if asked.json:
            print(json.dumps({"machine": machine(), "rows": rows}))
            return
        for row in sorted(rows, key=lambda row: (row["text"], -row["gain"])):
            print(f"{row['text']:<12} {row['part']:<10} gain {row['gain']:+.4f}  {row['settings']}")
        return
    if not asked.valid:
        parser.error("give --valid VALID (and the texts to train on), or --search")
    report = mark(asked)
    if asked.json:
        print(json.dumps(report))
        return
    print(report["machine"])
    for name, seconds in report["seconds"].items():
        print(
            f"{name:<10} {report['nats_per_token'][name]:.4f} nats per token, "
            f"{min(seconds):.2f} / {sorted(seconds)[len(seconds) // 2]:.2f} / {max(seconds):.2f} s"
        )
    print(
        f"gain {report['gain']:.4f} (mark {GAIN}), time x {report['times']:.2f} (mark {TIMES:g}): "
        f"{'met' if report['met'] else 'NOT met'}"
    )


if __name__ == "__main__":
    main()
