"""A prepared corpus that is larger than memory: how long it takes to open, and what memory training takes.

    python benchmarks/large_corpus.py [--gigabytes 4] [--steps 200] [--folder DIR] [--json]

The same training on a text of 32 MB, which is held in memory, is measured beside it: each in a process of its
own, whose peak memory is that of this training alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SMALL = 32_000_000
"""Bytes of the prepared text that it is compared with."""
BLOCK = 1 << 20


def make(folder: Path, size: int) -> None:
    """A prepared folder of ``size`` bytes of tokens, all of them 0."""
    from pantoum.data.prepared_file import TokenWriter
    from pantoum.formats import durable
    from pantoum.formats.token_file import NAME
    from pantoum.text.byte import ByteTokenizer

    tokenizer, count = ByteTokenizer(), size // 2
    facts = {
        "kind": "bytes",
        "vocab_size": tokenizer.vocab_size,
        "documents": None,
        "valid_fraction": 0.0,
        "texts": [{"name": "zeros", "size": count, "mtime_ns": 1, "sha256": "0" * 64}],
        "valid_text": None,
        "train": {"characters": count, "bytes": count, "tokens": count, "unknown": 0},
        "valid": None,
    }
    request = {
        "tokens": "bytes", "vocab_size": None, "documents": None, "valid_fraction": 0.0, "tokenizer": None
    }  # fmt: skip
    durable.make_folder(folder)
    blocks = (np.zeros(min(BLOCK, count - begin), np.uint16) for begin in range(0, count, BLOCK))
    with durable.new_file(folder / NAME) as file:
        writer = TokenWriter(file)
        writer.add("train", blocks, tokenizer.vocab_size)
        writer.finish(tokenizer, facts, request, [])


def measure(folder: str, steps: int) -> dict[str, object]:
    """Open the folder, then train: what this process needs for it."""
    import pantoum
    from pantoum.data.prepare import open_prepared

    began = time.perf_counter()
    tokens = open_prepared(folder).train.count
    opened = time.perf_counter() - began
    began, before = time.perf_counter(), peak_memory()
    with tempfile.TemporaryDirectory() as runs:
        pantoum.train(
            data=folder,
            run=Path(runs, "run"),
            steps=steps,
            hidden_size=128,
            num_layers=1,
            batch_size=64,
            seq_len=64,
            ngrams=None,
            progress=False,
        )
    return {
        "tokens": tokens,
        "seconds_to_open": opened,
        "seconds_to_train": time.perf_counter() - began,
        "memory_before_training_mb": before,
        "peak_memory_mb": peak_memory(),
    }


def peak_memory() -> float:
    """The most memory that this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Measure both and print."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--folder", help="where the text is made (a temporary folder)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.steps)))
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for label, size in (("32 MB", SMALL), (f"{given.gigabytes:g} GB", int(given.gigabytes * 1e9))):
            folder = Path(name, label.replace(" ", "-"))
            make(folder, size)
            disk = (folder / "prepared.safetensors").stat().st_blocks * 512 / 1e6
            command = [sys.executable, __file__, "--one", str(folder), "--steps", str(given.steps)]
            answer = subprocess.run(command, capture_output=True, check=True, text=True).stdout
            rows.append({"shard": label, "disk_mb": disk, **json.loads(answer)})
    from measured import machine

    if given.json:
        print(json.dumps({"machine": machine(), "command": " ".join(sys.argv), "rows": rows}, indent=1))
        return
    print(*(f"{key}: {value}" for key, value in machine().items()), sep="\n")
    for row in rows:
        cells = (
            f"{key} {value:,.2f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
        )
        print("  ".join(cells))


if __name__ == "__main__":
    main()
