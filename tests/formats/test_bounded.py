"""Reading what someone else may have made: regular files only, bounded, one line when it cannot be."""

from __future__ import annotations

import errno
import gc
import os
import re
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from pantoum.errors import StateError
from pantoum.formats import bounded


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert bounded.read_small(tmp_path / "file", 3, StateError) == b"abc"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "there is no such file; check the spelling"),
        ("folder", "it is a folder; name a file in it"),
        ("pipe", "it is not a regular file; copy it to one first"),
        ("loop", f"{os.strerror(errno.ELOOP)}; use another file"),
        ("long/x", "a part of the path is a file, not a folder; check the spelling"),
        ("nul\0", "(embedded null byte|open: embedded null character in path); use another file"),
        (
            "long",
            "its 4 bytes are more than the 3 allowed for such a file; pantoum did not write it: use another",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line_of_the_formats_own_error(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "long").write_bytes(b"abcd")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StateError) as caught:
        bounded.read_small(tmp_path / name, 3, StateError)
    assert re.fullmatch(re.escape(f"cannot read {str(tmp_path / name)!r}: ") + words, str(caught.value))


def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(StateError, match="not a regular file"):
        bounded.read_small("/dev/zero", 3, StateError)


def test_a_file_cut_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    before = (tmp_path / "file").stat()

    def cut_meanwhile(descriptor: int) -> os.stat_result:
        os.truncate(tmp_path / "file", 1)
        return before

    monkeypatch.setattr(bounded.os, "fstat", cut_meanwhile)
    with pytest.raises(StateError, match="truncated while it was read"):
        bounded.read_small(tmp_path / "file", 3, StateError)


class Slow(FileIO):
    """Gives two bytes at a time, as a disk may."""

    def readinto(self, buffer: Any) -> int:
        return super().readinto(memoryview(buffer)[:2]) or 0


@pytest.mark.parametrize(("size", "count"), [(7, 7), (6, 6), (9, 7)])
def test_a_buffer_is_filled_however_few_bytes_come_at_a_time(tmp_path: Path, size: int, count: int) -> None:
    (tmp_path / "file").write_bytes(b"abcdefg")
    buffer = bytearray(size)
    with Slow(str(tmp_path / "file")) as file:
        assert bounded.fill(file, memoryview(buffer)) == count
    assert bytes(buffer[:count]) == b"abcdefg"[:count]


def test_what_was_read_keeps_no_descriptor_and_closes_none_of_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    with bounded.opened(tmp_path / "file", StateError) as (file, _):
        number = file.fileno()
    other = os.open(tmp_path / "file", os.O_RDONLY)
    assert other == number, "it was given back"
    del file
    gc.collect()
    assert os.read(other, 3) == b"abc"
    os.close(other)
