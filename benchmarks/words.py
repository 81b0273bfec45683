"""Models of words: what some minutes of this machine buy, ours beside its peers.

    python benchmarks/words.py --train wiki.train.tokens --valid wiki.valid.tokens --test wiki.test.tokens
                               --folder runs/words [--minutes 10,60] [--only WORD,...] [--list] [--table]
                               [--json] [--awd CHECKOUT] [--faster-rnnlm CHECKOUT]

The texts are pre-tokenised, a line each ending with ``<eos>``; figures are perplexities per word of the test
text, read once from start to end: static, with a continuous cache, with ``--adapt``, with both. A row is one
training and its figures, a line in ``results.jsonl`` as soon as it is known; what is there is not done again,
so the script may be stopped at any moment, and the same command goes on. Run it with nothing else on the
machine: figures by the clock on a busy machine are worth nothing.

- ``pantoum``: the whole of ``pantoum train --tokens words:whitespace --minutes M``, then ``evaluate``.
- ``raw characters``, ``raw bpe``: the same files as raw text, in bits per byte (10 minutes only).
- ``kneser-ney``: an n-gram model with modified Kneser-Ney smoothing, which takes seconds.
- ``lstm``, ``adaptive``, ``awd``: PyTorch peers (``words_peers.py``).
- ``faster-rnnlm nce``, ``faster-rnnlm maxent``: yandex/faster-rnnlm from a compiled checkout with two
  threads, 256 gated units, 20 noise samples, without and with its maximum-entropy table (100 million weights,
  order 4). It is stopped after the minutes; the model of its last whole epoch counts. It validates after each
  epoch with one thread, so it gets a short text for that. Lines without words are left out by it: their ends
  count as predicted for certain, in its favour.

Peers that are missing are left out, and that is said.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measured import machine
from modified_kneser_ney import evaluated, read_words

HERE = Path(__file__).resolve().parent
MINUTES = (10, 60)
RAW = {"raw characters": "characters", "raw bpe": "bpe:4000"}
TORCH = ("lstm", "adaptive", "awd")
FASTER = {
    "faster-rnnlm nce": (),
    "faster-rnnlm maxent": ("-direct", "100", "-direct-order", "4"),
}
FASTER_SHAPE = ("-hidden", "256", "-hidden-type", "gru", "-nce", "20", "-alpha", "0.01", "-threads", "2")
VALID_LINES = 200
CACHE = 2000
FIGURES = ("static", "cache", "adapt", "both", "bits_per_byte")


@dataclass(frozen=True)
class Row:
    """One training."""

    system: str
    minutes: int

    def __str__(self) -> str:
        return f"{self.system}, {self.minutes} min" if self.minutes else self.system


@dataclass(frozen=True)
class Mark:
    """A figure to reach with ``pantoum``: of how many minutes, at most what."""

    minutes: int
    figure: str
    bound: float
    strive: float


MARKS = (
    Mark(10, "static", 145.0, 120.0),
    Mark(60, "static", 110.0, 92.0),
    Mark(60, "cache", 90.0, 75.0),
    Mark(60, "both", 75.0, 62.0),
)


def rows(minutes: tuple[int, ...]) -> Iterator[Row]:
    """All of them, the short ones first."""
    yield Row("kneser-ney", 0)
    for each in sorted(minutes):
        yield from (Row(system, each) for system in ("pantoum", *TORCH, *FASTER))
        if each == 10:
            yield from (Row(system, each) for system in RAW)


def ours(row: Row, asked: argparse.Namespace) -> dict[str, Any]:
    """Train by the clock, evaluate in four ways, remove the run."""
    run = asked.folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    raw = row.system in RAW
    tokens = RAW.get(row.system, "words:whitespace")
    texts = (str(asked.train), "--valid", str(asked.valid), "--tokens", tokens)
    trained = pantoum("train", *texts, "--minutes", str(row.minutes), "--run", str(run))
    config = json.loads((run / "config.json").read_text())
    found: dict[str, Any] = {name: trained[name] for name in ("seconds", "tokens", "steps", "parameters")}
    found |= {"chosen": config["chosen"], "reasons": config["reasons"]}
    found["file_bytes"] = (run / "model.safetensors").stat().st_size
    cache = ("--cache", str(CACHE)) if "--cache" in help_of("evaluate") else None
    ways: dict[str, tuple[str, ...] | None] = {"static": (), "adapt": ("--adapt",), "cache": cache}
    ways["both"] = None if cache is None else (*cache, "--adapt")
    for name, flags in ways.items():
        if flags is None or (raw and flags):
            continue
        began = time.perf_counter()
        judged = pantoum("evaluate", str(run), str(asked.test), *flags)
        found[name] = judged["perplexity"]
        found[f"{name} seconds"] = time.perf_counter() - began
        if name == "static":
            found |= {key: judged[key] for key in ("bits_per_byte", "unknown_tokens")}
            found["targets"] = judged["tokens"]
    shutil.rmtree(run)
    return found


def pantoum(*words: str) -> dict[str, Any]:
    """One command, its JSON."""
    command = [sys.executable, "-m", "pantoum", *words, "--json", "--quiet"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def help_of(command: str) -> str:
    """The text of ``--help``."""
    words = [sys.executable, "-m", "pantoum", command, "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def torch_peer(row: Row, asked: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of a PyTorch peer; ``None``: it cannot run."""
    if importlib.util.find_spec("torch") is None or (row.system == "awd" and asked.awd is None):
        return left_out(row, "PyTorch or --awd is missing")
    checkout = ("--awd", str(asked.awd.resolve())) if row.system == "awd" else ()
    texts = [str(path) for path in (asked.train, asked.valid, asked.test)]
    done = subprocess.run(
        [sys.executable, str(HERE / "words_peers.py"), row.system, *texts, str(row.minutes), *checkout],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # a checkout prints before it
    return found


def faster_rnnlm(row: Row, asked: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of faster-rnnlm; ``None``: it cannot run, or had no time for one epoch."""
    if asked.faster_rnnlm is None:
        return left_out(row, "--faster-rnnlm is missing")
    program = asked.faster_rnnlm / "faster-rnnlm" / "rnnlm"
    if not program.exists():
        return left_out(row, f"{program} is not there: compile the checkout first")
    folder = asked.folder / "faster-rnnlm"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = str(folder / "model")
    with asked.valid.open(encoding="utf-8") as lines:
        (folder / "valid").write_text("".join(itertools.islice(lines, VALID_LINES)), encoding="utf-8")
    texts = ("-train", str(asked.train), "-valid", str(folder / "valid"))
    command = [str(program), "-rnnlm", model, *texts, *FASTER_SHAPE, *FASTER[row.system]]
    began = time.perf_counter()
    # What its last whole epoch has saved counts.
    with (folder / "log").open("wb") as log, contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, stderr=log, stdout=log, timeout=row.minutes * 60.0, check=True)
    seconds = time.perf_counter() - began
    speeds = re.findall(rb"([0-9.]+) Kwords/sec", (folder / "log").read_bytes())
    if not (folder / "model.nnet").exists():
        return left_out(row, "it saved no model in the time")
    judged = subprocess.run(
        [str(program), "-rnnlm", model, "-test", str(asked.test), "-nce-accurate-test", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    if "OOV" in judged.stdout.split():  # a line with such a word has no probability at all there
        return left_out(row, "the test text has words that the training text lacks")
    nats = -math.log(10.0) * sum(float(line) for line in judged.stdout.splitlines() if _is_number(line))
    vocab_size, (_, test) = read_words(asked.train, asked.test)
    found = {
        "seconds": seconds,
        "vocab_size": vocab_size,
        "targets": len(test),
        "static": math.exp(nats / len(test)),
        "file_bytes": sum(path.stat().st_size for path in folder.glob("model*")),
        "tokens_per_second": 1000.0 * float(speeds[-1]) if speeds else None,
    }
    shutil.rmtree(folder)
    return found


def _is_number(line: str) -> bool:
    return re.fullmatch(r"-?[0-9.]+(e[+-]?[0-9]+)?", line.strip()) is not None


def left_out(row: Row, why: str) -> None:
    """Say why a row has no figures."""
    print(f"{row}: LEFT OUT, {why}", file=sys.stderr, flush=True)


def measured(row: Row, asked: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of a row."""
    if row.system == "pantoum" or row.system in RAW:
        return ours(row, asked)
    if row.system in TORCH:
        return torch_peer(row, asked)
    if row.system in FASTER:
        return faster_rnnlm(row, asked)
    return evaluated(asked.train, asked.test)


def known(results: Path) -> dict[Row, dict[str, Any]]:
    """What is done."""
    lines = map(json.loads, results.read_text().splitlines()) if results.exists() else []
    return {Row(line["system"], line["minutes"]): line for line in lines}


def marks(done: dict[Row, dict[str, Any]]) -> list[dict[str, Any]]:
    """Each mark that was measured, and whether it is met and below every peer of the same minutes."""
    found = []
    for mark in MARKS:
        figure = done.get(Row("pantoum", mark.minutes), {}).get(mark.figure)
        if figure is None:
            continue
        peers = [
            line["static"]
            for row, line in done.items()
            if row.system not in ("pantoum", *RAW) and row.minutes in (0, mark.minutes)
        ]
        found.append(
            {
                **asdict(mark),
                "measured": figure,
                "met": figure <= mark.bound,
                "best_peer": min(peers, default=None),
            }
        )
    return found


def show(done: dict[Row, dict[str, Any]]) -> None:
    """Every row, then the marks."""
    for row, line in done.items():
        figures = "  ".join(f"{name} {line[name]:.2f}" for name in FIGURES if line.get(name) is not None)
        print(f"{row!s:32} {figures}  ({line['seconds']:.0f} s)")
    for mark in marks(done):
        peer = "" if mark["best_peer"] is None else f", best peer {mark['best_peer']:.1f}"
        print(
            f"{'met   ' if mark['met'] else 'MISSED'} {mark['minutes']} min, {mark['figure']}: "
            f"{mark['measured']:.2f}, mark {mark['bound']:g}, strive {mark['strive']:g}{peer}"
        )


def main() -> None:
    """Do what is not done, and print all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("train", "valid", "test"):
        parser.add_argument(f"--{name}", type=Path, help=f"the {name} text, pre-tokenised")
    parser.add_argument("--folder", type=Path, default=Path("runs/words"))
    parser.add_argument("--minutes", default=",".join(map(str, MINUTES)), help="minutes, with commas between")
    parser.add_argument("--awd", type=Path, help="a checkout of salesforce/awd-lstm-lm")
    parser.add_argument("--faster-rnnlm", type=Path, help="a compiled checkout of yandex/faster-rnnlm")
    parser.add_argument("--only", help="rows whose line contains all of these words, with commas between")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true", help="only print what is done")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    words = asked.only.split(",") if asked.only else []
    minutes = tuple(int(each) for each in asked.minutes.split(","))
    chosen = [row for row in rows(minutes) if all(word in str(row) for word in words)]
    if asked.list:
        return print("\n".join(map(str, chosen)))
    results = asked.folder / "results.jsonl"
    if not asked.table:
        if None in (asked.train, asked.valid, asked.test):
            parser.error("--train, --valid and --test are needed")
        asked.folder.mkdir(parents=True, exist_ok=True)
        for row in chosen:
            if row in known(results):
                continue
            print(f"{row} ...", file=sys.stderr, flush=True)
            figures = measured(row, asked)
            if figures is not None:
                with results.open("a") as lines:
                    lines.write(json.dumps({**asdict(row), "machine": machine(), **figures}) + "\n")
    done = known(results)
    if asked.json:
        return print(json.dumps({"marks": marks(done), "rows": list(done.values())}))
    return show(done)


if __name__ == "__main__":
    main()
