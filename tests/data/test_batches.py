"""The laws of stateful batches: streams go on for ever, and a cursor is all that is needed to go on."""

import itertools
import json
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.data.batches import StatefulBatches
from pantoum.errors import SettingError, ShardError, TextError
from pantoum.formats import durable, token_file
from pantoum.formats.container import OpenFile, Writer
from pantoum.formats.token_file import PREPARED, StoredTokens, of_file
from pantoum.text.numbers import smallest_dtype


@st.composite
def shapes(draw):
    """Sizes that fit: (number of tokens, B, T), up to a partial batch at the end."""
    B, T, nb = draw(st.integers(1, 6)), draw(st.integers(1, 7)), draw(st.integers(1, 5))
    return nb * B * T + 1 + draw(st.integers(0, B * T - 1)), B, T


@given(shapes(), st.integers(1, 13))
@settings(max_examples=60)
def test_every_row_goes_on_or_is_zeroed(shape, epochs):
    N, B, T = shape
    batches = StatefulBatches(np.arange(N), B, T)
    last_B = np.full(B, -2)
    for batch in itertools.islice(batches, epochs * batches.steps_per_epoch):
        assert (batch.reset_BT[:, 0] | (batch.inputs_BT[:, 0] == last_B + 1)).all()
        assert (np.diff(batch.inputs_BT, axis=1) == 1).all() and not batch.reset_BT[:, 1:].any()
        last_B = batch.inputs_BT[:, -1]


@given(shapes())
@settings(max_examples=60)
def test_each_target_is_the_next_token_of_the_text(shape):
    N, B, T = shape
    text = np.random.default_rng(N).permutation(N)
    follows = dict(itertools.pairwise(text.tolist()))
    for batch in itertools.islice(StatefulBatches(text, B, T), 12):
        inputs, targets = batch.inputs_BT.ravel().tolist(), batch.targets_BT.ravel().tolist()
        assert [follows[token] for token in inputs] == targets


@given(shapes(), st.integers(1, 9))
@settings(max_examples=60)
def test_an_epoch_has_every_token_once_and_zeroes_a_row_at_most_twice(shape, epochs):
    N, B, T = shape
    batches = StatefulBatches(range(N), B, T)
    for epoch in range(epochs):
        taken = list(itertools.islice(batches, batches.steps_per_epoch))
        assert {batch.epoch for batch in taken} == {epoch}
        assert taken[0].reset_BT[:, 0].all() and sum(batch.reset_BT for batch in taken).max() <= 2
        seen = np.sort(np.concatenate([batch.inputs_BT.ravel() for batch in taken]))
        assert (np.diff(seen) == 1).all() and len(seen) == batches.steps_per_epoch * B * T
        if epoch == 0:
            assert seen[0] == 0 and not any(batch.reset_BT.any() for batch in taken[1:])


def test_no_epoch_joins_the_places_or_cuts_the_chunks_of_another():
    batches = StatefulBatches(np.arange(8 * 40 * 5 + 30), 8, 5)
    joined, cuts = {}, set()
    for batch in itertools.islice(batches, 6 * 40):
        starts_B = batch.inputs_BT[:, 0]
        joined.setdefault(tuple(starts_B - starts_B[0]), set()).add(batch.epoch)
        cuts.add(starts_B[0] % 5)
    assert all(len(epochs) == 1 for epochs in joined.values()) and len(cuts) > 2


@given(shapes(), st.integers(0, 40), st.integers(0, 3))
@settings(max_examples=60)
def test_a_cursor_saved_and_restored_anywhere_gives_the_same_batches(shape, before, eos):
    N, B, T = shape
    text = np.random.default_rng(before).integers(0, 5, N)
    first = StatefulBatches(text, B, T, eos=eos)
    for _ in range(before):
        next(first)
    cursor = json.loads(json.dumps(first.cursor))
    second = StatefulBatches(text, B, T, cursor, eos=eos)
    for one, other in itertools.islice(zip(first, second, strict=False), 7):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert first.cursor == second.cursor


