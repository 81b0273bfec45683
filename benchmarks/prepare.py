"""How fast `prepare` turns text into token shards, and in how much memory.

    python benchmarks/prepare.py [--json] [--size MB] [--repeat N]      on one core
    python benchmarks/prepare.py --big        one line of 1 GB, each tokenizer in a process of its own: memory
    python benchmarks/prepare.py --processes 1 2 [--size 100]           on all cores, by turns

Texts are made here from a seed: English-like (ASCII) and many-script words, drawn by Zipf's law from 50,000
different ones with new ones among them, as a real text has them. Everything is counted: reading, hashing,
learning, writing, waiting for the disk. The process is pinned to one core, and so are its libraries, except
with ``--processes``, which compares numbers of processes on the same text and fails if the folders that they
make differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np  # noqa: E402  after the threads are set

from pantoum.data.prepare import prepare  # noqa: E402

SEED = 1
MARKS = {"bytes": 200.0, "characters (ASCII)": 100.0, "characters": 30.0, "words": 5.0, "bpe:4096": 3.0}
"""MB/s to reach, of the issue that asked for it."""
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


def measure(path: Path, tokens: str, folder: Path, repeat: int) -> list[float]:
    """Seconds of each repetition."""
    seconds = []
    for _ in range(repeat):
        shutil.rmtree(folder, ignore_errors=True)
        os.sync()
        began = time.perf_counter()
        prepare([path], tokens=tokens, out=folder)
        seconds.append(time.perf_counter() - began)
    return seconds


def peak_memory(whose: int = resource.RUSAGE_SELF) -> float:
    """The most memory that this process (or the largest of those it started) has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * unit / 1e6


def speeds(folder: Path, size: int, repeat: int) -> list[dict[str, object]]:
    """Each tokenizer's MB/s."""
    texts = {"ascii": folder / "ascii.txt", "scripts": folder / "scripts.txt"}
    sizes = {name: write_text(path, LETTERS[name], size) for name, path in texts.items()}
    rows: list[dict[str, object]] = []
    for label, mark in MARKS.items():
        text = "scripts" if label == "characters" else "ascii"
        seconds = measure(texts[text], label.partition(" ")[0], folder / "out", repeat)
        rates = sorted(sizes[text] / 1e6 / second for second in seconds)
        rows.append(
            {
                "tokens": label,
                "mark": mark,
                "megabytes": sizes[text] / 1e6,
                "min": rates[0],
                "median": rates[len(rates) // 2],
                "max": rates[-1],
                "peak_memory_mb": peak_memory(),
            }
        )
    return rows


def by_processes(folder: Path, size: int, repeat: int, counts: list[int]) -> list[dict[str, object]]:
    """Seconds of words and byte-pair encoding by each number of processes, which take turns."""
    path = folder / "ascii.txt"
    made = write_text(path, LETTERS["ascii"], size)
    rows: list[dict[str, object]] = []
    for tokens in ("words", "bpe:4096"):
        seconds: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(repeat):
            for count in counts:
                out = folder / f"out-{count}"
                shutil.rmtree(out, ignore_errors=True)
                os.sync()
                began = time.perf_counter()
                prepare([path], tokens=tokens, out=out, processes=count)
                seconds[count].append(time.perf_counter() - began)
                if folder_bytes(out) != folder_bytes(folder / f"out-{counts[0]}"):
                    sys.exit(f"{count} processes make another folder than {counts[0]} from {tokens}")
        for count, found in seconds.items():
            best = min(found)
            rows.append(
                {
                    "tokens": tokens,
                    "processes": count,
                    "megabytes": made / 1e6,
                    "seconds": best,
                    "median": sorted(found)[len(found) // 2],
                    "megabytes_per_second": made / 1e6 / best,
                    "times_the_first": min(seconds[counts[0]]) / best,
                    "peak_memory_mb": peak_memory(),
                    "peak_memory_of_a_worker_mb": peak_memory(resource.RUSAGE_CHILDREN),
                }
            )
    return rows


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """The SHA-256 of each file of a prepared folder, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in folder.iterdir()}


def one_line(folder: Path, size: int, kinds: list[str]) -> list[dict[str, object]]:
    """One line of ``size`` bytes by each tokenizer, each in a process of its own: time and memory."""
    path = folder / "line.txt"
    rows: list[dict[str, object]] = []
    made = write_line(path, size)
    for tokens in kinds:
        shutil.rmtree(folder / "out", ignore_errors=True)
        command = [sys.executable, __file__, "--one", str(path), tokens, str(folder / "out")]
        answer = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        rows.append({"tokens": tokens, "megabytes": made / 1e6, **json.loads(answer)})
    return rows


def one(path: str, tokens: str, out: str) -> dict[str, object]:
    """One preparation in this process."""
    before, began = peak_memory(), time.perf_counter()
    prepared = prepare([path], tokens=tokens, out=out)
    return {
        "seconds": time.perf_counter() - began,
        "tokens_made": prepared.train.count,
        "memory_before_mb": before,
        "peak_memory_mb": peak_memory(),
    }


def show(rows: list[dict[str, object]]) -> None:
    """The rows as a table."""
    for row in rows:
        cells = (
            f"{key} {value:,.1f}"
            if isinstance(value, float)
            else f"{value:>18}"
            if key == "tokens"
            else f"{key} {value:,}"
            for key, value in row.items()
        )
        print("  ".join(cells))


def main() -> None:
    """Measure and print."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--size", type=int, default=30, help="MB of each text (30)")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--big", action="store_true", help="one line of 1 GB, or of --size MB")
    parser.add_argument(
        "--tokens",
        nargs="+",
        default=["bytes", "characters", "words", "bpe:4096"],
        help="tokenizers of --big",
    )
    parser.add_argument("--processes", type=int, nargs="+", help="numbers of processes to compare")
    parser.add_argument("--folder", help="where the texts are made (a temporary folder)")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity") and not given.processes:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    if given.one:
        print(json.dumps(one(*given.one)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        if given.processes:
            size = 100 if given.size == parser.get_default("size") else given.size
            repeat = min(given.repeat, 3)
            rows = by_processes(Path(name), size * 1_000_000, repeat, given.processes)
        elif given.big:
            size = 1000 if given.size == parser.get_default("size") else given.size
            rows = one_line(Path(name), size * 1_000_000, given.tokens)
        else:
            rows = speeds(Path(name), given.size * 1_000_000, given.repeat)
    from measured import machine  # not in the children, whose memory counts

    result = {"machine": machine(), "command": " ".join(sys.argv), "seed": SEED, "rows": rows}
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        print(*(f"{key}: {value}" for key, value in result["machine"].items()), sep="\n")
        show(rows)


if __name__ == "__main__":
    main()
