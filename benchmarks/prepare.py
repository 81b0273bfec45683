"""How fast `prepare` turns text into a prepared file, and in how much memory.

    python benchmarks/prepare.py [--size MB] [--repeat N] [--tokens KIND ...] [--json]
    python benchmarks/prepare.py --line [--size MB]          one line of 1 GB

Texts are made here from a seed: English-like (ASCII) and many-script words, drawn by Zipf's law from 50,000
different ones with new ones among them, as a real text has them. Each preparation is a process of its own,
pinned to one core; reading, hashing, learning, writing and waiting for the disk are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np  # noqa: E402  after the threads are set
from measured import machine, parser  # noqa: E402

from pantoum.data.prepare import prepare  # noqa: E402

SEED = 1
MARKS = {"bytes": 200.0, "characters": 100.0, "characters, many scripts": 30.0, "words": 5.0, "bpe:4096": 3.0}
"""MB/s to reach."""
LETTERS = {
    "ascii": "etaoinshrdlucmfwypvbgkjqxz",
    "scripts": "etaoinshrdlućéñßабвгдежзиклмноαβγδεκλμν中文字日本語한국어",
}


def words_of(letters: str, count: int, random: np.random.Generator) -> list[str]:
    """Different words, short ones first, as frequent words are short."""
    chances = 1.0 / np.arange(1, len(letters) + 1)
    chances /= chances.sum()
    found: dict[str, None] = {}
    while len(found) < count:
        length = 1 + int(random.poisson(1.5 + 1.5 * np.log10(len(found) + 1)))
        found["".join(random.choice(list(letters), length, p=chances))] = None
    return list(found)


def text_blocks(letters: str, size: int, line: bool = True) -> Iterator[bytes]:
    """About ``size`` bytes of text, in blocks; with ``line`` false without a line break."""
    random = np.random.default_rng(SEED)
    words = words_of(letters, 50_000, random)
    ends = [" ", " ", " ", " ", " ", " ", " ", ", ", ". ", ".\n" if line else ". "]
    made = 0
    while made < size:
        ranks = np.minimum(random.zipf(1.25, 200_000) - 1, 10**9)
        borders = random.integers(0, len(ends), len(ranks))
        # A word beyond the list is made of parts of two of it: real texts have no last new word.
        drawn = (
            words[r] if r < len(words) else words[r % 9973][-4:] + words[r % 49_999][:5]
            for r in ranks.tolist()
        )
        parted = zip(drawn, (ends[end] for end in borders.tolist()), strict=True)
        block = "".join(chain.from_iterable(parted)).encode()
        yield block[: size - made] if letters.isascii() else block
        made += len(block)


def write_text(path: Path, letters: str, size: int) -> int:
    """Make a text file; its size."""
    with path.open("wb") as file:
        for block in text_blocks(letters, size):
            file.write(block)
    return path.stat().st_size


def write_line(path: Path, size: int) -> int:
    """Make one line of English-like text; its size. Each 40 MB are the last ones with all letters moved on
    by one, so that different words never cease to come: the hard case for a table of words."""
    letters = bytes(range(ord("a"), ord("z") + 1))
    rounds = bytes.maketrans(letters, letters[1:] + letters[:1])
    block = b"".join(text_blocks(LETTERS["ascii"], min(size, 40_000_000), line=False))
    with path.open("wb") as file:
        for made in range(0, size, len(block)):
            file.write(block[: size - made])
            block = block.translate(rounds)
    return path.stat().st_size


def peak_memory() -> float:
    """The most memory that this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def one(path: str, tokens: str, out: str) -> dict[str, float]:
    """One preparation in this process."""
    before, began = peak_memory(), time.perf_counter()
    prepare([path], tokens=tokens, out=out)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "memory_before_mb": before, "peak_memory_mb": peak_memory()}


def measured(folder: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Each tokenizer on its text."""
    paths, sizes, rows = {name: folder / f"{name}.txt" for name in LETTERS}, dict[str, int](), list[Any]()
    for name, path in paths.items():
        size = asked.size * 1_000_000
        sizes[name] = write_line(path, size) if asked.line else write_text(path, LETTERS[name], size)
    for tokens in asked.tokens:
        kind, _, scripts = tokens.partition(", ")
        text, found = "scripts" if scripts else "ascii", list[dict[str, float]]()
        for number in range(asked.repeat):
            os.sync()
            command = [
                sys.executable,
                __file__,
                "--one",
                str(paths[text]),
                kind,
                str(folder / f"{kind}-{number}"),
            ]
            answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
            found.append(json.loads(answer))
        rates = sorted(sizes[text] / 1e6 / each["seconds"] for each in found)
        row: dict[str, Any] = {"tokens": tokens, "mark": MARKS.get(tokens), "megabytes": sizes[text] / 1e6}
        row |= {"min": rates[0], "median": rates[len(rates) // 2], "max": rates[-1]}
        memory = ("memory_before_mb", "peak_memory_mb")
        rows.append(row | {name: max(each[name] for each in found) for name in memory})
    return rows


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--size", type=int, help="MB of each text (30, of a line 1000)")
    options.add_argument("--repeat", type=int, help="of each (5, of a line 1)")
    options.add_argument("--line", action="store_true", help="one line")
    options.add_argument("--tokens", nargs="+", default=list(MARKS))
    options.add_argument("--folder", help="where the texts are made (a temporary folder)")
    options.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if asked.one:
        return print(json.dumps(one(*asked.one)))
    asked.size, asked.repeat = (
        asked.size or (1000 if asked.line else 30),
        asked.repeat or (1 if asked.line else 5),
    )
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        rows = measured(Path(name), asked)
    if asked.json:
        return print(json.dumps({"machine": machine(), "command": sys.argv[1:], "seed": SEED, "rows": rows}))
    print(machine())
    for row in rows:
        figures = (f"{name} {value:,.1f}" for name, value in row.items() if isinstance(value, float))
        print(f"{row['tokens']:24}", "  ".join(figures))
    return None


if __name__ == "__main__":
    main()
