"""How good a model some minutes of this machine buy: ours, nanoGPT's CPU recipe, ``nn.LSTM``, n-grams.

    python benchmarks/quality.py --shakespeare input.txt --works FOLDER [--wikitext FOLDER]
                                 [--folder runs/quality] [--nanogpt CHECKOUT] [--only WORD,...]

Ours is the whole of ``pantoum train --minutes M``, by the clock, then ``pantoum evaluate`` in several ways.
Characters (``quality_texts.py``): nats per character, ``carried``, ``windows:256``, ``--adapt``. Words of
WikiText-2 (a folder with wiki.train.tokens, wiki.valid.tokens, wiki.test.tokens): perplexities per word, read
once from start to end: ``static``, with a continuous cache, with ``--adapt``, with both.

A unit of work is one training with its figures; each is a line in ``results.jsonl`` as soon as it is done,
and what is there is not done again: the script may be stopped at any moment, and the same command goes on. At
its end a table against the marks is printed. Without ``--wikitext`` it takes about an hour and a half of both
cores, alone: figures by the clock on a busy machine are worth nothing. Units whose text or peer is missing
are left out, and it is said.
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
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measured import Results, command, machine, parser, print_marks
from modified_kneser_ney import evaluated
from quality_texts import SMALL, Text, texts

HERE = Path(__file__).resolve().parent
SEEDS = {1: (0, 1, 2), 3: (0, 1, 2), 10: (0,), 60: ()}
OF_CHARACTERS = {"carried": (), "windows:256": ("--protocol", "windows:256"), "adapt": ("--adapt",)}
CACHE = ("--cache", "2000")
OF_WORDS = {"static": (), "cache": CACHE, "adapt": ("--adapt",), "both": (*CACHE, "--adapt")}


@dataclass(frozen=True)
class Mark:
    """A figure to reach: of which runs, which key, at most (or ``least``: at least) what."""

    text: str
    minutes: int
    key: str
    bound: float
    least: bool = False


MARKS = (
    Mark("shakespeare", 1, "carried", 1.41),
    Mark("shakespeare", 3, "carried", 1.355),
    Mark("shakespeare", 3, "windows:256", 1.4697),
    Mark("shakespeare", 10, "carried", 1.305),
    Mark("shakespeare", 10, "windows:256", 1.44),
    Mark("shakespeare", 10, "adapt", 1.38),
    Mark("works", 10, "carried", 1.265),
    Mark("works", 10, "accuracy", 0.60, least=True),
    Mark("library", 10, "against xz", 1.05),
    *(Mark(text, 1, "against n-gram", 1.0) for text in SMALL),
    Mark("words", 10, "static", 88.0),
    Mark("words", 60, "static", 80.0),
    Mark("words", 60, "cache", 90.0),
    Mark("words", 60, "both", 75.0),
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
    yield Unit("kneser-ney", "words", 0)
    others = {1: SMALL, 3: ("another tenth",), 10: ("works", "library", "words", "raw characters", "raw bpe")}
    for minutes, seeds in SEEDS.items():
        yield from (Unit("pantoum", "shakespeare", minutes, seed) for seed in seeds)
        yield from (Unit("pantoum", text, minutes) for text in others.get(minutes, ("words",)))
        if minutes in (3, 10):
            yield from (Unit(peer, "shakespeare", minutes) for peer in ("lstm", "nanogpt"))
        if minutes >= 10:
            yield from (Unit(peer, "words", minutes) for peer in ("lstm", "adaptive"))


def ours(unit: Unit, text: Text, folder: Path) -> dict[str, Any]:
    """Train from nothing by the clock, evaluate, remove the run."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    flags = ("--from", "none", "--minutes", str(unit.minutes), "--seed", str(unit.seed), "--run", run)
    trained = command("train", text.train, "--valid", text.valid, *flags, *text.flags)
    found = {name: trained[name] for name in ("steps", "tokens", "seconds", "parameters")}
    found["chosen"] = json.loads((run / "config.json").read_text())["chosen"]
    found["file_bytes"] = (run / "model.safetensors").stat().st_size
    for name, ways in (OF_WORDS if unit.text == "words" else OF_CHARACTERS).items():
        began = time.perf_counter()
        judged = command("evaluate", run, text.reported, *ways)
        nats = judged["nats_per_character"] or judged["nats_per_token"]
        found[name] = judged["perplexity"] if unit.text == "words" else nats
        found[f"{name}, seconds"] = time.perf_counter() - began
        if not ways:
            found |= {key: judged[key] for key in ("accuracy", "bits_per_byte", "xz_bits_per_byte")}
            found["against xz"] = judged["bits_per_byte"] / judged["xz_bits_per_byte"]
    if unit.text in SMALL:
        found["n-gram"] = evaluated(text.train, text.reported, characters=True)["carried"]
        found["against n-gram"] = found["carried"] / found["n-gram"]
    shutil.rmtree(run)
    return found


