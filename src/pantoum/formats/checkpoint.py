"""The checkpoints of a run: each is one file, committed in one instant or not at all.

``<run>/checkpoints/step-NNNNNNNN.safetensors`` is a container: every array of the run, and its other state as
JSON in the array ``state``. It is written under a temporary name, fsynced and renamed. At every instant the
newest one that verifies is whole; reading walks back to it.

A run that went back (it rolled back, or got another budget) commits a step below others, which are void from
then on. ``went_back`` in the metadata counts these returns, and the newest checkpoint is the one with the
most returns, among them the one with the most steps: so the same rename that commits a checkpoint makes the
others void, whenever they are removed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pantoum.config.plain import Plain
from pantoum.errors import CheckpointError
from pantoum.formats import container, durable, plain_json
from pantoum.formats.container import Kind
from pantoum.formats.system_calls import translated
from pantoum.formats.tensor_layout import Array

FOLDER = "checkpoints"
MOST_STEPS = 10**12
STATE, STATE_LIMIT = "state", 4_000_000
NAME = re.compile(r"step-([0-9]{8,12})\.safetensors")
DTYPES = {
    "float32": "F32",
    "float64": "F64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "bool": "BOOL",
}
CHECKPOINT = Kind("checkpoint", 2, CheckpointError, "go on from another checkpoint", DTYPES)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run at one step."""

    step: int
    arrays: dict[str, Array]
    """Read-only views of one buffer; copy what is to change."""
    state: dict[str, Plain]
    """Everything that is not an array."""
    path: Path
    notes: tuple[str, ...] = ()
    """One line for each newer checkpoint that does not verify."""


def commit(
    run_folder: Path | str, step: int, arrays: Mapping[str, Array], state: Mapping[str, Plain]
) -> Path:
    """Make the checkpoint of ``step`` durable and return its file. Those of this step and later ones, where
    there are any, are void in the same instant.

    ``CheckpointError``: the content cannot be written. ``StorageError``: the disk refused. Either way every
    earlier checkpoint is as it was.
    """
    target = _path(run_folder, step)
    with CHECKPOINT.refused(target):
        if not 0 <= step < MOST_STEPS:
            raise ValueError(f"its step must be from 0 to {MOST_STEPS:,}")
        if STATE in arrays:
            raise ValueError(f"the name {STATE!r} is taken by the format")
        content = plain_json.encode(dict(state))
        if len(content) > STATE_LIMIT:
            raise ValueError(f"its state has {len(content):,} bytes, more than the {STATE_LIMIT:,} allowed")
    known = _newest_first(run_folder)
    later = any(other > step for _, other, _ in known)
    returns = max((count for count, _, _ in known if count != UNREADABLE), default=0) + later
    body = {"step": step, "went_back": returns}
    whole = {**arrays, STATE: np.frombuffer(content, np.uint8)}
    durable.make_folder(target.parent, above=False)
    container.write(target, CHECKPOINT, body, whole)
    return target


def newest(run_folder: Path | str) -> Checkpoint | None:
    """The newest checkpoint that verifies; its notes name newer ones that do not.

    ``None`` where a run has no checkpoint; ``CheckpointError`` where it has some and none verifies.
    """
    broken: list[str] = []
    for _, _, path in _newest_first(run_folder):
        try:
            return read_file(path, tuple(broken))
        except CheckpointError as problem:
            broken.append(str(problem))
    if broken:
        raise CheckpointError(
            f"no checkpoint in {str(Path(run_folder) / FOLDER)!r} is valid (the newest: {broken[0]}); "
            "restore a copy of that folder, or start a new run"
        )
    return None


def read(run_folder: Path | str, step: int) -> Checkpoint:
    """The checkpoint of one step, verified."""
    path = _path(run_folder, step)
    if path.exists():
        return read_file(path)
    there = ", ".join(map(str, steps(run_folder))) or "none"
    raise CheckpointError(
        f"there is no checkpoint of step {step} in {str(path.parent)!r}; choose an existing one: {there}"
    )


def read_file(path: Path, notes: tuple[str, ...] = ()) -> Checkpoint:
    """A checkpoint from its file, verified."""
    content = container.read(path, CHECKPOINT)
    arrays, step = content.arrays, int(content.body["step"])
    with CHECKPOINT.told(path):
        if path.name != _path("", step).name:
            raise ValueError(f"it is the checkpoint of step {step}, under another name")
        state = plain_json.decode(arrays.pop(STATE, np.zeros(0, np.uint8)).tobytes())
        if not isinstance(state, dict):
            raise ValueError("its state is not an object")
    return Checkpoint(step, arrays, state, path, notes)


def steps(run_folder: Path | str) -> list[int]:
    """The steps that have a checkpoint, ascending, whether it verifies or not."""
    return sorted(step for step, _ in _files(run_folder))


def prune(run_folder: Path | str, last: int, keep: int = 3, also: Collection[int] = ()) -> list[int]:
    """Remove all but the ``keep`` checkpoints up to step ``last`` and those of the steps ``also``; return
    what was removed. ``last`` is the one that was committed a moment ago, so those of later steps are
    void."""
    found = _files(run_folder)
    up_to = sorted(step for step, _ in found if step <= last)
    stay = {*up_to[-keep:], *(step for step in also if step <= last)}
    gone = {step: path for step, path in found if step not in stay}
    for path in gone.values():
        durable.remove_tree(path)
    return sorted(gone)


def clean_temporary(run_folder: Path | str) -> list[str]:
    """Remove what crashes left in a run and its checkpoints, and return its names. For the holder of the
    run's lock only."""
    return durable.clean_temporary(run_folder) + durable.clean_temporary(Path(run_folder) / FOLDER)


UNREADABLE = 1 << 62
"""Returns of a file whose metadata cannot be read: it comes first, so that a note names it."""


def _path(run_folder: Path | str, step: int) -> Path:
    return Path(run_folder) / FOLDER / f"step-{step:08d}.safetensors"


def _files(run_folder: Path | str) -> list[tuple[int, Path]]:
    """Every file with the name of a checkpoint, and its step."""
    folder = Path(run_folder) / FOLDER
    with translated("list", folder):
        entries = list(folder.iterdir()) if folder.is_dir() else []
    matches = [(NAME.fullmatch(entry.name), entry) for entry in entries]
    found = [(int(match[1]), entry) for match, entry in matches if match]
    return [(step, entry) for step, entry in found if entry.name == _path("", step).name]


def _newest_first(run_folder: Path | str) -> list[tuple[int, int, Path]]:
    """The returns, the step and the file of every checkpoint, nothing verified."""
    return sorted(((_returns(path), step, path) for step, path in _files(run_folder)), reverse=True)


def _returns(path: Path) -> int:
    try:
        found = container.head(path, CHECKPOINT).get("went_back")
    except CheckpointError:
        return UNREADABLE
    return found if isinstance(found, int) and 0 <= found < UNREADABLE else UNREADABLE
