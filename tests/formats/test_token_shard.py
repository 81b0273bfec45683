from __future__ import annotations

import io
import os
import random
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import ShardError, StorageError
from pantoum.formats import durable, token_shard

TOKENIZER, TEXT = bytes(range(32)), bytes(range(32, 64))


def written(path: Path, tokens: list[int] | np.ndarray, vocab_size: int = 300, size: int = 7) -> Path:
    array = np.asarray(tokens, np.uint32)
    blocks = [array[at : at + size] for at in range(0, len(array), size)]
    assert token_shard.write(path, blocks, vocab_size, TOKENIZER, lambda: TEXT) == len(array)
    return path


@pytest.mark.parametrize(("vocab_size", "dtype"), [(256, "u1"), (257, "<u2"), (70_000, "<u4")])
def test_tokens_come_back_in_the_narrowest_width(tmp_path: Path, vocab_size: int, dtype: str) -> None:
    tokens = [0, 255, vocab_size - 1] * 5
    shard = token_shard.open(written(tmp_path / "t", tokens, vocab_size), TOKENIZER, TEXT)
    assert shard.tokens.dtype == np.dtype(dtype)
    assert np.asarray(shard.tokens).tolist() == list(shard.tokens) == tokens
    assert (shard.count, len(shard.tokens), shard.vocab_size) == (15, 15, vocab_size)
    assert (shard.tokenizer_fingerprint, shard.text_fingerprint) == (TOKENIZER, TEXT)


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    data = written(tmp_path / "t", [1, 2, 3], 300).read_bytes()
    tokens = struct.pack("<3H", 1, 2, 3)
    table = struct.pack("<I", zlib.crc32(tokens))
    head = struct.pack("<8sHBBIQ32s32sI", b"PANTOUMT", 1, 2, 0, 300, 3, TOKENIZER, TEXT, zlib.crc32(table))
    assert data == head + struct.pack("<I", zlib.crc32(head)) + tokens + table
    assert len(head) == 92


def test_the_same_tokens_are_the_same_bytes_however_they_come(tmp_path: Path) -> None:
    one = written(tmp_path / "one", range(200), size=1).read_bytes()
    assert written(tmp_path / "two", range(200), size=90).read_bytes() == one


def test_an_empty_shard(tmp_path: Path) -> None:
    shard = token_shard.open(written(tmp_path / "t", []))
    assert shard.count == 0 and np.asarray(shard.tokens).shape == (0,) and shard.tokens[:5].shape == (0,)


def test_arrays_of_it_may_be_copied_and_cast(tmp_path: Path) -> None:
    shard = token_shard.open(written(tmp_path / "t", [1, 2, 3]))
    copied = np.array(shard.tokens, dtype=np.int32)
    copied[0] = 9
    assert copied.dtype == np.int32 and shard.tokens[0] == 1
    assert not np.asarray(shard.tokens).flags.writeable


def test_the_mib_that_was_changed_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "t", np.zeros(3 << 20, np.uint8), 200, size=1 << 19)
    with path.open("r+b") as file:
        file.seek(96 + (2 << 20))
        file.write(b"\x01")
    shard = token_shard.open(path)
    for read in (shard.verify, lambda: shard.tokens):
        with pytest.raises(ShardError, match="its MiB 2 does not match its checksum"):
            read()


@pytest.mark.parametrize("in_memory", [64 << 20, 10])
def test_a_shard_may_be_cut_while_it_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(token_shard, "LARGEST_IN_MEMORY", in_memory)
    path = written(tmp_path / "t", list(range(300)) * 9, 300)
    late, shard = token_shard.open(path), token_shard.open(path)
    tokens = shard.tokens
    os.truncate(path, 100)
    assert tokens.tolist() == list(range(300)) * 9
    assert shard.tokens is tokens
    with pytest.raises(ShardError, match="it was cut while it was in use; prepare the text again"):
        late.tokens.sum()
    assert [entry.name for entry in tmp_path.iterdir()] == ["t"]


