"""Reading what someone else may have made: regular files only, bounded, one line when it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pantoum.errors import StateError
from pantoum.formats import bounded


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert bounded.read_small(tmp_path / "file", 3, StateError) == b"abc"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "no such file; check"),
        ("folder", "it is a folder"),
        ("pipe", "not a regular file"),
        ("long", "4 bytes are more than the 3"),
        ("long/x", "a part of the path is a file"),
        ("nul\0", "use another"),
    ],
)
def test_what_cannot_be_read_is_one_line_of_the_formats_own_error(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "long").write_bytes(b"abcd")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StateError, match=words) as caught:
        bounded.read_small(tmp_path / name, 3, StateError)
    assert "\n" not in str(caught.value) and name.split("\0")[0] in str(caught.value)


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
    with pytest.raises(StateError, match="cut while being read"):
        bounded.read_small(tmp_path / "file", 3, StateError)