def peer(unit: Unit, text: Text, folder: Path, nanogpt: Path | None) -> dict[str, Any] | None:
    """A peer's figures; ``None`` where it cannot run."""
    if unit.system == "kneser-ney":
        return evaluated(text.train, text.reported)
    if importlib.util.find_spec("torch") is None or (unit.system == "nanogpt" and nanogpt is None):
        return left_out(unit, "PyTorch or --nanogpt is missing")
    words = [unit.system, text.train, text.valid, text.reported, str(unit.minutes), "--seed", str(unit.seed)]
    words += ["--words"] * (unit.text == "words") + ["--folder", folder / "nanogpt"]
    words += [] if nanogpt is None else ["--nanogpt", nanogpt]
    environment = {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())}
    asked = [sys.executable, HERE / "quality_peers.py", *words]
    done = subprocess.run(asked, stdout=subprocess.PIPE, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # nanoGPT's own code prints before it
    return found


def left_out(unit: Unit, why: str) -> None:
    """Say why a unit has no figures."""
    print(f"{unit}: LEFT OUT, {why}", file=sys.stderr, flush=True)


def unit_of(line: dict[str, Any]) -> Unit:
    return Unit(line["system"], line["text"], line["minutes"], line["seed"])


def marks(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each figure that has a mark, and whether it is met by the mean of its seeds."""
    rows = []
    for mark in MARKS:
        asked = ("pantoum", mark.text, mark.minutes)
        values = [
            line[mark.key]
            for line in lines
            if (line["system"], line["text"], line["minutes"]) == asked and mark.key in line
        ]
        if values:
            mean = statistics.fmean(values)
            holds = mean >= mark.bound if mark.least else mean <= mark.bound
            name = f"{mark.text}, {mark.minutes} min, {mark.key}"
            wanted = f"{'>=' if mark.least else '<='} {mark.bound:g}"
            rows.append({"mark": name, "figure": mean, "values": values, "wanted": wanted, "holds": holds})
    return rows


def measure(asked: argparse.Namespace, results: Results, chosen: list[Unit]) -> None:
    """Do what is not done."""
    found = texts(asked.folder / "texts", asked.shakespeare, asked.works, asked.wikitext)
    done = {unit_of(line) for line in results.lines}
    for unit in chosen:
        if unit in done:
            continue
        print(f"{unit} ...", file=sys.stderr, flush=True)
        if (text := found.get(unit.text)) is None:
            left_out(unit, "its text is missing")
            continue
        own = unit.system == "pantoum"
        figures = ours(unit, text, asked.folder) if own else peer(unit, text, asked.folder, asked.nanogpt)
        if figures is not None:
            results.add({**asdict(unit), "machine": machine(), **figures})


def main() -> None:
    """Do what is not done, and print all."""
    options = parser(__doc__)
    options.add_argument("--shakespeare", type=Path, help="tiny Shakespeare's input.txt")
    options.add_argument("--works", type=Path, help="a folder of Shakespeare's works, a .txt file each")
    options.add_argument("--wikitext", type=Path, help="a folder with WikiText-2")
    options.add_argument("--folder", type=Path, default=Path("runs/quality"))
    options.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT")
    options.add_argument("--only", help="units whose line contains all of these words, parted by commas")
    options.add_argument("--list", action="store_true")
    options.add_argument("--table", action="store_true", help="only print what is done")
    asked = options.parse_args()
    words = asked.only.split(",") if asked.only else []
    chosen = [unit for unit in units() if all(word in str(unit) for word in words)]
    if asked.list:
        return print("\n".join(map(str, chosen)))
    results = Results(asked.folder / "results.jsonl")
    if not asked.table:
        measure(asked, results, chosen)
    if asked.json:
        return print(json.dumps({"marks": marks(results.lines), "units": results.lines}))
    for line in results.lines:
        figures = {
            name: value for name, value in line.items() if isinstance(value, float) and "seconds" not in name
        }
        print(f"{unit_of(line)!s:42}", "  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    return print_marks(marks(results.lines))


if __name__ == "__main__":
    main()
