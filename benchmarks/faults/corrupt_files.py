"""Fault test 4: thousands of damaged models, checkpoints, texts, states and archives are read; none may pass.

Each case is one damage (``damage.py``) of a good file: it must be refused by the format's own error, one
line, in under a second, with memory of at most twice the file's size (and a little for Python's own). A
damaged checkpoint must be walked past to the one before it. Then forgeries: edits with a checksum made to
match. What such a file says is its author's; it may load, or be refused, but never crash.

    python benchmarks/faults/corrupt_files.py [--count 10000] [--seed 0] [--first 0] [--kind model] [--json]

A case depends on the seed, the kind and its number only: ``--first`` goes on where a run was stopped.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from damage import DAMAGES, FORGERIES, damaged
from drawn_cases import parser

from pantoum.apps.archive import archiving, learning, restoring
from pantoum.apps.archive.settings import CompressConfig, DecompressConfig
from pantoum.config import ModelConfig
from pantoum.errors import ArchiveError, CheckpointError, FormatError, ModelFileError, ShardError, StateError
from pantoum.formats import checkpoint, container, durable, model_file, state_file
from pantoum.formats.token_file import PREPARED, of_file
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.byte import ByteTokenizer

SLOWEST = 1.0
"""Seconds of processor time, which other work on the machine does not change."""
FORGED_SPARE = 8 << 20
"""Memory for a header (at most 1 MB) that is parsed because its checksum matches."""


@dataclass(frozen=True)
class Kind:
    """One kind of file: how a good one is made, loaded, and given a checksum that matches."""

    name: str
    error: type[FormatError]
    files: tuple[str, ...]
    """The files that are damaged, one a case."""
    make: Callable[[Path, int], Any]
    load: Callable[[Path], Any]
    """Raises the kind's error, or returns a word for what was found; ``before``: the checkpoint before."""
    seal: Callable[[Path, str, bytes], Any]
    """Writes a file's forged bytes, and makes all checksums match."""
    spare: int = 256 * 1024
    """Memory that does not count: messages and small objects; of a network that reads."""


@dataclass
class Tally:
    """What came of the cases of one kind."""

    refused: int = 0
    forged_refused: int = 0
    forged_loaded: int = 0
    slowest: float = 0.0
    memory: float = 0.0
    """The largest peak, less the spare, in sizes of its file."""
    faults: list[str] = field(default_factory=list)
    by_damage: Counter[str] = field(default_factory=Counter)


def weights(value: int) -> dict[str, Any]:
    rng = np.random.default_rng(value)
    return {f"stack.{i}.weight": rng.standard_normal((256, 256), np.float32) for i in range(4)}


def make_model(folder: Path, value: int) -> None:
    card = {"curve": [[i, 1 / (i + 1)] for i in range(200)], "texts": [{"sha256": "0" * 64}], "value": value}
    model = model_file.ModelFile({"cell": "gru", "hidden_size": 256}, weights(value), {"kind": "bytes"}, card)
    model_file.write(folder / "model.safetensors", model)


def seal(folder: Path, name: str, data: bytes) -> None:
    digits = container.DIGITS
    if len(data) >= digits.stop:
        digest = hashlib.sha256(data[: digits.start] + b"0" * 64 + data[digits.stop :]).hexdigest()
        data = data[: digits.start] + digest.encode() + data[digits.stop :]
    (folder / name).write_bytes(data)


def make_checkpoints(folder: Path, value: int) -> None:
    for step in (1, 2):
        arrays = {
            **weights(step + value),
            "cursor": np.array([step], np.int64),
            "reset": np.ones(5, np.bool_),
        }
        checkpoint.commit(folder, step, arrays, {"step": step, "rng": [step] * 600, "rate": 0.1})


def load_checkpoint(folder: Path) -> str:
    found = checkpoint.newest(folder)
    assert found is not None
    if found.step == 1 and found.state["step"] == 1 and len(found.notes) == 1 and "\n" not in found.notes[0]:
        raise CheckpointError(found.notes[0])
    return str(found.step)


def make_state(folder: Path, value: int) -> None:
    layers = [np.random.default_rng(value + i).standard_normal(512, np.float32) for i in range(3)]
    state_file.write(folder / "state", state_file.StateRecord(layers, value, value, b"\xe2", "ab" * 32))


def seal_state(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data[:-32] + hashlib.sha256(data[:-32]).digest())


def make_prepared(folder: Path, value: int) -> None:
    blocks = [np.random.default_rng(value + i).integers(0, 90, 400_000).astype(np.uint8) for i in range(3)]
    with durable.new_file(folder / "prepared") as file:
        writer = container.Writer(file, PREPARED)
        writer.add("train", blocks, np.dtype(np.uint8))
        writer.finish({"vocab_size": 98, "tokenizer": "00", "train": "00"})


def load_prepared(folder: Path) -> int:
    tokens = of_file(container.OpenFile(folder / "prepared", PREPARED), "train")
    return int(tokens.tokens.sum())


@cache
def reader() -> LoadedModel:
    """A small network with drawn weights, by which archives are made."""
    network = LanguageModel(257, config=ModelConfig("gru", 16, 1, 8), seed=1)
    return LoadedModel(Program(network), ByteTokenizer(), sha256="ab" * 32)


