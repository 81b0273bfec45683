"""Every operation is stopped after every one of its system calls: the old or the new is found, whole."""

from __future__ import annotations

from pathlib import Path

import crashes
import pytest
from operations import OPERATIONS, Operation
from storage_shim import Recorder, installed

BY_NAME = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


@BY_NAME
def test_a_process_killed_after_any_call_leaves_the_old_or_the_new(
    operation: Operation, tmp_path: Path
) -> None:
    found = list(crashes.killed(operation, tmp_path))
    assert found[-1] == "new" and set(found) <= {"old", "new"}


@BY_NAME
def test_a_power_cut_after_any_call_leaves_the_old_or_the_new(operation: Operation, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    operation.prepare(before)
    calls = crashes.record(operation, after)
    found = list(crashes.power_cuts(operation, before, calls, after, tmp_path))
    assert "new" in found and len(found) > len(calls)


def test_the_images_would_show_a_rename_before_its_fsync(tmp_path: Path) -> None:
    """The test is tested: a save without the file's fsync must be caught."""
    operation = next(each for each in OPERATIONS if each.name == "model over another")
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    operation.prepare(before)
    calls = [call for call in crashes.record(operation, after) if call.kind != "fsync"]
    with pytest.raises(crashes.Fault, match="power cut after"):
        list(crashes.power_cuts(operation, before, calls, after, tmp_path))


def test_nothing_of_ours_is_written_past_the_recorded_calls(tmp_path: Path) -> None:
    """What the calls say is what is on the disk: replayed on a copy, they give the same files."""
    for operation in OPERATIONS:
        folder, copy = tmp_path / operation.name, tmp_path / f"{operation.name} copy"
        folder.mkdir()
        copy.mkdir()
        operation.prepare(folder)
        operation.prepare(copy)
        with installed(Recorder()) as recorder:
            operation.act(folder)
        disk = crashes.Disk(copy)
        disk.root = folder
        for call in recorder.log:
            disk.apply(call)
        place = tmp_path / f"{operation.name} replayed"
        crashes.lay_out(next(disk.images())[1], place)
        assert tree(place) == tree(folder), operation.name


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
