"""Stored tokens: read by ranges, verified when they are opened, and never the end of the process."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import ShardError, StorageError
from pantoum.formats import container, durable, token_file
from pantoum.formats.container import OpenFile, Writer
from pantoum.formats.token_file import PREPARED, StoredTokens, held, of_file
from pantoum.text.numbers import smallest_dtype

MIB = 1 << 20


def written(path: Path, tokens: Any, vocab_size: int = 300, size: int = 7, says: Any = 300) -> Path:
    """A file with these tokens, which come in blocks of ``size``."""
    tokens = np.asarray(tokens, np.uint32)
    blocks = [tokens[at : at + size] for at in range(0, len(tokens), size)]
    with durable.new_file(path) as file:
        writer = Writer(file, PREPARED)
        assert writer.add("train", blocks, smallest_dtype(vocab_size)) == len(tokens)
        writer.add("about", [np.frombuffer(b'{"a":1}', np.uint8)], np.dtype("u1"))
        writer.finish({"vocab_size": says, "tokenizer": "aa", "train": "bb"})
    return path


def stored(path: Path, tokens: Any, vocab_size: int = 300, size: int = 7) -> StoredTokens:
    return of_file(OpenFile(written(path, tokens, vocab_size, size, vocab_size), PREPARED), "train")


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(256, "u1"), (257, "<u2"), (65_536, "<u2"), (65_537, "<u4")]
)
def test_tokens_come_back_in_the_narrowest_width(tmp_path: Path, vocab_size: int, dtype: str) -> None:
    wanted = [0, 1, vocab_size - 1, 5, 0]
    found = stored(tmp_path / "t", wanted, vocab_size, 2)
    assert found.dtype == found.tokens.dtype == np.dtype(dtype) and found.tokens.tolist() == wanted
    assert (found.count, len(found), found.vocab_size) == (5, 5, vocab_size)
    assert (found.tokenizer_fingerprint, found.text_fingerprint) == (b"\xaa", b"\xbb")
    assert not found.tokens.flags.writeable


def test_any_safetensors_tool_opens_it_and_blocks_do_not_show(tmp_path: Path) -> None:
    files = [written(tmp_path / str(size), range(50), 300, size).read_bytes() for size in (1, 7, 50)]
    assert files[0] == files[1] == files[2]
    found = safetensors.numpy.load_file(tmp_path / "7")
    assert found["train"].tolist() == list(range(50)) and found["about"].tobytes() == b'{"a":1}'
    content = container.read(tmp_path / "7", PREPARED)
    assert content.body["vocab_size"] == 300 and content.arrays["train"].tolist() == list(range(50))


@settings(max_examples=30)
@given(st.sampled_from([200, 300, 70_000]), st.integers(0, 900), st.data())
def test_any_range_is_read_as_all_tokens_have_it(vocab_size: int, count: int, data: st.DataObject) -> None:
    tokens = np.random.default_rng(count).integers(0, vocab_size, count)
    start, stop = data.draw(st.integers(-5, count + 5)), data.draw(st.integers(-5, count + 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_file, "LARGEST_IN_MEMORY", data.draw(st.sampled_from([0, 1 << 20])))
        patch.setattr(token_file, "BLOCK", 64)
        found = held(iter([tokens[: count // 3], tokens[count // 3 :]]), vocab_size)
        for _ in range(2):
            assert found.read(start, stop).tolist() == tokens[max(0, start) : max(0, stop)].tolist()
            assert np.array_equal(np.concatenate([[], *found.blocks()]), tokens)
            assert count == 0 or np.array_equal(found.tokens, tokens)


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path: Path) -> None:
    data = written(tmp_path / "t", range(200)).read_bytes()
    places = [*range(0, 400, 3), *range(400, len(data), 11), len(data) - 1]
    broken = [data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] for at in places]
    for each in [*broken, *(data[:at] for at in places), data + b"x", b"", b"a text"]:
        (tmp_path / "t").write_bytes(each)
        with pytest.raises(ShardError, match="prepare the text again") as caught:
            OpenFile(tmp_path / "t", PREPARED)
        assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for name in ("missing", ""):
        with pytest.raises(ShardError, match=r"cannot read .*(no such file|it is a folder)"):
            OpenFile(tmp_path / name, PREPARED)


@pytest.mark.parametrize("says", [70_000, None])
def test_tokens_that_are_not_of_their_vocabulary_are_refused(tmp_path: Path, says: int | None) -> None:
    with pytest.raises(ShardError, match="are not those of its vocabulary"):
        of_file(OpenFile(written(tmp_path / "t", range(9), says=says), PREPARED), "train")


def test_a_file_that_is_cut_while_it_is_in_use_is_an_error_of_the_reading(tmp_path: Path) -> None:
    found = stored(tmp_path / "t", range(200))
    assert found.read(190, 195).tolist() == [190, 191, 192, 193, 194]
    os.truncate(tmp_path / "t", 1200)
    assert found.read(0, 9).tolist() == list(range(9))
    with pytest.raises(ShardError, match="it was truncated while it was in use; prepare the text again"):
        found.read(190, 195)


def test_a_file_that_is_replaced_while_it_is_in_use_is_still_the_old_one(tmp_path: Path) -> None:
    found = stored(tmp_path / "t", range(200))
    written(tmp_path / "t", [7] * 200)
    assert found.tokens.tolist() == list(range(200))


def test_a_number_that_appears_while_the_file_is_in_use_is_never_used(tmp_path: Path) -> None:
    found = stored(tmp_path / "t", range(200))
    with (tmp_path / "t").open("r+b") as file:
        file.seek(1024)
        file.write(b"\xff\xff")
    with pytest.raises(ShardError, match="was changed while it was in use"):
        found.read(0, 5)


def test_a_reading_that_the_disk_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored(tmp_path / "t", range(200))

    def broken(*given: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pantoum.formats.bounded.fill", broken)
    with pytest.raises(ShardError, match=r"cannot read '.*t': the disk reported an error; check the disk"):
        found.read(0, 10)


def test_a_large_text_is_mapped_from_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 100)
    found = stored(tmp_path / "t", range(200))
    tokens = found.tokens
    os.truncate(tmp_path / "t", 0)
    assert not found.fits_memory and tokens.tolist() == list(range(200)) == found.read(0, 200).tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_full_disk_under_the_copy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 100)

    class Full:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *ended: object) -> None:
            pass

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(token_file.tempfile, "TemporaryFile", lambda **given: Full())
    with pytest.raises(StorageError, match=r"cannot copy tokens to .*the disk is full"):
        _ = stored(tmp_path / "t", range(200)).tokens


def test_an_interrupted_writing_leaves_the_old_file(tmp_path: Path) -> None:
    before = written(tmp_path / "t", range(50)).read_bytes()

    def blocks() -> Iterator[Any]:
        yield np.arange(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), durable.new_file(tmp_path / "t") as file:
        Writer(file, PREPARED).add("train", blocks(), np.dtype("u1"))
    assert (tmp_path / "t").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_large_file_is_written_opened_and_read_in_little_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        blocks = (np.full(MIB // 4, number, np.uint32) for number in range(60))
        with durable.new_file(tmp_path / "t") as file:
            writer = Writer(file, PREPARED)
            writer.add("train", blocks, np.dtype("<u4"))
            writer.finish({"vocab_size": 70_000, "tokenizer": "", "train": ""})
        found = of_file(OpenFile(tmp_path / "t", PREPARED), "train")
        assert found.read(15 * MIB - 2, 15 * MIB).tolist() == [59, 59]
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