def test_a_shard_replaced_after_it_was_opened_is_still_the_old_one(tmp_path: Path) -> None:
    shard = token_shard.open(written(tmp_path / "t", [1, 2, 3]))
    written(tmp_path / "t", [4, 5, 6])
    assert shard.tokens.tolist() == [1, 2, 3]


def test_a_copy_goes_elsewhere_where_the_folder_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_shard, "LARGEST_IN_MEMORY", 1)
    shard = token_shard.open(written(tmp_path / "t", [1, 2, 3]))
    real, asked = tempfile.TemporaryFile, []

    def refused(**given: Any) -> Any:
        asked.append(given)
        if given.get("dir") == tmp_path:
            raise PermissionError(13, "Permission denied")
        return real(**given)

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    assert shard.tokens.tolist() == [1, 2, 3]
    hidden = {"dir": tmp_path, "prefix": ".", "suffix": ".pantoum-tmp"}
    assert asked == [hidden, {"prefix": "pantoum-"}]


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "t", list(range(40)))
    whole = path.read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(ShardError):
            np.asarray(token_shard.open(path).tokens)


def test_every_cut_and_every_byte_more_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "t", list(range(40)))
    whole = path.read_bytes()
    for data in [*(whole[:end] for end in range(len(whole))), whole + b"\0"]:
        path.write_bytes(data)
        with pytest.raises(ShardError):
            token_shard.open(path)


def test_headers_that_lie_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "t", [1, 2, 3])
    whole = path.read_bytes()
    numbers = random.Random(1)
    for at, size in ((8, 2), (10, 1), (11, 1), (16, 8), (88, 4)):
        for value in [0, 3, 7, 2 ** (8 * size) - 1, numbers.getrandbits(8 * size)]:
            lie = value.to_bytes(size, "little")
            if lie == whole[at : at + size]:
                continue
            head = whole[:at] + lie + whole[at + size : 92]
            path.write_bytes(head + struct.pack("<I", zlib.crc32(head)) + whole[96:])
            with pytest.raises(ShardError):
                token_shard.open(path)


def test_another_text_or_tokenizer_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "t", [1, 2, 3])
    with pytest.raises(ShardError, match=r"made with another tokenizer; prepare the text again$"):
        token_shard.open(path, TEXT, TEXT)
    with pytest.raises(ShardError, match=r"made with another text; prepare the text again$"):
        token_shard.open(path, TOKENIZER, TOKENIZER)


@pytest.mark.parametrize("data", [b"", b"text\n" * 50, b"PANTOUMS" + bytes(200)])
def test_foreign_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(ShardError, match="is no token shard"):
        token_shard.open(tmp_path / "t")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="no such file"):
        token_shard.open(tmp_path / "none")
    with pytest.raises(ShardError, match="folder"):
        token_shard.open(tmp_path)


def test_a_number_outside_of_the_vocabulary_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="token 300 of a vocabulary of 300"):
        token_shard.write(tmp_path / "t", [np.array([300])], 300, TOKENIZER, lambda: TEXT)
    assert list(tmp_path.iterdir()) == []


def test_no_write_fails_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "t", [1, 2, 3])
    before, calls = path.read_bytes(), 0

    class Failing(durable.System):
        left = 0

        def _count(self) -> None:
            nonlocal calls
            calls += 1
            if calls > self.left:
                raise OSError(28, "No space left on device")

        def create(self, path: Path, mode: int) -> int:
            self._count()
            return super().create(path, mode)

        def write(self, descriptor: int, data: durable.Bytes) -> int:
            self._count()
            return super().write(descriptor, data)

        def fsync(self, descriptor: int) -> None:
            self._count()
            super().fsync(descriptor)

        def rename(self, source: Path, target: Path) -> None:
            self._count()
            super().rename(source, target)

    failing = Failing()
    monkeypatch.setattr(durable, "system", failing)
    for failing.left in range(7):
        calls = 0
        with pytest.raises(StorageError, match=f"^cannot write '{tmp_path}/t': the disk is full"):
            written(path, [4, 5, 6])
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_last_block_that_is_not_full_is_read_and_checked(tmp_path: Path) -> None:
    tokens = np.arange((1 << 20) + 77) % 251
    path = written(tmp_path / "t", tokens, 251, size=1 << 19)
    shard = token_shard.open(path)
    shard.verify()
    assert np.array_equal(shard.tokens, tokens)
    shard.verify()  # nothing is left to read
    with path.open("r+b") as file:
        file.seek(96 + (1 << 20) + 76)
        file.write(b"\xfa")
    with pytest.raises(ShardError, match=f"^{str(path)!r} is damaged: its MiB 1 does not match"):
        token_shard.open(path).verify()


