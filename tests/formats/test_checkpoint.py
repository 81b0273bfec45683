"""Checkpoints: everything comes back, damage is walked past, and the last good one is never deleted."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import CheckpointError, StorageError
from pantoum.formats import checkpoint, checkpoint_folder, durable

DTYPES = list(checkpoint_folder.DTYPE_NAMES)


def arrays(step: int) -> dict[str, Any]:
    return {
        "weights.w": np.full((2, 3), step, np.float32),
        "state.0": np.array([True, False]),
        "cursor": np.array([step], np.int64),
        "norm": np.array(0.5),
    }


def commit(run: Path, *steps: int) -> None:
    for step in steps:
        checkpoint.commit(run, step, arrays(step), {"step": step, "rng": 2**70, "rate": 0.1})


def damage(run: Path, step: int, name: str = "arrays.safetensors") -> None:
    path = run / "checkpoints" / f"step-{step:08d}" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def names(run: Path) -> list[str]:
    return sorted(entry.name for entry in (run / "checkpoints").iterdir())


def test_everything_comes_back(tmp_path: Path) -> None:
    path = checkpoint.commit(
        tmp_path, 7, arrays(7), {"rng": [2**70, None], "rate": 0.1, "nested": {"é": True}}
    )
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 7 and found.path == path and found.notes == ()
    assert found.state == {"rng": [2**70, None], "rate": 0.1, "nested": {"é": True}}
    for name, array in arrays(7).items():
        assert found.arrays[name].dtype == array.dtype and found.arrays[name].shape == array.shape
        assert np.array_equal(found.arrays[name], array) and not found.arrays[name].flags.writeable
    assert names(tmp_path) == ["step-00000007"]
    assert sorted(p.name for p in path.iterdir()) == ["arrays.safetensors", "manifest.json", "state.json"]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32), dtype=st.sampled_from(DTYPES), shape=st.lists(st.integers(0, 4), max_size=3)
)
def test_arrays_of_every_dtype_and_shape_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, dtype: str, shape: list[int]
) -> None:
    run = tmp_path_factory.getbasetemp() / "any"
    array = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    checkpoint.commit(run, 1, {"a": array}, {})
    found = checkpoint.read(run, 1).arrays["a"]
    assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()


def test_the_library_opens_the_arrays(tmp_path: Path) -> None:
    path = checkpoint.commit(tmp_path, 7, arrays(7), {})
    found = safetensors.numpy.load_file(path / "arrays.safetensors")
    assert all(np.array_equal(found[name], array) for name, array in arrays(7).items())


def test_exact_bytes_of_state_and_manifest(tmp_path: Path) -> None:
    path = checkpoint.commit(tmp_path, 7, {}, {"b": 1, "a": [0.5, None]})
    assert (path / "state.json").read_bytes() == b'{"a":[0.5,null],"b":1}'
    entries = ",".join(
        f'"{name}":{{"sha256":"{hashlib.sha256(data).hexdigest()}","size":{len(data)}}}'
        for name in ("arrays.safetensors", "state.json")
        for data in [(path / name).read_bytes()]
    )
    expected = f'{{"files":{{{entries}}},"format":"pantoum checkpoint","step":7,"version":1}}'
    assert (path / "manifest.json").read_text() == expected


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None and checkpoint.steps(tmp_path) == []
    assert checkpoint.prune(tmp_path) == [] and checkpoint.clean_temporary(tmp_path) == []
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 3 .* there: none"):
        checkpoint.read(tmp_path, 3)


@pytest.mark.parametrize("name", ["arrays.safetensors", "state.json", "manifest.json"])
def test_the_newest_that_verifies_is_found_and_broken_ones_are_named(tmp_path: Path, name: str) -> None:
    commit(tmp_path, 10, 20, 30)
    damage(tmp_path, 30, name)
    (tmp_path / "checkpoints" / "step-00000020" / name).unlink()
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 10 and found.state["step"] == 10
    assert len(found.notes) == 2 and "step-00000030" in found.notes[0] and name in found.notes[1]


def test_other_names_are_passed_over(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    folder = tmp_path / "checkpoints"
    for name in (
        "step-11",
        "step-000000012",
        "step-00000013.bak",
        ".step-00000014.0123456789abcdef.pantoum-tmp",
    ):
        (folder / "step-00000010").rename(folder / name)
        assert checkpoint.newest(tmp_path) is None
        (folder / name).rename(folder / "step-00000010")


def test_a_renamed_checkpoint_is_not_another_step(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    (tmp_path / "checkpoints" / "step-00000010").rename(tmp_path / "checkpoints" / "step-00000099")
    with pytest.raises(CheckpointError, match="not a manifest for step 99"):
        checkpoint.newest(tmp_path)


def test_the_same_step_again_replaces_its_checkpoint(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    checkpoint.commit(tmp_path, 10, {}, {"second": True})
    assert checkpoint.read(tmp_path, 10).state == {"second": True}
    assert names(tmp_path) == ["step-00000010"]


def test_the_last_three_and_named_ones_are_kept(tmp_path: Path) -> None:
    commit(tmp_path, *range(10, 80, 10))
    assert checkpoint.prune(tmp_path, keep=3, also=20) == [10, 30, 40]
    assert checkpoint.steps(tmp_path) == [20, 50, 60, 70]
    assert checkpoint.prune(tmp_path, keep=1, also=[50]) == [20, 60]
    assert checkpoint.prune(tmp_path, keep=9) == []
    assert checkpoint.steps(tmp_path) == [50, 70]


def test_the_last_good_one_is_never_deleted(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20, 30, 40)
    for step in (20, 30, 40):
        damage(tmp_path, step)
    assert checkpoint.prune(tmp_path, keep=3) == [] and checkpoint.prune(tmp_path, keep=0) == []
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 10


def pending(run: Path, step: int, which: str = "pending") -> Path:
    """A commit below others that was cut off before any of them was removed."""
    source = run.with_name(f"{run.name}-source")
    path = checkpoint.commit(source, step, arrays(step), {"which": which})
    name = run / "checkpoints" / f".step-{step:08d}.{'0' * 16}.pantoum-new"
    return path.rename(name)


def test_a_step_below_others_makes_them_void(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20, 30)
    commit(tmp_path, 15)
    assert names(tmp_path) == ["step-00000010", "step-00000015"]
    commit(tmp_path, 15, 20)
    assert checkpoint.steps(tmp_path) == [10, 15, 20]


def test_a_pending_one_is_the_newest_and_the_next_start_settles_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    commit(run, 10, 20, 30)
    name = pending(run, 20).name
    for found in (checkpoint.newest(run), checkpoint.read(run, 20)):
        assert found is not None and found.step == 20 and found.state == {"which": "pending"}
    assert checkpoint.prune(run, keep=1) == []
    assert checkpoint.clean_temporary(run) == [name]
    assert names(run) == ["step-00000010", "step-00000020"]
    assert checkpoint.read(run, 20).state == {"which": "pending"}


def test_a_pending_one_that_is_damaged_makes_nothing_void(tmp_path: Path) -> None:
    run = tmp_path / "run"
    commit(run, 10, 20, 30)
    (pending(run, 20) / "arrays.safetensors").write_bytes(b"damaged")
    found = checkpoint.newest(run)
    assert found is not None and found.step == 30 and len(found.notes) == 1
    checkpoint.clean_temporary(run)
    assert names(run) == ["step-00000010", "step-00000020", "step-00000030"]


@pytest.mark.parametrize("call", ["discard", "fsync_folder"])
def test_void_ones_that_cannot_be_removed_are_no_failure_and_the_next_commit_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    commit(tmp_path, 10, 20)
    real, calls = getattr(durable, call), []

    def refuse(*arguments: Any) -> None:
        calls.append(arguments)
        if call == "discard" or len(calls) == 3:  # the first two are of the new one's folder and its name
            raise StorageError("the disk says no")
        real(*arguments)

    monkeypatch.setattr(durable, call, refuse)
    checkpoint.commit(tmp_path, 10, {}, {"which": "the new one"})
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 10 and found.state == {"which": "the new one"}
    monkeypatch.undo()
    commit(tmp_path, 12)
    assert names(tmp_path) == ["step-00000010", "step-00000012"]


def test_temporary_folders_are_ignored_and_cleaned(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    half = durable.temporary_beside(tmp_path / "checkpoints" / "step-00000020")
    half.mkdir()
    (half / "arrays.safetensors").write_bytes(b"half")
    model = durable.temporary_beside(tmp_path / "model.safetensors")
    model.write_bytes(b"half")
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 10 and found.notes == ()
    assert checkpoint.clean_temporary(tmp_path) == [model.name, half.name]
    assert names(tmp_path) == ["step-00000010"]


@pytest.mark.parametrize(
    ("step", "content", "state", "words"),
    [
        (5, {"w": np.array([np.nan], np.float32)}, {}, "'w' holds values that are not finite"),
        (5, {"w": np.array([[np.inf]])}, {}, "not finite"),
        (5, {"w": np.array(["a"])}, {}, "'w' is str"),
        (5, {"a b": np.zeros(1)}, {}, "not plain"),
        (5, {}, {"rate": float("nan")}, "nan"),
        (5, {}, {1: 2}, "keys must be text"),
        (5, {}, {"x": object()}, "not JSON serializable"),
        (5, {}, {"x": "y" * 4_000_001}, "at most 4,000,000"),
        (-1, {}, {}, "step must be"),
        (10**12, {}, {}, "step must be"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    tmp_path: Path, step: int, content: Any, state: Any, words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        checkpoint.commit(tmp_path, step, content, state)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_too_small_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path, 10)
    monkeypatch.setattr(durable.system, "free_bytes", lambda folder: 1_000)
    with pytest.raises(StorageError, match="only 1,000 are free"):
        commit(tmp_path, 20)
    assert names(tmp_path) == ["step-00000010"]


def vouched_for(folder: Path, **changes: Any) -> None:
    """Write a manifest that vouches for the files as they are, as someone hostile would."""
    files = {}
    for name in ("arrays.safetensors", "state.json"):
        data = (folder / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest = {"files": files, "format": "pantoum checkpoint", "step": 10, "version": 1, **changes}
    (folder / "manifest.json").write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("state.json", b"[]", "it is not an object"),
        ("state.json", b'{"a":NaN}', "NaN is not a number"),
        ("state.json", b"", "Expecting value: line 1 column 1 (char 0)"),
        ("arrays.safetensors", b"", "it is too short"),
        (
            "arrays.safetensors",
            b"\xff" * 100,
            "it claims a header of 18,446,744,073,709,551,615 bytes, at most 1,000,000 are allowed",
        ),
        ("arrays.safetensors", safetensors.numpy.save({"a": np.zeros(2)}), "it was not written by pantoum"),
        (
            "arrays.safetensors",
            safetensors.numpy.save({"a": np.zeros(2)}, {"pantoum": "{}"}),
            "it is not a checkpoint of pantoum",
        ),
    ],
)
def test_hostile_files_that_a_manifest_vouches_for_are_refused(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    commit(tmp_path, 10)
    folder = tmp_path / "checkpoints" / "step-00000010"
    (folder / name).write_bytes(data)
    vouched_for(folder)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.read(tmp_path, 10)
    assert str(caught.value) == f"cannot use {str(folder / name)!r}: {words}; go on from another checkpoint"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"format": "other"},
        {"step": True},
        {"step": 11},
        {"more": 1},
        {"files": {}},
        {"files": [1, 2]},
        {"files": {"arrays.safetensors": {"size": 1}, "state.json": {}}},
        {"files": {"arrays.safetensors": {"sha256": "", "size": True}, "state.json": {}}},
        {"files": {"arrays.safetensors": [], "state.json": {}, "../x": {}}},
        {
            "files": {
                "arrays.safetensors": {"sha256": "", "size": 1e9},
                "state.json": {"sha256": "", "size": 2},
            }
        },
    ],
)
def test_hostile_manifests_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    commit(tmp_path, 10)
    vouched_for(tmp_path / "checkpoints" / "step-00000010", **changes)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.read(tmp_path, 10)
    file = str(tmp_path / "checkpoints" / "step-00000010" / "manifest.json")
    words = "it is not a manifest" if "files" in changes else "it is not a manifest for step 10, version 1"
    assert str(caught.value) == f"cannot use {file!r}: {words}; go on from another checkpoint"
    assert not checkpoint_folder.verify(tmp_path / "checkpoints" / "step-00000010", 10)


def test_a_manifest_that_is_no_object_or_too_long_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    for data in (b"[]", b"{}", b" " * 20_000, b"[" * 9_000):
        (tmp_path / "checkpoints" / "step-00000010" / "manifest.json").write_bytes(data)
        with pytest.raises(CheckpointError):
            checkpoint.read(tmp_path, 10)


@pytest.mark.parametrize("place", ["bounded.fill_hashed", "tensor_layout.view"])
def test_a_checkpoint_that_does_not_fit_into_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    commit(tmp_path, 10)

    def none_left(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(f"pantoum.formats.checkpoint_folder.{place}", none_left)
    with pytest.raises(CheckpointError, match="': it does not fit into memory; go on from another"):
        checkpoint.read(tmp_path, 10)


def test_verifying_keeps_nothing_in_memory(tmp_path: Path) -> None:
    checkpoint.commit(tmp_path, 1, {"w": np.zeros(3_000_000, np.float32)}, {})
    tracemalloc.start()
    try:
        assert checkpoint.checkpoint_folder.verify(tmp_path / "checkpoints" / "step-00000001", 1)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_the_least_and_the_largest_step_are_committed(tmp_path: Path) -> None:
    commit(tmp_path, 0, 10**12 - 1)
    assert checkpoint.steps(tmp_path) == [0, 10**12 - 1]
    assert names(tmp_path) == ["step-00000000", "step-999999999999"]
    assert checkpoint.read(tmp_path, 0).state["step"] == 0


def test_the_whole_of_a_refusal_to_commit(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.commit(tmp_path, -1, {}, {})
    target = str(tmp_path / "checkpoints" / "step--0000001")
    words = "its step must be from 0 to 1,000,000,000,000; nothing was written"
    assert str(caught.value) == f"cannot commit the checkpoint {target!r}: {words}"


def test_the_space_that_is_asked_for_is_that_of_the_files_and_a_mebibyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(durable, "require_space", lambda folder, *bytes: asked.append(bytes))
    commit(tmp_path, 10)
    folder = tmp_path / "checkpoints" / "step-00000010"
    files = sum((folder / name).stat().st_size for name in ("arrays.safetensors", "state.json"))
    assert asked == [(files, 1 << 20)]


def test_a_state_of_the_largest_size_is_kept(tmp_path: Path) -> None:
    state = {"x": "y" * (4_000_000 - len('{"x":""}'))}
    checkpoint.commit(tmp_path, 1, {}, state)
    assert checkpoint.read(tmp_path, 1).state == state


def test_where_none_verifies_the_newest_one_is_blamed(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20)
    damage(tmp_path, 10)
    (tmp_path / "checkpoints" / "step-00000020" / "state.json").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        checkpoint.newest(tmp_path)
    folder = tmp_path / "checkpoints"
    file = str(folder / "step-00000020" / "state.json")
    assert str(caught.value) == (
        f"no checkpoint in {str(folder)!r} verifies (the newest: cannot use {file!r}: it has 0 bytes, not "
        "those that its manifest says; go on from another checkpoint); bring back a copy of that folder, or "
        "start a new run"
    )


def test_steps_that_are_there_are_named_where_one_is_not(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20)
    folder = str(tmp_path / "checkpoints")
    told = f"there is no checkpoint of step 15 in {folder!r}; choose one that is there: 10, 20"
    with pytest.raises(CheckpointError) as caught:
        checkpoint.read(tmp_path, 15)
    assert str(caught.value) == told
    assert checkpoint.read(tmp_path, 10).path == tmp_path / "checkpoints" / "step-00000010"


def test_three_stay_unless_another_number_is_asked_for(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2, 3, 4, 5)
    assert checkpoint.prune(tmp_path) == [1, 2] and checkpoint.steps(tmp_path) == [3, 4, 5]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path, 1)

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StorageError, match=f"^cannot list {str(tmp_path / 'checkpoints')!r}: permission"):
        checkpoint.newest(tmp_path)


def test_the_whole_of_a_refusal_of_damage(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    file = tmp_path / "checkpoints" / "step-00000010" / "arrays.safetensors"
    damage(tmp_path, 10)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.read(tmp_path, 10)
    words = "its SHA-256 is not the one in its manifest: it is damaged or was changed"
    assert str(caught.value) == f"cannot use {str(file)!r}: {words}; go on from another checkpoint"
