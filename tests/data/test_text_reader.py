from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.data import text_reader
from pantoum.data.prepare import prepare
from pantoum.data.sources import Source
from pantoum.data.text_reader import Measure, TextReader, file_hash
from pantoum.errors import TextError
from pantoum.text.documents import mark
from pantoum.texts import GivenText, as_files


def source(path: Path, data: bytes) -> Source:
    path.write_bytes(data)
    return Source(path.name, path, len(data), 0)


def test_characters_cut_by_blocks_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "aé中😀" * 5
    for size in range(1, 9):
        monkeypatch.setattr(text_reader, "BLOCK", size)
        reader = TextReader([source(tmp_path / "t", text.encode())], "utf-8", None)
        assert "".join(reader.blocks()) == text
        assert reader.files[0]["sha256"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("data", "offset", "byte"),
    [
        (b"ab\xffcd", 2, 0xFF),
        (b"abcdefgh\xc3(", 8, 0xC3),
        (b"abc\xe4\xb8", 3, 0xE4),
        (b"\xef\xbb\xbfabcd\x80", 7, 0x80),
        (b"\xed\xa0\x80", 0, 0xED),
        (b"abc\xe4\xb8d", 3, 0xE4),
    ],
)
@pytest.mark.parametrize("size", [3, 4, 100])
def test_the_first_byte_that_is_not_utf8_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, data: bytes, offset: int, byte: int
) -> None:
    monkeypatch.setattr(text_reader, "BLOCK", size)
    reader = TextReader([source(tmp_path / "t", data)], "utf-8", None)
    with pytest.raises(TextError, match=f"/t' is not UTF-8: byte 0x{byte:02x} at offset {offset}; "):
        list(reader.blocks())


@pytest.mark.parametrize("size", [1, 5])
def test_a_text_that_changes_while_it_is_read_is_an_error(tmp_path: Path, size: int) -> None:
    changed = Source("t", source(tmp_path / "t", b"abc").path, size, 0)
    with pytest.raises(TextError, match=f"had {size} bytes, but 3 were read: it changed while it was read"):
        list(TextReader([changed], "utf-8", None).blocks())


def test_files_end_documents(tmp_path: Path) -> None:
    sources = [source(tmp_path / name, name.encode()) for name in "ab"]
    assert "".join(TextReader(sources, "utf-8", "files").blocks()) == "a\udfffb\udfff"


def test_a_read_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def fileno(self) -> int:
            return 0

        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(text_reader, "open_source", lambda _: Broken())
    monkeypatch.delattr(text_reader.os, "posix_fadvise", raising=False)
    with pytest.raises(TextError, match="the disk reported an error; check the disk"):
        file_hash(source(tmp_path / "t", b"abc"))


@settings(max_examples=80)
@given(st.text(st.sampled_from("a\n é中😀\r"), max_size=40), st.sampled_from([None, "lines", "blank-lines"]))
def test_characters_and_bytes_are_those_that_decoding_gives_back(text: str, documents: str | None) -> None:
    marked = mark(text, documents)
    back = marked.replace("\udfff", "\n\n")
    measure = Measure("utf-8", documents)
    assert list(measure.through([marked[:7], marked[7:]])) == [marked[:7], marked[7:]]
    assert (measure.characters, measure.bytes) == (len(back), len(back.encode()))
    latin = Measure("latin-1", documents)
    latin.add(mark(text.encode().decode("latin-1"), documents))
    assert (latin.characters, latin.bytes) == (len(back), len(back.encode()))


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


ODD = [
    "%PDF-1.7 is how a document may begin",
    "{\\rtf1 is how notes begin",
    "PK\x03\x04 are the letters of Phil Katz",
    "GIF89a\0 has a zero byte",
    "w\0i\0d\0e\0 \0l\0e\0t\0t\0e\0r\0s\0",
]


def read(text: GivenText, documents: str | None, folder: Path) -> str:
    with as_files(text, documents) as names:
        found = prepare(names, tokens="characters", documents=documents, valid_fraction=0.0, out=folder)
    assert not any("left out" in note for note in found.notes)
    return found.tokenizer.decode(np.asarray(found.train.tokens))


@pytest.mark.parametrize("documents", [None, "lines", "blank-lines", "files"])
@pytest.mark.parametrize("odd", ODD)
def test_strings_are_text_whatever_they_begin_with(tmp_path: Path, odd: str, documents: str | None) -> None:
    found = read([odd, "The cat sat", odd, "on the mat"], documents, tmp_path)
    assert found.count(odd) == 2 and "The cat sat" in found and "on the mat" in found
    assert found.startswith(odd)


def test_a_string_and_a_file_of_strings_are_text(tmp_path: Path) -> None:
    assert read(ODD[0], None, tmp_path / "a") == read(io.StringIO(ODD[0]), None, tmp_path / "b") == ODD[0]


def test_bytes_are_read_as_a_file_of_them(tmp_path: Path) -> None:
    data = gzip.compress(b"The cat sat", mtime=0)
    assert read(data, None, tmp_path / "a") == read(io.BytesIO(data), None, tmp_path / "b") == "The cat sat"


@pytest.mark.parametrize("text", ["", b""])
def test_a_message_names_no_temporary_file(tmp_path: Path, text: GivenText) -> None:
    with pytest.raises(TextError, match="there is nothing in 'text'; give a text"):
        read(text, None, tmp_path)