def test_a_full_disk_under_the_copy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_shard, "LARGEST_IN_MEMORY", 1)
    shard = token_shard.open(written(tmp_path / "t", [1, 2, 3]))
    asked: list[Any] = []

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    def full(**given: Any) -> Any:
        asked.append(given.get("dir"))
        return Full()

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(StorageError, match=f"cannot copy tokens to {str(tmp_path)!r}: the disk is full"):
        shard.tokens.sum()
    assert asked == [tmp_path]


def test_a_copy_on_the_disk_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_shard, "LARGEST_IN_MEMORY", 1)
    tokens = token_shard.open(written(tmp_path / "t", [1, 2, 3])).tokens
    with pytest.raises(ValueError, match="WRITEABLE"):
        tokens.flags.writeable = True


def forged(path: Path, **fields: int) -> Path:
    """A shard whose header has other fields, and a checksum that matches."""
    names = ("magic", "version", "width", "zero", "vocab_size", "count", "tokenizer", "text", "check")
    whole = path.read_bytes()
    head = dict(zip(names, token_shard.HEAD.unpack_from(whole), strict=True))
    packed = token_shard.HEAD.pack(*{**head, **fields}.values())
    path.write_bytes(packed + struct.pack("<I", zlib.crc32(packed)) + whole[96:])
    return path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 3}, "its header does not match its checksum"),
        ({"zero": 1}, "its header does not match its checksum"),
        ({"count": (1 << 40) + 1}, "its header does not match its checksum"),
        ({"count": 1 << 40}, "it has 106 bytes, not 2,199,031,644,256"),
        ({"count": 4}, "it has 106 bytes, not 108"),
        ({"check": 7}, "its table of checksums has changed"),
        ({"vocab_size": 3}, "its MiB 0 holds a token that its vocabulary lacks"),
    ],
)
def test_the_whole_of_a_refusal(tmp_path: Path, fields: dict[str, int], words: str) -> None:
    path = forged(written(tmp_path / "t", [1, 2, 3]), **fields)
    with pytest.raises(ShardError) as caught:
        token_shard.open(path).verify()
    assert str(caught.value) == f"{str(path)!r} is damaged: {words}; prepare the text again"


def test_a_shard_of_another_version_is_told(tmp_path: Path) -> None:
    path = forged(written(tmp_path / "t", [1, 2, 3]), version=2)
    with pytest.raises(ShardError) as caught:
        token_shard.open(path)
    words = "is a token shard of version 2, known here is 1; use a newer pantoum, or prepare the text again"
    assert str(caught.value) == f"{str(path)!r} {words}"


@pytest.mark.parametrize("size", [1 << 20, 700_001, 3])
def test_blocks_of_any_size_make_the_same_table(tmp_path: Path, size: int) -> None:
    tokens = (np.arange((2 << 20) + 12_345) % 199).astype(np.uint8)
    blocks = [tokens[at : at + size] for at in range(0, len(tokens), size)] if size > 3 else [tokens]
    blocks.insert(1, tokens[:0])
    assert token_shard.write(tmp_path / "t", blocks, 200, TOKENIZER, lambda: TEXT) == len(tokens)
    mebibytes = [tokens[at : at + (1 << 20)].tobytes() for at in range(0, len(tokens), 1 << 20)]
    table = struct.pack("<3I", *map(zlib.crc32, mebibytes))
    assert (tmp_path / "t").read_bytes()[96 + len(tokens) :] == table
    assert np.array_equal(token_shard.open(tmp_path / "t").tokens, tokens)


