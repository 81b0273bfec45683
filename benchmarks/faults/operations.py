"""What pantoum does on the disk, one operation each, with a way to observe the result.

``prepare`` makes what is there before, ``act`` does the one thing that is tested, ``observe`` says what a
program that starts afterwards finds: a short word, ``old`` or ``new``, or anything else for a mix. Loading
must not raise in any case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.formats import checkpoint, container, durable, metrics_file, model_file, state_file
from pantoum.formats.model_file import ModelFile
from pantoum.formats.state_file import StateRecord
from pantoum.formats.token_file import PREPARED, of_file


@dataclass(frozen=True)
class Operation:
    """One thing that is done on the disk."""

    name: str
    prepare: Callable[[Path], None]
    act: Callable[[Path], Any]
    observe: Callable[[Path], str]
    durable: bool = True
    """Whether it survives a power cut once it has returned."""


def content(value: int) -> dict[str, Any]:
    """Arrays that all say the same, so that a mix of two saves shows."""
    return {
        "weights.w": np.full((16, 8), value, np.float32),
        "average.w": np.full((16, 8), value, np.float32),
        "tokens": np.full(5, value, np.uint16),
        "reset": np.full(3, bool(value % 2)),
    }


def commit(folder: Path, step: int, value: int | None = None) -> None:
    """A checkpoint of ``step`` whose every part says ``value``."""
    value = step if value is None else value
    checkpoint.commit(folder, step, content(value), {"value": value, "rng": [value] * 20})


def found_value(folder: Path) -> int | str:
    """The value of the newest checkpoint; ``mix`` where its parts do not agree."""
    found = checkpoint.newest(folder)
    if found is None:
        return "none"
    value = found.state["value"]
    wanted = content(value)
    same = set(wanted) == set(found.arrays) and all(
        np.array_equal(wanted[n], found.arrays[n]) for n in wanted
    )
    return value if same and found.state["rng"] == [value] * 20 else "mix"


def model(value: int) -> ModelFile:
    """A model whose every part says ``value``."""
    weights = {"w": np.full((32, 4), value, np.float32), "b": np.full(7, value, np.int8)}
    return ModelFile({"value": value}, weights, {"kind": "bytes", "value": value}, {"value": value})


def model_value(path: Path) -> int | str:
    """The value of a model file."""
    found = model_file.read(path)
    value = found.config["value"]
    fits = found.card["value"] == found.tokenizer["value"] == value and all(
        bool((array == value).all()) for array in found.parameters.values()
    )
    return value if fits else "mix"


def state(value: int) -> StateRecord:
    """A state whose every part says ``value``."""
    return StateRecord([np.full(512, value, np.float32)] * 3, value, value, b"", hashlib.sha256().hexdigest())


def prepared(path: Path, value: int) -> None:
    """A prepared text that says ``value`` throughout."""
    with durable.new_file(path) as file:
        writer = container.Writer(file, PREPARED)
        writer.add("train", [np.full(700, value, np.uint8)] * 3, np.dtype(np.uint8))
        writer.finish({"vocab_size": 256, "tokenizer": "", "train": f"{value:02x}"})


def prepared_value(path: Path) -> int | str:
    """The value of a prepared text."""
    found = of_file(container.OpenFile(path, PREPARED), "train")
    value = int(found.tokens[0])
    return value if (found.tokens == value).all() and found.text_fingerprint == bytes([value]) else "mix"


def word(value: int | str, old: int | str, new: int | str) -> str:
    """``old`` or ``new``, or what else was found."""
    return {old: "old", new: "new"}.get(value, f"neither: {value}")


def log_lines(folder: Path) -> None:
    for step in range(1, 6):
        metrics_file.append(folder / "metrics.jsonl", {"step": step, "loss": 1 / step})


def last_step(folder: Path) -> str:
    found = [record["step"] for record in metrics_file.read(folder / "metrics.jsonl")]
    return str(found)


def several(*steps: int) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        for step in steps:
            commit(folder, step)

    return prepare


ONE_TO_5, ONE_TO_3 = str([1, 2, 3, 4, 5]), str([1, 2, 3])

OPERATIONS = [
    Operation(
        "first checkpoint", lambda f: None, lambda f: commit(f, 1), lambda f: word(found_value(f), "none", 1)
    ),
    Operation("next checkpoint", several(1, 2), lambda f: commit(f, 3), lambda f: word(found_value(f), 2, 3)),
    Operation(
        "same step again", several(1, 2), lambda f: commit(f, 2, 9), lambda f: word(found_value(f), 2, 9)
    ),
    Operation(
        "prune",
        several(1, 2, 3, 4),
        lambda f: checkpoint.prune(f, 4, 2, also=[1]),
        lambda f: word(found_value(f), "", 4),
    ),
    Operation(
        "a step below others",
        several(1, 2, 3),
        lambda f: commit(f, 1, 9),
        lambda f: word(found_value(f), 3, 9),
    ),
    Operation(
        "a step between others",
        several(1, 2, 3, 4),
        lambda f: commit(f, 2, 9),
        lambda f: word(found_value(f), 4, 9),
    ),
    Operation(
        "model over another",
        lambda f: model_file.write(f / "m", model(1)) and None,
        lambda f: model_file.write(f / "m", model(2)),
        lambda f: word(model_value(f / "m"), 1, 2),
    ),
    Operation(
        "state over another",
        lambda f: state_file.write(f / "s", state(1)),
        lambda f: state_file.write(f / "s", state(2)),
        lambda f: word(state_file.read(f / "s").tokens_seen, 1, 2),
    ),
    Operation(
        "prepared text over another",
        lambda f: prepared(f / "t", 1),
        lambda f: prepared(f / "t", 2),
        lambda f: word(prepared_value(f / "t"), 1, 2),
    ),
    Operation(
        "metrics of a resumed run",
        log_lines,
        lambda f: metrics_file.truncate_after(f / "metrics.jsonl", 3),
        lambda f: word(last_step(f), ONE_TO_5, ONE_TO_3),
    ),
    Operation(
        "a line of metrics",
        log_lines,
        lambda f: metrics_file.append(f / "metrics.jsonl", {"step": 6, "loss": 0.1}),
        lambda f: word(last_step(f), ONE_TO_5, str([1, 2, 3, 4, 5, 6])),
        durable=False,
    ),
]
