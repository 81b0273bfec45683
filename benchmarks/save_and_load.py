"""Saving and loading: models and checkpoints of ours against the safetensors library's and NumPy's own files.

Ours write durably (fsync of file and folder) and verify a SHA-256 on loading; the peers do neither, so they
are given with an fsync, and as they are. Times are milliseconds: minimum, median, maximum of ``--rounds``.
The peers take turns with ours in one process.

    python benchmarks/save_and_load.py [--megabytes 16 64] [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from measured import machine

from pantoum.formats import checkpoint, metrics_file, model_file


def synced(path: Path) -> None:
    """What makes a peer's file as certain as ours."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def contenders(place: Path, megabytes: int) -> dict[str, Callable[[], Any]]:
    """What is timed, by name."""
    rng = np.random.default_rng(0)
    arrays = {f"stack.{i}.weight": rng.standard_normal((512, 512), np.float32) for i in range(megabytes)}
    model = model_file.ModelFile({"cell": "gru"}, arrays, {"kind": "bytes"}, {"loss": 1.5})
    peer, plain = place / "peer.safetensors", place / "peer.npz"

    def commit() -> None:
        checkpoint.commit(place / "run", 1, arrays, {"step": 1})

    def save_peer(sync: bool) -> None:
        safetensors.numpy.save_file(arrays, peer)
        if sync:
            synced(peer)

    def save_numpy() -> None:
        np.savez(plain, **arrays)
        synced(plain)

    return {
        "model write": lambda: model_file.write(place / "model", model),
        "checkpoint commit": commit,
        "safetensors save, fsync": lambda: save_peer(True),
        "safetensors save": lambda: save_peer(False),
        "numpy savez, fsync": save_numpy,
        "model read": lambda: model_file.read(place / "model"),
        "checkpoint newest": lambda: checkpoint.newest(place / "run"),
        "safetensors load": lambda: safetensors.numpy.load_file(peer),
        "line of metrics": lambda: metrics_file.append(
            place / "log", {"step": 1, "loss": 1.5, "valid": None}
        ),
    }


def measure(megabytes: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round, by name."""
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        timed = contenders(Path(name), megabytes)
        for _ in range(rounds + 1):
            for what, act in timed.items():
                began = time.perf_counter()
                kept = act()
                times.setdefault(what, []).append((time.perf_counter() - began) * 1e3)
                del kept
    return {what: each[1:] for what, each in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    wanted = parser.parse_args()
    results: dict[str, dict[str, list[float]]] = {}
    for megabytes in wanted.megabytes:
        for what, times in measure(megabytes, wanted.rounds).items():
            figures = [min(times), statistics.median(times), max(times)]
            results.setdefault(f"{megabytes} MiB", {})[what] = [round(figure, 2) for figure in figures]
    versions = {
        "numpy": np.__version__,
        "safetensors": safetensors.__version__,
        "python": sys.version.split()[0],
    }
    if wanted.json:
        print(json.dumps({"machine": machine(), **versions, "milliseconds": results}))
        return 0
    print(machine(), versions)
    for size, figures_by_name in results.items():
        for what, (least, middle, most) in figures_by_name.items():
            print(f"{size:8} {what:26} {least:9.2f} {middle:9.2f} {most:9.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
