"""A text as it comes: what is there is handed on, and what cannot be opened is refused at once."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from pantoum.data import text_reader
from pantoum.errors import TextError


def test_a_file_comes_in_parts_that_make_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_reader, "PART", 7)
    (tmp_path / "a.txt").write_bytes(bytes(range(100)))
    parts = list(text_reader.parts(tmp_path / "a.txt"))
    assert b"".join(parts) == bytes(range(100)) and max(map(len, parts)) <= 7
    (tmp_path / "empty.txt").write_bytes(b"")
    assert list(text_reader.parts(tmp_path / "empty.txt")) == []


def test_what_cannot_be_opened_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(TextError, match="cannot read"):
            text_reader.parts(path)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(TextError, match="stdin is closed"):
        text_reader.parts("-")


@pytest.mark.parametrize("part", [1, 2, 3, 7])
def test_a_byte_order_mark_is_left_out_and_that_is_said(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "PART", part)
    mark = b"\xef\xbb\xbf"
    for data in (b"", mark[:1], mark[:2], mark[:2] + b"a", b"a" + mark):
        (tmp_path / "a.txt").write_bytes(data)
        assert b"".join(text_reader.parts(tmp_path / "a.txt")) == data
    (tmp_path / "a.txt").write_bytes(mark + b"caf\xc3\xa9" + mark)
    with pytest.warns(UserWarning, match=r"a\.txt begins with a byte-order mark"):
        assert b"".join(text_reader.parts(tmp_path / "a.txt")) == b"caf\xc3\xa9" + mark


def test_stdin_hands_on_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with io.TextIOWrapper(io.BufferedReader(io.FileIO(reading))) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        parts = text_reader.parts("-")
        os.write(writing, b"a line\n")
        assert next(parts) == b"a line\n"
        later = threading.Timer(0.05, lambda: (os.write(writing, b"more"), os.close(writing)))
        later.start()
        assert list(parts) == [b"more"]
        later.join()
