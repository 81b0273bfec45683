"""The checkpoints of a run: committed in one instant or not at all, and found again after any crash.

``<run>/checkpoints/step-NNNNNNNN/`` is written under a temporary name, fsynced, renamed to its own, and
made durable by an fsync of the folder above. At every instant the newest one that verifies is whole: the
old checkpoint or the new one, never a mix. Reading walks back to the newest that verifies.

A run that went back (it rolled back, or got another budget) commits a step below others, which are void from
then on. One rename makes them so: the new checkpoint is *pending* under a name that ``newest`` puts before
all others. Then the void ones are removed, and it gets its own name; whoever commits or starts next goes on
with that where it was cut off.

What a checkpoint holds is described in ``checkpoint_folder``; what it means, the training loop knows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pantoum.config.plain import Plain
from pantoum.errors import CheckpointError, StorageError
from pantoum.formats import checkpoint_folder, durable
from pantoum.formats.refusal import translated
from pantoum.formats.tensor_layout import Array

__all__ = ["Checkpoint", "clean_temporary", "commit", "newest", "prune", "read", "steps"]

FOLDER = "checkpoints"
MOST_STEPS = 10**12
SPARE_BYTES = 1 << 20
NAME = re.compile(r"step-([0-9]{8,12})")
PENDING = re.compile(r"\.step-([0-9]{8,12})\.[0-9a-f]{16}\.pantoum-new")


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
    run_folder: Path | str,
    step: int,
    arrays: Mapping[str, Array],
    state: Mapping[str, Plain],
) -> Path:
    """Make the checkpoint of ``step`` durable and return its folder. Those of this step and later ones, where
    there are any, are void in the same instant.

    The arrays must not change meanwhile. ``CheckpointError``: the content cannot be kept. ``StorageError``:
    the disk refused. Either way every earlier checkpoint is as it was.
    """
    target = Path(run_folder) / FOLDER / _name(step)
    try:
        if not 0 <= step < MOST_STEPS:
            raise ValueError(f"its step must be from 0 to {MOST_STEPS:,}")
        content = checkpoint_folder.Content.of(arrays, state)
    except (ValueError, TypeError) as problem:
        words = f"cannot commit the checkpoint {str(target)!r}: {problem}; nothing was written"
        raise CheckpointError(words) from None
    durable.make_folder(target.parent)
    _settle(run_folder)
    durable.require_space(target.parent, content.size, SPARE_BYTES)
    temporary = durable.temporary_beside(target)
    replaces = any(found >= step for found in steps(run_folder))
    name = target.with_name(f".{target.name}.{os.urandom(8).hex()}.pantoum-new") if replaces else target
    with durable.remove_on_failure(temporary):
        durable.new_folder(temporary)
        checkpoint_folder.write(temporary, step, content)
        durable.publish(temporary, name)
    with suppress(StorageError):  # It counts already; the next commit or start goes on.
        _settle(run_folder)
    return target


def newest(run_folder: Path | str) -> Checkpoint | None:
    """The newest checkpoint that verifies; its notes name newer ones that do not.

    ``None`` where a run has no checkpoint; ``CheckpointError`` where it has some and none verifies.
    """
    broken: list[str] = []
    for step, path in _candidates(run_folder):
        try:
            return Checkpoint(step, *checkpoint_folder.read(path, step), path, tuple(broken))
        except CheckpointError as problem:
            broken.append(str(problem))
    if broken:
        raise CheckpointError(
            f"no checkpoint in {str(Path(run_folder) / FOLDER)!r} verifies (the newest: {broken[0]}); "
            "bring back a copy of that folder, or start a new run"
        )
    return None


def read(run_folder: Path | str, step: int) -> Checkpoint:
    """The checkpoint of one step, verified."""
    problem: CheckpointError | None = None
    for found, path in _candidates(run_folder):
        if found == step:
            try:
                return Checkpoint(step, *checkpoint_folder.read(path, step), path)
            except CheckpointError as error:
                problem = problem or error
    there = ", ".join(map(str, steps(run_folder))) or "none"
    words = f"there is no checkpoint of step {step} in {str(Path(run_folder) / FOLDER)!r}"
    raise problem or CheckpointError(f"{words}; choose one that is there: {there}")


def steps(run_folder: Path | str) -> list[int]:
    """The steps that have a checkpoint, ascending, whether it verifies or not."""
    return sorted({step for step, _ in _candidates(run_folder)})


def prune(run_folder: Path | str, keep: int = 3, also: int | Collection[int] | None = None) -> list[int]:
    """Remove all but the last ``keep`` checkpoints and those of the steps ``also``; return what was removed.

    Nothing is removed unless one that stays verifies: the last good one is never deleted. Nor while one is
    pending: which of the others count is settled first.
    """
    if _pending(run_folder):
        return []
    named = {also} if isinstance(also, int) else set(also or ())
    found = steps(run_folder)
    stay = [step for step in found if step in named or step in found[max(0, len(found) - keep) :]]
    return _remove(run_folder, [step for step in found if step not in stay], reversed(stay))


def clean_temporary(run_folder: Path | str) -> list[str]:
    """Remove what crashes left in a run and its checkpoints, and return its names.

    A pending checkpoint gets its own name. For the holder of the run's lock only.
    """
    folder = Path(run_folder) / FOLDER
    settled = _settle(run_folder)
    return durable.clean_temporary(run_folder) + durable.clean_temporary(folder) + settled


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _candidates(run_folder: Path | str) -> list[tuple[int, Path]]:
    """Every checkpoint with its step: a pending one, then the newest first."""
    folder = Path(run_folder) / FOLDER
    with translated("list", folder):
        entries = list(folder.iterdir()) if folder.is_dir() else []
    found = []
    for entry in entries:
        pending = PENDING.fullmatch(entry.name)
        match = pending or NAME.fullmatch(entry.name)
        if match and _name(int(match[1])) in entry.name:
            found.append((pending is not None, int(match[1]), entry))
    return [(step, entry) for _, step, entry in sorted(found, reverse=True)]


def _pending(run_folder: Path | str) -> list[tuple[int, Path]]:
    """The checkpoint that makes others void, if there is one, with its step."""
    return [found for found in _candidates(run_folder) if PENDING.fullmatch(found[1].name)]


def _settle(run_folder: Path | str) -> list[str]:
    """Give a pending checkpoint its own name, once those that it made void are gone; return its old name."""
    folder, waiting = Path(run_folder) / FOLDER, _pending(run_folder)
    for step, pending in waiting:
        if not checkpoint_folder.verify(pending, step):
            durable.discard(pending)  # Damaged since it was written: what it made void counts again.
            continue
        for found, path in _candidates(run_folder):
            if found >= step and path != pending:
                durable.discard(path)
        durable.fsync_folder(folder)  # None of them may come back, after a power cut, beside the new name.
        durable.publish(pending, folder / _name(step))
    return [pending.name for _, pending in waiting]


def _remove(run_folder: Path | str, gone: list[int], stay: Iterable[int]) -> list[int]:
    """Remove the checkpoints of some steps, newest first, if one that stays verifies."""
    folder = Path(run_folder) / FOLDER
    if not gone or not any(checkpoint_folder.verify(folder / _name(step), step) for step in stay):
        return []
    for step, path in _candidates(run_folder):
        if step in gone:
            durable.discard(path)
    return gone
