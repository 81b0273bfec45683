from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.data import text_reader
from pantoum.data.sources import Source
from pantoum.data.text_reader import Measure, TextReader, file_hash
from pantoum.errors import TextError
from pantoum.text.documents import mark


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
    with pytest.raises(TextError, match=f"had {size} bytes and gave 3: it changed while it was read"):
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
    with pytest.raises(TextError, match="Input/output error; use another file"):
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
