"""A model file takes at most ten times its size and 64 MB, before it is refused or while it is read.

Each file here is read in a process of its own, whose greatest size is compared with that before the file. At
first each of them took more.
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "faults"))
from forgery_parts import together
from forgery_sizes import characters, fresh, put

from pantoum.network.spec import TABLE

TIMES, SPARE = 10, 64 << 20
READER = """
import sys
from pathlib import Path
from pantoum.cli.main import main
import pantoum.inference.loaded_model, pantoum.inference.writing.generation, pantoum.inference.evaluation
def kilobytes(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0])
Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
code = main(sys.argv[1:])
print(code, 1024 * (kilobytes("VmHWM") - before), flush=True)
"""
Arrays = dict[str, Any]

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the greatest size of a process is known on Linux"
)


def taken(path: Path, *command: str) -> tuple[int, int]:
    """(exit code, bytes of memory) of a command in a process of its own."""
    words = [sys.executable, "-c", READER, *command]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=path.parent)
    assert "Traceback" not in done.stderr and "a bug" not in done.stderr
    code, size = done.stdout.split()[-2:]
    return int(code), int(size)


def counted(arrays: Arrays, number: int, unordered: bool = False) -> None:
    """``number`` n-grams of three tokens of 256 symbols, two bytes each."""
    pairs = np.full(250 * 256, number // (250 * 256), np.uint8)
    triples = np.tile(np.arange(pairs[0], dtype=np.uint8), len(pairs))
    held = {
        "weights": np.full(24, 0.5, np.float32),
        "discounts": np.full((3, 3), 0.5, np.float32),
        "1.counts": np.full(256, 3, np.uint8),
        "1.children": np.full(256, 250, np.uint8),
        "2.counts": np.full(len(pairs), 3, np.uint8),
        "2.children": pairs,
        "2.tokens": np.tile(np.arange(250, dtype=np.uint8), 256)[:, None],
        "3.counts": np.full(len(triples), 2, np.uint8),
        "3.tokens": (triples[::-1] if unordered else triples)[:, None],
    }
    arrays.update({f"extras.counts.{name}": array for name, array in held.items()})


def table(arrays: Arrays, bits: int, used: int, stream: bytes) -> None:
    """A compact table."""
    marks = np.zeros(bits, np.uint8)
    marks[: used // 8] = 255
    del arrays[TABLE]
    arrays[TABLE + ".used"], arrays[TABLE + ".exponents"] = marks, np.zeros(used, np.int8)
    arrays[TABLE + ".codes"] = np.frombuffer(zlib.compress(stream, 9), np.uint8)


def as_codes(arrays: Arrays) -> None:
    """Every matrix as codes."""
    for name in [name for name, array in arrays.items() if array.ndim == 2]:
        G, K = arrays[name].shape
        arrays[name] = np.resize(np.arange(-127, 128, dtype=np.int8), (G, K))
        arrays[name + ".scale"] = np.full(G, 2.0**-12, np.float32)


TIED = {"tied": True, "members": 4, "embedding_size": 200, "hidden_size": 200}
KINDS: dict[str, tuple[int, bool, Callable[[Arrays], None]]] = {
    "counts": (256, True, lambda arrays: counted(arrays, 6_400_000)),
    "counts out of order": (256, False, lambda arrays: counted(arrays, 6_400_000, unordered=True)),
    "bits of a table": (50, False, lambda arrays: table(arrays, 16_000_000, 8, bytes(8 * 50))),
    "bits of a table of one column": (50, False, lambda arrays: table(arrays, 16_000_000, 8, bytes(8))),
    "a stream too long": (50, False, lambda arrays: table(arrays, 2048, 8192, bytes(65_000_000))),
    "codes of a tied ensemble": (40_000, True, as_codes),
    "a stream of too many columns": (50, False, lambda arrays: table(arrays, 2048, 16384, bytes(64 << 20))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_file_of_that_size_may_take(kind: str, tmp_path: Path) -> None:
    symbols, answered, change = KINDS[kind]
    shape = TIED if "tied" in kind else {"ngrams": () if "counts" in kind else (2,)}
    parts, arrays = fresh(characters(symbols), **shape)
    change(arrays)
    path = tmp_path / "model.safetensors"
    path.write_bytes(together(put(parts, arrays)))
    (tmp_path / "text").write_text("The cat sat on the mat.\n" * 3)
    code, size = taken(path, "evaluate", str(path), str(tmp_path / "text"), "--quiet")
    assert (code == 0) == answered
    assert size < TIMES * path.stat().st_size + SPARE
