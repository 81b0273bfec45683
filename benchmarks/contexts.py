"""Counted contexts beside the compressors: bits per byte of texts that are read from nothing, and the rate.

    python benchmarks/contexts.py FILE [FILE ...] [--after TEXT] [--slot-bits 22] [--most BYTES] [--json]

Every file is read by `network.mixers.contexts.ContextMixer` over bytes, which has read nothing before and
learns as it reads; xz, bz2, zpaq and pyppmd, as far as they are there, compress the same bytes in the same
run. With `--after TEXT` every one has read that text before: the contexts read it first, and of a compressor
the figure is size(TEXT + FILE) - size(TEXT). The figure of the contexts is the loss; coding costs 0.01 %
more. Rates are of processor time, thousands of bytes per second.
"""

from __future__ import annotations

import argparse
import bz2
import json
import lzma
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine

from pantoum.network.mixers.contexts import ContextMixer

BYTES = [bytes([number]) for number in range(256)]


def ours(before: bytes, data: bytes, slot_bits: int) -> float:
    """The nats of the bytes, in bits."""
    mixer = ContextMixer(BYTES, slot_bits=slot_bits)
    mixer.read(np.frombuffer(before, np.uint8))
    return float(mixer.read(np.frombuffer(data, np.uint8)).sum(dtype=np.float64)) / np.log(2)


def zpaq(data: bytes) -> int:
    """The size of an archive by the strongest method, of one thread."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "text").write_bytes(data)
        command = ["zpaq", "add", "a.zpaq", "text", "-m5", "-t1"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (Path(folder) / "a.zpaq").stat().st_size


def ppmd(data: bytes) -> int:
    """PPMd variant H, order 6 and 16 MB: what 7-Zip takes."""
    import pyppmd

    return len(pyppmd.compress(data, max_order=6, mem_size=16 << 20))


def peers() -> dict[str, Callable[[bytes], int]]:
    """Those that are there."""
    found: dict[str, Callable[[bytes], int]] = {
        "xz -9e": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
        "bz2 -9": lambda data: len(bz2.compress(data)),
    }
    if shutil.which("zpaq"):
        found["zpaq -m5"] = zpaq
    try:
        import pyppmd  # noqa: F401

        found["ppmd"] = ppmd
    except ImportError:
        pass
    return found


def spent() -> float:
    """Processor seconds of this process and those it started."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def measured(before: bytes, data: bytes, slot_bits: int) -> dict[str, dict[str, float]]:
    """Bits per byte and KB/s of each."""
    contestants: dict[str, Callable[[], float]] = {"contexts": lambda: ours(before, data, slot_bits)}
    for name, size in peers().items():
        contestants[name] = lambda size=size: 8.0 * (size(before + data) - (size(before) if before else 0))
    found = {}
    for name, bits in contestants.items():
        began, rest = spent(), bits()
        rate = (len(before) + len(data)) / (spent() - began) / 1000
        if before and name != "contexts":
            rate *= (2 * len(before) + len(data)) / (len(before) + len(data))
        found[name] = {"bits_per_byte": rest / len(data), "kilobytes_per_second": rate}
    return found


def main() -> None:
    """Read all files and print what each contestant has."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--after", type=Path)
    parser.add_argument("--slot-bits", type=int, default=22)
    parser.add_argument("--most", type=int, default=1 << 40)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    before = asked.after.read_bytes() if asked.after else b""
    report: dict[str, Any] = {"machine": machine(), "slot_bits": asked.slot_bits, "files": {}}
    for file in asked.files:
        data = file.read_bytes()[: asked.most]
        report["files"][file.name] = found = measured(before, data, asked.slot_bits)
        if not asked.json:
            figures = (
                f"{name} {each['bits_per_byte']:.4f} ({each['kilobytes_per_second']:.0f} KB/s)"
                for name, each in found.items()
            )
            print(f"{file.name}, {len(data):,} bytes: " + ", ".join(figures), flush=True)
    if asked.json:
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
