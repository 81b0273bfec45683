"""Compression beside its peers, in one run: bytes, bits per byte, and bytes per second in both directions.

python benchmarks/compression.py TEXT... [--model MODEL] [--records FILE --train FILE] [--most BYTES] [--json]

Each TEXT is compressed and decompressed once by each: xz -9e, bz2, zstd -19, brotli, ppmd (pyppmd, order 16,
64 MB), zpaq -m5, and pantoum with the model and without one. A peer that is not installed is left out: ``pip
install brotli zstandard pyppmd``, ``apt-get install zpaq``. Rates are of processor time, which other work on
the machine disturbs least; those of pantoum are of the threads that it was given (PANTOUM_THREADS).

``--records``: a file of short lines, each compressed alone, by pantoum and by zstd with a dictionary that is
trained on the lines of ``--train``; then records are looked up at random, alone and 256 together.
"""

from __future__ import annotations

import bz2
import importlib
import json
import lzma
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measured import machine, parser

import pantoum

Both = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]
DICTIONARY, DRAWN, TOGETHER = 112_640, 200, 256


def module(name: str) -> Any:
    """A peer's module, if it is there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def peers() -> dict[str, Both]:
    """What is here, by name."""
    found: dict[str, Both] = {
        "xz -9e": (lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
        "bz2 -9": (lambda data: bz2.compress(data, 9), bz2.decompress),
    }
    if zstd := module("zstandard"):
        found["zstd -19"] = zstd.ZstdCompressor(level=19).compress, zstd.ZstdDecompressor().decompress
    if brotli := module("brotli"):
        found["brotli -11"] = (lambda data: brotli.compress(data, quality=11, lgwin=24)), brotli.decompress
    if ppmd := module("pyppmd"):
        found["ppmd"] = (
            lambda data: ppmd.compress(data, max_order=16, mem_size=64 << 20),
            lambda data: ppmd.decompress(data, max_order=16, mem_size=64 << 20),
        )
    if shutil.which("zpaq"):
        found["zpaq -m5"] = zpaq, unzpaq
    return found


def zpaq(data: bytes) -> bytes:
    """An archive of one file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "f").write_bytes(data)
        run = ["zpaq", "a", "a.zpaq", "f", "-m5", "-t1"]
        subprocess.run(run, cwd=folder, check=True, capture_output=True)
        return Path(folder, "a.zpaq").read_bytes()


def unzpaq(data: bytes) -> bytes:
    """Its file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.zpaq").write_bytes(data)
        subprocess.run(["zpaq", "x", "a.zpaq", "-t1"], cwd=folder, check=True, capture_output=True)
        return Path(folder, "f").read_bytes()


def used() -> float:
    """Seconds of processor time so far, of this process and of those that it has ended."""
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system


def timed(call: Callable[[bytes], bytes], data: bytes) -> tuple[bytes, float]:
    """(the result, seconds of processor time)."""
    begun = used()
    found = call(data)
    return found, used() - begun


def whole_file(data: bytes, contestants: dict[str, Both]) -> dict[str, dict[str, float]]:
    """Each contestant on one text."""
    rows = {}
    for name, (pack, unpack) in contestants.items():
        packed, there = timed(pack, data)
        again, back = timed(unpack, packed)
        assert again == data, name
        rows[name] = {
            "bytes": len(packed),
            "bits_per_byte": 8 * len(packed) / len(data),
            "compress_kb_per_cpu_s": len(data) / 1e3 / max(there, 1e-9),
            "decompress_kb_per_cpu_s": len(data) / 1e3 / max(back, 1e-9),
        }
    return rows


def records(file: Path, train: Path | None, model: pantoum.Model) -> dict[str, Any]:
    """Lines one by one."""
    lines = file.read_bytes().splitlines()
    archive = model.compress_many(lines)
    assert model.decompress_many(archive) == lines
    found: dict[str, Any] = {"records": len(lines), "bytes": sum(map(len, lines)), "pantoum": len(archive)}
    if (zstd := module("zstandard")) and train is not None:
        trained = zstd.train_dictionary(DICTIONARY, train.read_bytes().splitlines(), level=19)
        bare = zstd.ZstdCompressionParameters.from_level(
            19,
            write_content_size=False,
            write_checksum=False,
            write_dict_id=False,
            format=zstd.FORMAT_ZSTD1_MAGICLESS,
        )
        pack = zstd.ZstdCompressor(dict_data=trained, compression_params=bare)
        sizes = [len(pack.compress(line)) for line in lines]
        found["zstd_with_dictionary"] = sum(sizes) + len(lines)  # a byte each: their lengths must be known
        found["dictionary"] = len(trained.as_bytes())
    draw = random.Random(1)
    some = [draw.randrange(len(lines)) for _ in range(DRAWN)]
    begun = time.perf_counter()
    for number in some:
        assert model.decompress_many(archive, [number]) == [lines[number]]
    found["look_ups_alone_per_s"] = DRAWN / (time.perf_counter() - begun)
    begun = time.perf_counter()
    many = [draw.randrange(len(lines)) for _ in range(TOGETHER)]
    assert model.decompress_many(archive, many) == [lines[number] for number in many]
    found["look_ups_together_per_s"] = TOGETHER / (time.perf_counter() - begun)
    return found


def main() -> None:
    options = parser(__doc__)
    options.add_argument("texts", nargs="*", type=Path)
    options.add_argument("--model", help="compress with this model, too")
    options.add_argument("--records", type=Path)
    options.add_argument("--train", type=Path)
    options.add_argument("--most", type=int, default=1 << 62, help="only so many bytes of each text")
    options.add_argument("--without", action="append", default=[], help="leave out this contestant")
    given = options.parse_args()
    contestants = peers()
    contestants["pantoum"] = (lambda data: pantoum.compress(data, no_verify=True)), pantoum.decompress
    model = None if given.model is None else pantoum.load(given.model)
    if model is not None:
        contestants["pantoum with the model"] = (
            (lambda data: model.compress(data, no_verify=True)),
            model.decompress,
        )
        contestants["pantoum --adapt"] = (
            (lambda data: model.compress(data, adapt=True, no_verify=True)),
            model.decompress,
        )
    contestants = {name: both for name, both in contestants.items() if name not in given.without}
    found: dict[str, Any] = {"machine": machine(), "texts": {}}
    for text in given.texts:
        found["texts"][text.name] = whole_file(text.read_bytes()[: given.most], contestants)
    if model is not None:
        found["model_bytes"] = Path(given.model).stat().st_size if Path(given.model).is_file() else None
        if given.records is not None:
            found["records"] = records(given.records, given.train, model)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for name, rows in found["texts"].items():
        print(f"{name}: bytes, bits per byte, kB per second of processor time there and back")
        for contestant, row in rows.items():
            rates = f"{row['compress_kb_per_cpu_s']:>10,.0f} {row['decompress_kb_per_cpu_s']:>10,.0f}"
            print(f"  {contestant:<24}{row['bytes']:>12,} {row['bits_per_byte']:>8.3f} {rates}")
    for name, value in found.get("records", {}).items():
        print(f"{name:<28}{value:>14,.0f}")


if __name__ == "__main__":
    main()
