"""How good a model some minutes of this machine buy: ours, nanoGPT's CPU recipe, and ``nn.LSTM`` by hand.

    python benchmarks/quality.py --shakespeare input.txt --works FOLDER --folder runs/quality
                                 [--nanogpt CHECKOUT] [--only WORD,...] [--list] [--table] [--json]

Ours is the whole of ``pantoum train --minutes M``, by the clock, then ``pantoum evaluate``: ``carried``,
``windows:256``, and ``--adapt`` where that is known. A unit of work is one training with its figures; each
is a line in ``results.jsonl`` as soon as it is done, and what is there is not done again: the script may be
stopped at any moment, and the same command goes on. At its end a table against the marks is printed. It
takes about an hour and a half of both cores, alone: figures by the clock on a busy machine are worth
nothing. Without PyTorch the peers are left out, and it is said.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kneser_ney import KneserNey
from measured import machine
from quality_texts import SMALL, Text, texts

HERE = Path(__file__).resolve().parent
SEEDS = {1: (0, 1, 2), 3: (0, 1, 2), 10: (0,)}
PROTOCOLS = ("carried", "windows:256")
NGRAM = 5


@dataclass(frozen=True)
class Mark:
    """A figure to reach: of which runs, which key, at most (or ``least``: at least) what."""

    text: str
    minutes: int
    key: str
    bound: float
    strive: float | None = None
    least: bool = False


MARKS = (
    Mark("shakespeare", 1, "carried", 1.58, 1.53),
    Mark("shakespeare", 3, "carried", 1.45, 1.42),
    Mark("shakespeare", 3, "windows:256", 1.4697),
    Mark("shakespeare", 10, "carried", 1.42, 1.38),
    Mark("shakespeare", 10, "windows:256", 1.44),
    Mark("shakespeare", 10, "adapt", 1.38, 1.34),
    Mark("works", 10, "carried", 1.35, 1.30),
    Mark("works", 10, "accuracy", 0.60, least=True),
    Mark("library", 10, "against xz", 1.05, 1.0),
    *(Mark(text, 1, "against n-gram", 1.0) for text in SMALL),
)


@dataclass(frozen=True)
class Unit:
    """One training."""

    system: str
    text: str
    minutes: int
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.system}, {self.text}, {self.minutes} min, seed {self.seed}"


def units() -> Iterator[Unit]:
    """All of them, the short ones first."""
    for minutes, seeds in SEEDS.items():
        yield from (Unit("pantoum", "shakespeare", minutes, seed) for seed in seeds)
        if minutes == 1:
            yield from (Unit("pantoum", text, 1) for text in SMALL)
        if minutes == 3:
            yield Unit("pantoum", "another tenth", 3)
        if minutes == 10:
            yield from (Unit("pantoum", text, 10) for text in ("works", "library"))
        if minutes > 1:
            yield from (Unit(peer, "shakespeare", minutes) for peer in ("lstm", "nanogpt"))


def ours(unit: Unit, text: Text, folder: Path) -> dict[str, Any]:
    """Train by the clock, evaluate, remove the run."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    trained = pantoum(
        "train",
        str(text.train),
        "--valid",
        str(text.valid),
        "--minutes",
        str(unit.minutes),
        "--seed",
        str(unit.seed),
        "--run",
        str(run),
        *text.flags,
    )
    chosen = json.loads((run / "config.json").read_text())["chosen"]
    found: dict[str, Any] = {name: trained[name] for name in ("steps", "tokens", "seconds", "parameters")}
    found["chosen"] = chosen
    for protocol in PROTOCOLS:
        judged = pantoum("evaluate", str(run), str(text.reported), "--protocol", protocol)
        found[protocol] = judged["nats_per_character"] or judged["nats_per_token"]
        if protocol == "carried":
            found.update({name: judged[name] for name in ("accuracy", "bits_per_byte", "xz_bits_per_byte")})
            found["against xz"] = judged["bits_per_byte"] / judged["xz_bits_per_byte"]
    if "--adapt" in pantoum_help("evaluate"):
        adapted = pantoum("evaluate", str(run), str(text.reported), "--adapt")
        found["adapt"] = adapted["nats_per_character"] or adapted["nats_per_token"]
    if unit.text in SMALL:
        learned, held_out = (path.read_text(encoding="utf-8") for path in (text.train, text.reported))
        found["n-gram"] = KneserNey(learned, NGRAM).nats(held_out)
        found["against n-gram"] = found["carried"] / found["n-gram"]
    shutil.rmtree(run)
    return found