@given(shapes())
@settings(max_examples=40)
def test_documents_are_reset_before_their_first_token(shape):
    N, B, T = shape
    text = np.random.default_rng(N).integers(0, 3, N)
    plain, documents = StatefulBatches(text, B, T), StatefulBatches(text, B, T, eos=0)
    for one, other in itertools.islice(zip(plain, documents, strict=False), 9):
        assert (other.reset_BT == (one.reset_BT | (one.inputs_BT == 0))).all()


def test_types_and_unpacking():
    inputs_BT, targets_BT, reset_BT, epoch = next(StatefulBatches(list(range(13)), 3, 2))
    assert (inputs_BT.dtype, targets_BT.dtype, reset_BT.dtype) == (np.int32, np.int32, np.bool_)
    assert inputs_BT.tolist() == [[0, 1], [4, 5], [8, 9]] and epoch == 0


def test_a_memory_mapped_text_is_not_copied(tmp_path):
    np.arange(1000, dtype=np.uint16).tofile(tmp_path / "tokens")
    mapped = np.memmap(tmp_path / "tokens", np.uint16, "r+")
    batches = StatefulBatches(mapped, 4, 8)
    mapped[:] = 7
    batch = next(batches)
    assert (batch.inputs_BT == 7).all()
    assert type(batch.inputs_BT) is np.ndarray and batch.inputs_BT.flags.writeable


@pytest.mark.parametrize(
    ("N", "asked", "used"),
    [
        (65, (8, 8), (8, 8)),
        (64, (8, 8), (7, 8)),
        (9, (8, 8), (1, 8)),
        (8, (8, 8), (1, 7)),
        (2, (8, 8), (1, 1)),
    ],
)
def test_a_small_text_gets_a_smaller_batch_then_shorter_sequences(N, asked, used):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = StatefulBatches(np.arange(N), *asked)
    assert (batches.batch_size, batches.seq_len) == used
    said = [str(warning.message) for warning in caught]
    if asked == used:
        assert said == []
    else:
        assert said == [f"the text has {N} tokens, too few for batches of 8 x 8: using {used[0]} x {used[1]}"]
    assert next(batches).inputs_BT.shape == used


@pytest.mark.parametrize("tokens", [[], [7]])
def test_a_text_without_a_next_token_is_refused(tokens):
    with pytest.raises(TextError, match=f"the text has {len(tokens)} tokens?: at least 2"):
        StatefulBatches(np.array(tokens, np.int32), 1, 1)


@pytest.mark.parametrize("tokens", [np.zeros((4, 4), int), np.zeros(8), ["a", "b"]])
def test_what_is_not_a_row_of_whole_numbers_is_refused(tokens):
    with pytest.raises(SettingError, match="one-dimensional array of whole numbers"):
        StatefulBatches(tokens, 1, 1)


@pytest.mark.parametrize(
    ("argument", "sizes"),
    [
        ("batch_size", (0, 4)),
        ("seq_len", (4, 2.0)),
        ("seq_len", (4, True)),
    ],
)
def test_sizes_must_be_whole_and_positive(argument, sizes):
    with pytest.raises(SettingError, match=f"{argument} is .*at least 1"):
        StatefulBatches(np.arange(100), *sizes)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"tokens": 99}, "has another tokens than these batches, 100"),
        ({"batch_size": 3}, "has another batch_size than these batches, 2"),
        ({"epoch": -1}, "is outside the text"),
        ({"batch": 12}, "is outside the text"),
        ({"batch": "1"}, "must be a dict"),
    ],
)
def test_a_cursor_of_other_batches_is_refused(change, rule):
    cursor = {**StatefulBatches(np.arange(100), 2, 4).cursor, **change}
    with pytest.raises(SettingError, match=rule):
        StatefulBatches(np.arange(100), 2, 4, cursor)


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
    with pytest.raises(ShardError, match="was truncated while it was in use"):
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
    found = token_file.RangedRows(text, batch_size)
    starts_B = np.arange(batch_size) * (text.count // batch_size - 1)
    found.read(starts_B, 65)
    found.read(starts_B + 64, 65)
    held = sum(window.nbytes for _, window in found._windows)
    assert held <= max(token_file.MOST, token_file.LEAST * batch_size) + 65 * batch_size
