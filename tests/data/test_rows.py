"""Rows that are read from a token shard range by range are those of its tokens as one array."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.data import batches
from pantoum.data.batches import StatefulBatches
from pantoum.errors import ShardError
from pantoum.formats import token_shard
from pantoum.formats.token_shard import Shard

MIB = 1 << 20


def shard_of(path: Path, tokens: np.ndarray, vocab_size: int) -> Shard:
    token_shard.write(path, [tokens], vocab_size, bytes(32), lambda: bytes(32))
    return token_shard.open(path)


@pytest.fixture
def ranged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shard fits into memory."""
    monkeypatch.setattr(token_shard, "LARGEST_IN_MEMORY", 0)


@settings(max_examples=40)
@given(st.data())
def test_batches_of_ranges_are_batches_of_the_array(data: st.DataObject) -> None:
    vocab_size = data.draw(st.sampled_from([200, 300, 70_000]))
    count = data.draw(st.integers(2, 3000))
    B, T = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(token_shard, "LARGEST_IN_MEMORY", 0)
        patch.setattr(token_shard, "BLOCK", 1 << data.draw(st.integers(6, 10)))
        patch.setattr(batches, "LARGEST", 1 << data.draw(st.integers(2, 6)))
        patch.setattr(batches, "LEAST", 4)
        patch.setattr(batches, "MOST", data.draw(st.integers(1, 500)))
        patch.setattr("warnings.warn", lambda *given, **named: None)
        tokens = np.random.default_rng(count).integers(0, vocab_size, count).astype(np.uint32)
        shard = shard_of(Path(folder, "t"), tokens, vocab_size)
        one, other = StatefulBatches(tokens, B, T, eos=3), StatefulBatches(shard, B, T, eos=3)
        for _ in range(data.draw(st.integers(0, 30))):
            next(one)
        other = StatefulBatches(shard, B, T, one.cursor, eos=3)
        for a, b in itertools.islice(zip(one, other, strict=False), 25):
            assert all(
                np.array_equal(x, y) and np.asarray(x).dtype == np.asarray(y).dtype
                for x, y in zip(a, b, strict=True)
            )
        assert one.cursor == other.cursor


@pytest.mark.usefixtures("ranged")
def test_any_range_and_all_blocks_are_the_tokens(tmp_path: Path) -> None:
    tokens = np.random.default_rng(1).integers(0, 1000, MIB + 77).astype(np.uint16)
    shard = shard_of(tmp_path / "t", tokens, 1000)
    for start, stop in ((0, 0), (5, 5), (0, 9), (MIB // 2 - 3, MIB // 2 + 3), (MIB, MIB + 500), (-4, 7)):
        assert np.array_equal(shard.read(start, stop), tokens[max(0, start) : stop])
    assert np.array_equal(np.concatenate(list(shard.blocks())), tokens)
    whole = shard.tokens
    assert np.array_equal(shard.read(3, 50), whole[3:50]) and np.array_equal(shard.read(-9, 2), whole[:2])


@pytest.mark.usefixtures("ranged")
def test_only_the_mib_that_is_read_is_verified_and_at_each_reading(tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "t", np.arange(3 * MIB) % 251, 251)
    with (tmp_path / "t").open("r+b") as file:
        file.seek(96 + 2 * MIB)
        file.write(b"\xfb")
    assert shard.read(0, 2 * MIB)[-1] == (2 * MIB - 1) % 251
    for _ in range(2):
        with pytest.raises(ShardError, match="its MiB 2 does not match its checksum"):
            shard.read(2 * MIB + 500, 2 * MIB + 501)


@pytest.mark.usefixtures("ranged")
def test_a_shard_that_is_cut_while_batches_are_read_is_an_error_and_no_crash(tmp_path: Path) -> None:
    batches = StatefulBatches(shard_of(tmp_path / "t", np.arange(3 * MIB) % 251, 251), 2, 1 << 15)
    assert next(batches).inputs_BT[0, 5] == 5
    os.truncate(tmp_path / "t", 1000)
    with pytest.raises(ShardError, match="was cut while it was in use"):
        for _ in range(60):
            next(batches)


@pytest.mark.usefixtures("ranged")
def test_what_the_disk_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = shard_of(tmp_path / "t", np.arange(300) % 251, 251)

    def broken(*given: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pantoum.formats.bounded.fill", broken)
    with pytest.raises(ShardError, match=r"cannot read '.*t': Input/output error; check the disk"):
        shard.read(0, 10)


@pytest.mark.usefixtures("ranged")
@pytest.mark.parametrize("batch_size", [1, 16, 100, 3000])
def test_windows_have_a_bound_however_many_rows_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(token_shard, "BLOCK", 1 << 14)
    monkeypatch.setattr(batches, "LARGEST", 1 << 14)
    monkeypatch.setattr(batches, "LEAST", 1 << 10)
    monkeypatch.setattr(batches, "MOST", 1 << 18)
    shard = shard_of(tmp_path / "t", np.arange(8 * MIB) % 251, 251)
    found = batches.RangedRows(shard, batch_size, shard.count // batch_size - 1)
    found.columns(0, 64)
    found.columns(64, 128)
    held = sum(window.nbytes for _, window in found._windows)
    assert held <= max(batches.MOST, batches.LEAST * batch_size) + 65 * batch_size
