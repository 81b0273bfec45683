"""Rows that are read from a prepared text range by range are those of its tokens as one array."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.data.batches import StatefulBatches
from pantoum.errors import ShardError
from pantoum.formats import durable, token_file
from pantoum.formats.container import OpenFile, Writer
from pantoum.formats.token_file import PREPARED, StoredTokens, of_file
from pantoum.text.numbers import smallest_dtype

MIB = 1 << 20


def stored(path: Path, tokens: np.ndarray, vocab_size: int) -> StoredTokens:
    with durable.new_file(path) as file:
        writer = Writer(file, PREPARED)
        writer.add("train", [tokens], smallest_dtype(vocab_size))
        writer.finish({"vocab_size": vocab_size, "tokenizer": "", "train": ""})
    return of_file(OpenFile(path, PREPARED), "train")


@pytest.fixture
def ranged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text fits into memory."""
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 0)


@settings(max_examples=40)
@given(st.data())
def test_batches_of_ranges_are_batches_of_the_array(data: st.DataObject) -> None:
    vocab_size = data.draw(st.sampled_from([200, 300, 70_000]))
    count = data.draw(st.integers(2, 3000))
    B, T = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(token_file, "LARGEST_IN_MEMORY", 0)
        patch.setattr(token_file, "BLOCK", 1 << data.draw(st.integers(6, 10)))
        patch.setattr(token_file, "LARGEST", 1 << data.draw(st.integers(2, 6)))
        patch.setattr(token_file, "LEAST", 4)
        patch.setattr(token_file, "MOST", data.draw(st.integers(1, 500)))
        patch.setattr("warnings.warn", lambda *given, **named: None)
        tokens = np.random.default_rng(count).integers(0, vocab_size, count).astype(np.uint32)
        text = stored(Path(folder, "t"), tokens, vocab_size)
        one, other = StatefulBatches(tokens, B, T, eos=3), StatefulBatches(text, B, T, eos=3)
        for _ in range(data.draw(st.integers(0, 30))):
            next(one)
        other = StatefulBatches(text, B, T, one.cursor, eos=3)
        for a, b in itertools.islice(zip(one, other, strict=False), 25):
            assert all(
                np.array_equal(x, y) and np.asarray(x).dtype == np.asarray(y).dtype
                for x, y in zip(a, b, strict=True)
            )
        assert one.cursor == other.cursor


@pytest.mark.usefixtures("ranged")
def test_a_shard_that_is_cut_while_batches_are_read_is_an_error_and_no_crash(tmp_path: Path) -> None:
    batches = StatefulBatches(stored(tmp_path / "t", np.arange(3 * MIB) % 251, 251), 2, 1 << 15)
    assert next(batches).inputs_BT[0, 5] == 5
    os.truncate(tmp_path / "t", 1000)
    with pytest.raises(ShardError, match="was cut while it was in use"):
        for _ in range(60):
            next(batches)


@pytest.mark.usefixtures("ranged")
@pytest.mark.parametrize("batch_size", [1, 16, 100, 3000])
def test_windows_have_a_bound_however_many_rows_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(token_file, "BLOCK", 1 << 14)
    monkeypatch.setattr(token_file, "LARGEST", 1 << 14)
    monkeypatch.setattr(token_file, "LEAST", 1 << 10)
    monkeypatch.setattr(token_file, "MOST", 1 << 18)
    text = stored(tmp_path / "t", np.arange(8 * MIB) % 251, 251)
    found = token_file.RangedRows(text, batch_size, text.count // batch_size - 1)
    found.columns(0, 64)
    found.columns(64, 128)
    held = sum(window.nbytes for _, window in found._windows)
    assert held <= max(token_file.MOST, token_file.LEAST * batch_size) + 65 * batch_size