FEW_CONTEXTS = patch.object(learning, "SLOTS", 12)


def make_archive(folder: Path, value: int) -> None:
    text = np.random.default_rng(value).choice([b"cat ", b"dog ", b"ran\n"], 600).tobytes()
    with FEW_CONTEXTS:
        archive = archiving.compress(io.BytesIO(text), reader(), CompressConfig(no_verify=True))
        (folder / "archive").write_bytes(b"".join(archive))


def load_archive(folder: Path) -> int:
    with FEW_CONTEXTS, (folder / "archive").open("rb") as file:
        return sum(map(len, restoring.restore(file, reader(), DecompressConfig(), [])))


def leave(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)


STEP_1 = "checkpoints/step-00000001.safetensors"
STEP_2 = "checkpoints/step-00000002.safetensors"
KINDS = [
    Kind(
        "model",
        ModelFileError,
        ("model.safetensors",),
        make_model,
        lambda folder: model_file.read(folder / "model.safetensors"),
        seal,
    ),
    Kind("checkpoint", CheckpointError, (STEP_2,), make_checkpoints, load_checkpoint, seal),
    Kind(
        "state",
        StateError,
        ("state",),
        make_state,
        lambda folder: state_file.read(folder / "state"),
        seal_state,
    ),
    Kind("prepared", ShardError, ("prepared",), make_prepared, load_prepared, seal),
    Kind("archive", ArchiveError, ("archive",), make_archive, load_archive, leave, spare=64 << 20),
]


def run(kind: Kind, count: int, seed: int, first: int = 0, *, progress: bool = False) -> Tally:
    """``count`` cases of damage and a quarter as many forgeries, from case ``first`` on."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        good, other, folder = (Path(name) / part for part in ("good", "other", "case"))
        for place, value in ((good, 1), (other, 200), (folder, 1)):
            place.mkdir()
            kind.make(place, value)
        kind.load(folder)
        for number in range(first, first + count):
            rng = np.random.default_rng([seed, KINDS.index(kind), number])
            one_case(kind, tally, rng, number, good, other, folder)
            if progress and (number + 1) % 500 == 0:
                print(f"{kind.name}: {number + 1}", file=sys.stderr)
    return tally


def one_case(
    kind: Kind, tally: Tally, rng: np.random.Generator, number: int, good: Path, other: Path, folder: Path
) -> None:
    """One damage, and with every fourth one forgery, loaded and judged; the good file is put back."""
    name = kind.files[number // len(DAMAGES) % len(kind.files)]
    data, second = (good / name).read_bytes(), (other / name).read_bytes()
    what, bad = damaged(rng, data, second, number)
    (folder / name).write_bytes(bad)
    judge(kind, tally, folder, f"{kind.name} {number} {what} in {name}", len(bad), forged=False)
    tally.by_damage[what] += 1
    if number % 4 == 0:
        forgery = FORGERIES[number // 4 % len(FORGERIES)]
        kind.seal(folder, name, forgery(rng, data, second))
        size = (folder / name).stat().st_size
        words = f"{kind.name} {number} forged {forgery.__name__} in {name}"
        judge(kind, tally, folder, words, size, forged=True)
    (folder / name).write_bytes(data)


def judge(kind: Kind, tally: Tally, folder: Path, words: str, size: int, *, forged: bool) -> None:
    """Load one file under the clock and the count of memory."""
    # What is loaded in a damaged checkpoint's place counts too.
    size = max(size, (folder / STEP_1).stat().st_size if (folder / STEP_1).exists() else 0)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    began = time.process_time()
    refused = True
    try:
        kind.load(folder)
        refused = False
    except kind.error as error:
        if "\n" in str(error) or len(str(error)) > 2_000:
            tally.faults.append(f"{words}: unclear: {str(error)[:300]!r}")
    except BaseException as error:
        tally.faults.append(f"{words}: {type(error).__name__}: {str(error)[:300]}")
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1] - before - kind.spare
    tally.slowest = max(tally.slowest, seconds)
    if size and not forged:
        tally.memory = max(tally.memory, peak / size)
    if seconds >= SLOWEST or peak > 2 * size + (FORGED_SPARE if forged else 0):
        tally.faults.append(f"{words}: {seconds:.2f} s, {peak:,} bytes of memory for a file of {size:,}")
    if forged:
        tally.forged_refused += refused
        tally.forged_loaded += not refused
    elif refused:
        tally.refused += 1
    else:
        tally.faults.append(f"{words}: ACCEPTED")


def main() -> int:
    wanted = parser(__doc__, 10_000, [kind.name for kind in KINDS]).parse_args()
    tracemalloc.start()
    results, failed = {}, False
    for kind in KINDS:
        if wanted.kind not in (None, kind.name):
            continue
        began = time.perf_counter()
        tally = run(kind, wanted.count, wanted.seed, wanted.first, progress=True)
        failed = failed or bool(tally.faults)
        seconds = round(time.perf_counter() - began, 1)
        results[kind.name] = {
            "cases": wanted.count,
            **vars(tally),
            "faults": tally.faults[:100],
            "seconds": seconds,
        }
        if not wanted.json:
            print(kind.name, json.dumps(results[kind.name]))
    if wanted.json:
        print(json.dumps({"seed": wanted.seed, "first": wanted.first, "kinds": results}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
