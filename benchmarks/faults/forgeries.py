"""Forgeries: good files of which a part was changed, with hashes that match afterwards.

``forge`` is a pure function of a generator: it takes one good file apart, changes one to three of its parts,
and writes it to a folder with the commands that should meet it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from forgery_changes import CHANGES, change_json, expansion, pick
from forgery_parts import Good, together
from forgery_sizes import forged_size

from pantoum.formats import state_file

__all__ = ["Case", "Good", "forge"]

KINDS = ("model", "size", "state", "run")
SHARES = (0.77, 0.06, 0.11, 0.06)
LEAST_SIZE, MOST_SIZE = 1 << 14, 1 << 25
"""Bytes of a file that aims at memory."""
MOST_STATE = 64 << 20
"""Bytes of the layers of a state that changes of changes may come to."""


@dataclass
class Case:
    """One forgery on the disk."""

    kind: str
    words: str
    size: int
    commands: list[list[str]] = field(default_factory=list)


def forge(rng: np.random.Generator, good: Good, folder: Path, kind: str | None = None) -> Case:
    """Write one forgery into ``folder``."""
    folder.mkdir()
    kind = kind or KINDS[int(rng.choice(len(KINDS), p=SHARES))]
    made = {"model": model, "size": size, "state": state, "run": a_run}[kind]
    words, commands = made(rng, good, folder)
    taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Case(kind, words, taken, commands)


def model(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    parts = copy.deepcopy(pick(rng, good.models))
    raw = rng.integers(12)
    if raw == 0:
        data, words = together(parts, raw_tokenizer=expansion(rng)), "expanded tokenizer"
    elif raw == 1:
        data, words = together(parts, raw_header=expansion(rng)[:990_000]), "expanded header"
    else:
        words = "; ".join(
            pick(rng, CHANGES)(rng, parts) for _ in range(int(rng.integers(1, 4))) if parts.arrays
        )
        data = together(parts)
    path = folder / "model.safetensors"
    path.write_bytes(data)
    text = str(good.folder / "lines.txt")
    drawn = [
        ["--greedy"],
        ["--temperature", "0.01"],
        ["--top-k", "3", "--top-p", "0.5"],
        ["--min-p", "0.3", "--repetition-penalty", "1.5"],
        ["--count", "3", "--stop", "e"],
        ["--adapt"],
    ]
    others = [
        ["score", str(path), text, "--alert", "auto:1%"],
        ["score", str(path), text, "--by", "token", "--format", "json"],
        ["evaluate", str(path), text, "--json"],
        ["evaluate", str(path), text, "--adapt"],
        ["score", str(path), text, "--streams", "4", "--format", "html"],
        ["export", str(path), "--to", "int8", "--out", str(folder / "out")],
        ["export", str(path), "--to", "torch", "--out", str(folder / "out")],
    ]
    return words, [
        ["info", str(path)],
        ["generate", str(path), "--length", "4", "--seed", "1", "--prompt", "The c", *pick(rng, drawn)],
        pick(rng, others),
    ]


def size(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    """A large file that takes as much memory as can be. Reading is bounded: adapting is not among the
    commands, because it needs several copies of the weights as float32."""
    words, parts = forged_size(rng, int(np.exp(rng.uniform(np.log(LEAST_SIZE), np.log(MOST_SIZE)))))
    path = folder / "model.safetensors"
    path.write_bytes(together(parts))
    text = str(good.folder / "lines.txt")
    others = [
        ["score", str(path), text],
        ["evaluate", str(path), text, "--json"],
        ["export", str(path), "--to", "int8", "--out", str(folder / "out")],
    ]
    return words, [
        ["info", str(path)],
        ["generate", str(path), "--length", "4", "--seed", "1"],
        pick(rng, others),
    ]


def state(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    """A state with a digest that matches, of the model that is there."""
    record = state_file.from_bytes(good.state)
    head = list(state_file.HEAD.unpack_from(good.state))
    layers = [np.array(layer) for layer in record.layers]
    words = []
    for _ in range(int(rng.integers(1, 4))):
        how = int(rng.integers(7))
        words.append(str(how))
        if how == 0:
            head[3] = int(pick(rng, [0, 1, 40, 97, 2**31, 2**32 - 2, 2**32 - 1]))
        elif how == 1:
            head[4] = int(pick(rng, [0, 1, 2**31, 2**62, 2**63 - 1, 2**63]))
        elif how == 2:
            head[6], head[7] = int(rng.integers(16)), rng.bytes(15)
        elif how == 3 and layers:
            pick(rng, layers)[...] = pick(rng, [3e38, -3e38, 1e-45, -1.0, 0.5, 2.0**31, 1e10])
        elif how == 4 and layers:
            layers[int(rng.integers(len(layers)))] = np.zeros(int(rng.integers(0, 3000)), np.float32)
        elif how == 5:
            layers = layers[: int(rng.integers(len(layers) + 1))]
        else:
            times, held = int(rng.integers(2, 500)), sum(4 + layer.nbytes for layer in layers)
            layers = layers * min(times, max(1, MOST_STATE // max(1, held)))
    head[2] = len(layers) & 0xFFFF
    data = state_file.HEAD.pack(*head) + np.array([len(a) for a in layers], "<u4").tobytes()
    data += b"".join(layer.astype("<f4").tobytes() for layer in layers)
    path = folder / "state"
    path.write_bytes(data + hashlib.sha256(data).digest())
    model = str(good.folder / "model-0")
    return "state " + " ".join(words), [
        ["info", str(path)],
        ["generate", model, "--state-in", str(path), "--length", "3", "--seed", "1"],
    ]


def a_run(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    """What a run says of itself: its configuration and its log."""
    run = folder / "run"
    shutil.copytree(good.run, run)
    if rng.integers(2):
        path = run / "config.json"
        content = json.loads(path.read_bytes())
        words = "config.json " + "; ".join(change_json(rng, content) for _ in range(int(rng.integers(1, 3))))
        path.write_bytes(expansion(rng) if rng.integers(12) == 0 else json.dumps(content).encode())
    else:
        path = run / "metrics.jsonl"
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        words = "metrics.jsonl " + "; ".join(change_json(rng, pick(rng, records)) for _ in range(3))
        lines = [json.dumps(record).encode() for record in records]
        if rng.integers(8) == 0:
            lines += [pick(rng, [b"{}", b'{"step":1}', b"[]"])] * int(2 ** rng.integers(20))
        path.write_bytes(b"\n".join(lines) + b"\n")
    return words, [
        ["info", str(run)],
        ["watch", str(run), "--json"],
        pick(
            rng,
            [["compare", str(run), str(good.run)], f"train --resume --run {run} --quiet --threads 1".split()],
        ),
    ]