def test_a_table_cut_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "t", [1, 2, 3])
    real, calls = token_shard.bounded.fill, []

    def cut(file: Any, buffer: memoryview) -> int:
        calls.append(1)
        return real(file, buffer) - (len(calls) == 2)

    monkeypatch.setattr(token_shard.bounded, "fill", cut)
    with pytest.raises(ShardError, match=r" is damaged: it was cut while being read; prepare"):
        token_shard.open(path)
    monkeypatch.setattr(token_shard.bounded, "fill", real)
    shard = token_shard.open(path)
    os.truncate(path, 98)
    with pytest.raises(ShardError, match=r" is damaged: it was cut while it was in use; prepare"):
        shard.verify()


def test_a_shard_is_as_readable_as_the_umask_says_and_told_where_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        path = written(tmp_path / "t", [1, 2, 3])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    named = f"^cannot write '{tmp_path}/t': the disk is full"
    monkeypatch.setattr(durable.system, "close", refuse)
    with pytest.raises(StorageError, match=named):
        written(path, [4])
    monkeypatch.setattr(durable.system, "fsync", refuse)
    with pytest.raises(StorageError, match=named):
        written(path, [4])
    monkeypatch.undo()
    monkeypatch.setattr(os, "lseek", refuse)
    with pytest.raises(StorageError, match=named):
        written(path, [4])
    monkeypatch.undo()
    assert token_shard.open(path).tokens.tolist() == [1, 2, 3]


SHARDS = [(200, (2 << 20) + 77), (300, (1 << 19) + 5), (70_000, 300_001), (300, 0)]
"""Sizes of a vocabulary and of a text: one, two and four bytes for each token."""


@pytest.mark.parametrize(("vocab_size", "count"), SHARDS)
def test_any_range_is_read_as_all_tokens_have_it(tmp_path: Path, vocab_size: int, count: int) -> None:
    tokens = np.arange(count) * 7 % vocab_size
    shard = token_shard.open(written(tmp_path / "t", tokens, vocab_size, size=1 << 19))
    block = (1 << 20) // shard.dtype.itemsize
    ranges = [
        (0, 0),
        (0, 1),
        (5, 9),
        (9, 5),
        (-4, 3),
        (0, count),
        (count - 1, count + 5),
        (count + 3, count + 9),
    ]
    ranges += [(block - 1, block + 1), (block, block + 3), (block - 3, block), (block - 5, count), (3, block)]
    for _ in range(2):
        for start, stop in ranges:
            found = shard.read(start, stop)
            assert found.dtype == shard.dtype
            assert np.array_equal(found, tokens[max(0, start) : max(0, stop)]), (start, stop)
        parts = list(shard.blocks())
        assert all(len(part) == block for part in parts[:-1]) and sum(map(len, parts)) == count
        assert count == 0 or np.array_equal(np.concatenate(parts), tokens)
        assert len(shard) == count and np.array_equal(shard.tokens, tokens)  # read from there from now on


def test_a_range_reads_no_other_part_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "t", np.zeros(3 << 20, np.uint8), 200, size=1 << 19)
    with path.open("r+b") as file:
        file.seek(96 + (1 << 20))
        file.write(b"\x01")
    shard, block = token_shard.open(path), 1 << 20
    for start, stop in ((0, block), (2 * block, 3 * block), (block, block), (7, 9)):
        assert shard.read(start, stop).tolist() == [0] * (stop - start)
    for start, stop in ((block - 1, block + 1), (block, block + 1), (2 * block - 1, 2 * block)):
        with pytest.raises(ShardError, match="its MiB 1 does not match its checksum"):
            shard.read(start, stop)
