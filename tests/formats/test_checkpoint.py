"""Checkpoints: everything comes back, damage is walked past, and the last good one is never deleted."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import CheckpointError, StorageError
from pantoum.formats import checkpoint, container, durable

DTYPES = list(checkpoint.DTYPES)


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


def path_of(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}.safetensors"


def damage(run: Path, step: int, place: float = 0.5) -> None:
    data = bytearray(path_of(run, step).read_bytes())
    data[int(place * len(data))] ^= 1
    path_of(run, step).write_bytes(data)


def newest(run: Path) -> checkpoint.Checkpoint:
    found = checkpoint.newest(run)
    assert found is not None
    return found


def test_everything_comes_back(tmp_path: Path) -> None:
    path = checkpoint.commit(
        tmp_path, 7, arrays(7), {"rng": [2**70, None], "rate": 0.1, "nested": {"é": True}}
    )
    found = newest(tmp_path)
    assert found.step == 7 and found.path == path == path_of(tmp_path, 7) and found.notes == ()
    assert found.state == {"rng": [2**70, None], "rate": 0.1, "nested": {"é": True}}
    assert set(found.arrays) == set(arrays(7))
    for name, array in arrays(7).items():
        assert found.arrays[name].dtype == array.dtype and found.arrays[name].shape == array.shape
        assert np.array_equal(found.arrays[name], array) and not found.arrays[name].flags.writeable
    assert list((tmp_path / "checkpoints").iterdir()) == [path]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32), dtype=st.sampled_from(DTYPES), shape=st.lists(st.integers(0, 4), max_size=3)
)
def test_arrays_of_every_dtype_and_shape_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, dtype: str, shape: list[int]
) -> None:
    run = tmp_path_factory.getbasetemp() / "any"
    run.mkdir(exist_ok=True)
    array = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    checkpoint.commit(run, 1, {"a": array}, {})
    found = checkpoint.read(run, 1).arrays["a"]
    assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()


def test_the_library_opens_it_and_its_metadata_are_these(tmp_path: Path) -> None:
    path = checkpoint.commit(tmp_path, 7, arrays(7), {"b": 1, "a": [0.5, None]})
    found = safetensors.numpy.load_file(path)
    assert found.pop("state").tobytes() == b'{"a":[0.5,null],"b":1}'
    assert all(np.array_equal(found[name], array) for name, array in arrays(7).items())
    data = bytearray(path.read_bytes())
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    body = json.loads(header["__metadata__"]["pantoum"])
    digits = body.pop("sha256")
    assert body == {"format": "pantoum checkpoint", "step": 7, "version": 2, "went_back": 0}
    data[container.DIGITS] = b"0" * 64
    assert hashlib.sha256(data).hexdigest() == digits


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None and checkpoint.steps(tmp_path) == []
    assert checkpoint.prune(tmp_path, 5) == [] and checkpoint.clean_temporary(tmp_path) == []
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 3 .* existing one: none"):
        checkpoint.read(tmp_path, 3)


@pytest.mark.parametrize("place", [0.0, 0.01, 0.5, 0.99])
def test_the_newest_that_verifies_is_used_and_broken_ones_are_named(tmp_path: Path, place: float) -> None:
    commit(tmp_path, 10, 20, 30)
    damage(tmp_path, 30, place)
    path_of(tmp_path, 20).write_bytes(path_of(tmp_path, 20).read_bytes()[:-1])
    found = newest(tmp_path)
    assert found.step == 10 and found.state["step"] == 10
    assert len(found.notes) == 2 and "step-00000030" in "".join(found.notes)


def test_other_names_are_passed_over(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    folder = tmp_path / "checkpoints"
    for name in ("step-11.safetensors", "step-000000012.safetensors", "step-00000013.safetensors.bak"):
        path_of(tmp_path, 10).rename(folder / name)
        assert checkpoint.newest(tmp_path) is None
        (folder / name).rename(path_of(tmp_path, 10))


def test_a_renamed_checkpoint_is_not_another_step(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    path_of(tmp_path, 10).rename(path_of(tmp_path, 99))
    with pytest.raises(CheckpointError, match="it is the checkpoint of step 10, under another name"):
        checkpoint.newest(tmp_path)


def test_the_same_step_again_replaces_its_checkpoint(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    checkpoint.commit(tmp_path, 10, {}, {"second": True})
    assert checkpoint.read(tmp_path, 10).state == {"second": True} and checkpoint.steps(tmp_path) == [10]


def test_the_last_three_and_named_ones_stay(tmp_path: Path) -> None:
    commit(tmp_path, *range(10, 80, 10))
    assert checkpoint.prune(tmp_path, 70, also={20}) == [10, 30, 40]
    assert checkpoint.prune(tmp_path, 70, keep=1, also=[50]) == [20, 60]
    assert checkpoint.prune(tmp_path, 70, keep=9) == [] and checkpoint.steps(tmp_path) == [50, 70]


def test_a_step_below_others_is_the_newest_and_pruning_removes_the_others(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20, 30)
    checkpoint.commit(tmp_path, 20, arrays(20), {"which": "again"})
    found = newest(tmp_path)
    assert found.step == 20 and found.state == {"which": "again"} and checkpoint.steps(tmp_path)[-1] == 30
    commit(tmp_path, 25)
    assert newest(tmp_path).step == 25
    assert checkpoint.prune(tmp_path, 25, also={30}) == [30] and checkpoint.steps(tmp_path) == [10, 20, 25]
    commit(tmp_path, 15)
    commit(tmp_path, 17)
    assert newest(tmp_path).step == 17


def test_one_below_others_that_is_damaged_makes_nothing_void(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20, 30, 15)
    damage(tmp_path, 15, 0.9)
    found = newest(tmp_path)
    assert found.step == 30 and len(found.notes) == 1 and "step-00000015" in found.notes[0]


def test_damage_of_the_count_of_returns_cannot_hide_a_newer_one(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20)
    data = path_of(tmp_path, 10).read_bytes()
    path_of(tmp_path, 10).write_bytes(data.replace(b'went_back\\":0', b'went_back\\":9'))
    assert newest(tmp_path).step == 20


def test_temporary_files_are_ignored_and_removed(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    half = durable.temporary_beside(path_of(tmp_path, 20))
    half.write_bytes(b"half")
    model = durable.temporary_beside(tmp_path / "model.safetensors")
    model.write_bytes(b"half")
    assert newest(tmp_path).step == 10 and newest(tmp_path).notes == ()
    assert checkpoint.clean_temporary(tmp_path) == [model.name, half.name]
    assert list((tmp_path / "checkpoints").iterdir()) == [path_of(tmp_path, 10)]


@pytest.mark.parametrize(
    ("step", "content", "state", "words"),
    [
        (5, {"w": np.array([np.nan], np.float32)}, {}, "'w' holds values that are not finite"),
        (5, {"w": np.array([[np.inf]])}, {}, "not finite"),
        (5, {"w": np.array(["a"])}, {}, "'w' is str"),
        (5, {"a b": np.zeros(1)}, {}, "not plain"),
        (5, {"state": np.zeros(1)}, {}, "taken by the format"),
        (5, {}, {"rate": float("nan")}, "nan"),
        (5, {}, {1: 2}, "keys must be text"),
        (5, {}, {"x": object()}, "not JSON serializable"),
        (5, {}, {"x": "y" * 4_000_001}, "more than the 4,000,000 allowed"),
        (-1, {}, {}, "step must be from 0 to 1,000,000,000,000; nothing was written"),
        (10**12, {}, {}, "step must be"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    tmp_path: Path, step: int, content: Any, state: Any, words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        checkpoint.commit(tmp_path, step, content, state)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_full_disk_is_told_and_the_older_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path, 10)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable.system, "write", full)
    with pytest.raises(StorageError, match="the disk is full"):
        commit(tmp_path, 20)
    assert list((tmp_path / "checkpoints").iterdir()) == [path_of(tmp_path, 10)]


def with_valid_digest(path: Path, data: bytes) -> None:
    """Write a file whose hash is right, whatever else is wrong with it."""
    zeros = data[: container.DIGITS.start] + b"0" * 64 + data[container.DIGITS.stop :]
    digest = hashlib.sha256(zeros).hexdigest().encode()
    path.write_bytes(data[: container.DIGITS.start] + digest + data[container.DIGITS.stop :])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'version\\":2', b'version\\":1', "this pantoum reads version 2, not 1"),
        (b'step\\":10', b'step\\":11', "it is the checkpoint of step 11, under another name"),
        (b'{"step":10', b'["step":10', "Expecting ',' delimiter: line 1 column 8 (char 7)"),
    ],
)
def test_a_file_whose_hash_is_right_and_whose_content_is_not_is_refused(
    tmp_path: Path, old: bytes, new: bytes, words: str
) -> None:
    checkpoint.commit(tmp_path, 10, {}, {"step": 10})
    path = path_of(tmp_path, 10)
    assert old in path.read_bytes()
    with_valid_digest(path, path.read_bytes().replace(old, new))
    with pytest.raises(CheckpointError) as caught:
        checkpoint.read(tmp_path, 10)
    assert (
        str(caught.value)
        == f"cannot use the checkpoint {str(path)!r}: {words}; go on from another checkpoint"
    )


def test_a_model_is_no_checkpoint(tmp_path: Path) -> None:
    commit(tmp_path, 10)
    path_of(tmp_path, 10).write_bytes(safetensors.numpy.save({"a": np.zeros(2)}, {"pantoum": "{}"}))
    with pytest.raises(CheckpointError, match="it is not a checkpoint file of pantoum"):
        checkpoint.read(tmp_path, 10)


def test_the_least_and_the_largest_step_are_committed(tmp_path: Path) -> None:
    commit(tmp_path, 0, 10**12 - 1)
    assert checkpoint.steps(tmp_path) == [0, 10**12 - 1] and newest(tmp_path).step == 10**12 - 1
    assert path_of(tmp_path, 10**12 - 1).name == "step-999999999999.safetensors"


def test_a_state_of_the_largest_size_is_kept(tmp_path: Path) -> None:
    state = {"x": "y" * (4_000_000 - len('{"x":""}'))}
    checkpoint.commit(tmp_path, 1, {}, state)
    assert checkpoint.read(tmp_path, 1).state == state


def test_where_none_verifies_the_newest_one_is_blamed(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20)
    damage(tmp_path, 10)
    damage(tmp_path, 20)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.newest(tmp_path)
    assert str(caught.value) == (
        f"no checkpoint in {str(tmp_path / 'checkpoints')!r} is valid (the newest: cannot use the checkpoint "
        f"{str(path_of(tmp_path, 20))!r}: its SHA-256 does not match: it is truncated, damaged or "
        "was changed; go on from another checkpoint); restore a copy of that folder, or start a new run"
    )


def test_steps_that_are_there_are_named_where_one_is_not(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20)
    folder = str(tmp_path / "checkpoints")
    told = f"there is no checkpoint of step 15 in {folder!r}; choose an existing one: 10, 20"
    with pytest.raises(CheckpointError) as caught:
        checkpoint.read(tmp_path, 15)
    assert str(caught.value) == told


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path, 1)

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StorageError, match=f"^cannot list {str(tmp_path / 'checkpoints')!r}: permission"):
        checkpoint.newest(tmp_path)