def pantoum(*words: str) -> dict[str, Any]:
    """One command, its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "pantoum", *words, "--json", "--quiet"], stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pantoum_help(command: str) -> str:
    """The text of ``--help``."""
    return subprocess.run(
        [sys.executable, "-m", "pantoum", command, "--help"], capture_output=True, text=True, check=True
    ).stdout


def peer(unit: Unit, text: Text, folder: Path, nanogpt: Path | None) -> dict[str, Any] | None:
    """A peer's figures; ``None`` where it cannot run."""
    if importlib.util.find_spec("torch") is None or (unit.system == "nanogpt" and nanogpt is None):
        print(f"{unit}: LEFT OUT, PyTorch or --nanogpt is missing", file=sys.stderr, flush=True)
        return None
    checkout = [] if nanogpt is None else ["--nanogpt", str(nanogpt)]
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "quality_peers.py"),
            unit.system,
            str(text.train),
            str(text.reported),
            str(unit.minutes),
            "--seed",
            str(unit.seed),
            "--folder",
            str(folder / "nanogpt"),
            *checkout,
        ],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # nanoGPT's own code prints before it
    return found


def known(results: Path) -> dict[Unit, dict[str, Any]]:
    """What is done."""
    lines = map(json.loads, results.read_text().splitlines()) if results.exists() else []
    return {Unit(line["system"], line["text"], line["minutes"], line["seed"]): line for line in lines}


def table(done: dict[Unit, dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each figure that has a mark, and whether it is met by the mean of its seeds."""
    rows = []
    for mark in MARKS:
        values = [
            line[mark.key]
            for unit, line in done.items()
            if mark.key in line
            and (unit.system, unit.text, unit.minutes) == ("pantoum", mark.text, mark.minutes)
        ]
        if values:
            mean = statistics.fmean(values)
            met = mean >= mark.bound if mark.least else mean <= mark.bound
            rows.append(
                {
                    "text": mark.text,
                    "minutes": mark.minutes,
                    "figure": mark.key,
                    "mean": mean,
                    "values": values,
                    "mark": mark.bound,
                    "strive": mark.strive,
                    "met": met,
                }
            )
    return rows


def show(done: dict[Unit, dict[str, Any]]) -> None:
    """Every unit, then the marks."""
    for unit, line in done.items():
        figures = "  ".join(
            f"{name} {value:.4f}"
            for name, value in line.items()
            if isinstance(value, float) and name not in ("seconds",)
        )
        print(f"{unit!s:42} {figures}")
    for row in table(done):
        spread = f" ({min(row['values']):.4f} to {max(row['values']):.4f})" if len(row["values"]) > 1 else ""
        strive = "" if row["strive"] is None else f", strive {row['strive']}"
        print(
            f"{'met   ' if row['met'] else 'MISSED'} {row['text']}, {row['minutes']} min, {row['figure']}: "
            f"{row['mean']:.4f}{spread}, mark {row['mark']}{strive}"
        )


def main() -> None:
    """Do what is not done, and print all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shakespeare", type=Path, help="tiny Shakespeare's input.txt")
    parser.add_argument("--works", type=Path, help="a folder of Shakespeare's works, a .txt file each")
    parser.add_argument("--folder", type=Path, default=Path("runs/quality"))
    parser.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--only", help="units whose line contains all of these words, parted by commas")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true", help="only print what is done")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    words = asked.only.split(",") if asked.only else []
    chosen = [unit for unit in units() if all(word in str(unit) for word in words)]
    if asked.list:
        return print("\n".join(map(str, chosen)))
    results = asked.folder / "results.jsonl"
    if not asked.table:
        if asked.shakespeare is None or asked.works is None:
            parser.error("--shakespeare and --works are needed")
        found = texts(asked.folder / "texts", asked.shakespeare, asked.works)
        for unit in chosen:
            if unit in known(results):
                continue
            print(f"{unit} ...", file=sys.stderr, flush=True)
            text = found[unit.text]
            figures = (
                ours(unit, text, asked.folder)
                if unit.system == "pantoum"
                else peer(unit, text, asked.folder, asked.nanogpt)
            )
            if figures is not None:
                with results.open("a") as lines:
                    lines.write(json.dumps({**unit.__dict__, "machine": machine(), **figures}) + "\n")
    done = known(results)
    if asked.json:
        return print(json.dumps({"marks": table(done), "units": list(done.values())}))
    return show(done)


if __name__ == "__main__":
    main()
