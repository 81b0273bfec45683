"""What a file is, by its first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.data.forms import HEAD, form_of
from pantoum.data.prepare import differences, prepare
from pantoum.data.prepared_file import Prepared
from pantoum.errors import TextError
from pantoum.text.documents import ADVICE

GERMAN = "Der Mond ist aufgegangen, die goldnen Sternlein prangen.\n" * 9


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("a.txt")
        archive.addfile(info, io.BytesIO())
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (gzip.compress(b"abc", mtime=0), "a gzip file", "compressed"),
        (bz2.compress(b"abc"), "a bzip2 file", "compressed"),
        (lzma.compress(b"abc"), "an xz file", "compressed"),
        (b"\x28\xb5\x2f\xfd\x04", "a zstd file", "compressed"),
        (GERMAN.encode("utf-16"), "UTF-16", "encoded"),
        (GERMAN.encode("utf-16-le"), "UTF-16", "encoded"),
        (GERMAN.encode("utf-16-be"), "UTF-16", "encoded"),
        (GERMAN.encode("utf-32"), "UTF-32", "encoded"),
        (GERMAN.encode(), "a text", "text"),
        (b"\xef\xbb\xbfabc", "a text", "text"),
        (b"", "a text", "text"),
        (b"caf\xe9", "a text", "text"),
        (b"BZh is how a text may begin", "a text", "text"),
        (b"GIF89a is a format of images", "a text", "text"),
        (b"PAR1 four ftyp", "a text", "text"),
        (b'12345678{"user": 1}\n', "a text", "text"),
        (b"PANTOUMS are poems of returning lines.", "a text", "text"),
        (b"x" * 257 + b"ustar", "a text", "text"),
        (b"PANTOUMS\0\1\2", "a saved state", "refused"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document", "document"),
        (b"{\\rtf1\\ansi hello}", "an RTF document", "document"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "an image", "refused"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image", "refused"),
        (b"GIF89a\x01\0\x01\0", "an image", "refused"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "an image", "refused"),
        (b"\x7fELF\x02\x01\x01\0", "an executable program", "refused"),
        (b"MZ\x90\0\x03\0", "an executable program", "refused"),
        (tar(), "a tar archive", "refused"),
        (b"\x40\0\0\0\0\0\0\0" + b'{"__metadata__"', "a safetensors file", "refused"),
        (b"\0\1\2\3" * 9, "binary data", "binary"),
        (b"a\0b" * 30, "binary data", "binary"),
    ],
)
def test_the_first_bytes_say_what_a_file_is(data: bytes, name: str, kind: str) -> None:
    found = form_of(data[:HEAD], "file.txt")
    assert (found.name, found.kind) == (name, kind)


def test_markup_is_a_document_only_under_its_own_name() -> None:
    page = b"<!doctype html><p>A"
    assert form_of(page, "a.HTML").codec == "html" and form_of(page, "a.txt").kind == "text"
    assert form_of(b"no markup", "a.html").kind == "text"


def test_books_and_documents_are_known_by_their_media_type() -> None:
    for kind, codec in (("epub+zip", "epub"), ("vnd.oasis.opendocument.text", "odt")):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("mimetype", f"application/{kind}")
        assert form_of(file.getvalue()).codec == codec


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=300))
def test_utf8_without_zeros_is_a_text(text: str) -> None:
    assert form_of(text.encode(), "a.txt").kind == "text" or text.startswith(("%PDF-", "{\\rtf"))


POEM = "Es war, als hätt der Himmel die Erde still geküsst.\n" * 40
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    for name in ("a.txt", "z.txt"):
        (made / name).write_text(POEM)
    return made


def text_of(prepared: Prepared) -> str:
    return prepared.tokenizer.decode(prepared.train.tokens)


@pytest.mark.parametrize("tokens", ["auto", "characters", "words"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PNG, "m.x (an image)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "m.x (an old Office document)"),
        (b"\0\1\2" * 99, "m.x (binary data)"),
        (POEM.encode("latin-1"), "m.x"),
        (b"a" * 200_000 + b"\xe4", "m.x"),
    ],
)
def test_one_odd_file_in_a_folder_is_left_out_and_named(
    folder: Path, tmp_path: Path, data: bytes, reason: str, tokens: str
) -> None:
    (folder / "m.x").write_bytes(data)
    prepared = prepare([folder], tokens=tokens, out=tmp_path / "out", valid_fraction=0.0)
    assert prepared.tokenizer.kind == ("words" if tokens == "words" else "characters")
    assert text_of(prepared) == POEM * 2
    (note,) = [note for note in prepared.notes if "left out" in note]
    assert reason in note
    assert differences(prepared, [folder]) == []
    assert prepare([folder], tokens=tokens, out=tmp_path / "out", valid_fraction=0.0).notes == prepared.notes
    (folder / "n.txt").write_text("more")
    assert differences(prepared, [folder])


def test_many_odd_files_are_found_by_a_second_reading(folder: Path, tmp_path: Path) -> None:
    for number in range(5):
        (folder / f"b{number}.txt").write_bytes(POEM.encode("latin-1"))
    prepared = prepare([folder], out=tmp_path / "out", valid_fraction=0.0)
    (note,) = [note for note in prepared.notes if "left out" in note]
    assert "b0.txt" in note and "and 2 more" in note
    assert "to read b0.txt, give --encoding windows-1252 ('hätt') or " in note
    assert prepared.train.count == len(POEM) * 2 and differences(prepared, [folder]) == []


def test_bytes_read_a_folder_as_it_is(folder: Path, tmp_path: Path) -> None:
    (folder / "m.x").write_bytes(PNG)
    prepared = prepare([folder], tokens="bytes", out=tmp_path / "out", valid_fraction=0.0)
    assert prepared.train.count == len(PNG) + 2 * len(POEM.encode()) and prepared.notes == []
    assert differences(prepared, [folder]) == []


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(PNG)
    with pytest.raises(TextError, match=r"contains no text: a \(an image\); name a text file"):
        prepare([tmp_path / "in"], out=tmp_path / "out")
    (tmp_path / "in" / "a").write_bytes(POEM.encode("latin-1"))
    with pytest.raises(TextError, match=r"--encoding windows-1252 .*of 1 files, none is UTF-8"):
        prepare([tmp_path / "in"], out=tmp_path / "out")


def test_a_named_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(TextError, match="it is an image, not a text; give a text file"):
        prepare([tmp_path / "a.png"], out=tmp_path / "out")
    assert prepare([tmp_path / "a.png"], tokens="bytes", out=tmp_path / "out").tokenizer.kind == "bytes"


@pytest.mark.parametrize(
    ("text", "is_list"),
    [
        ("".join(f"name{n}\n" for n in range(200)), True),
        ("".join(f"CC(=O)N{n}c1ccc\n" for n in range(200)), True),
        ("".join(f"Anna {n}\n" for n in range(49)), False),
        (POEM * 3, False),
        ("def f():\n    return 1\n\n\n" * 90, False),
        ("".join(f"2026-01-01 12:00:{n} INFO started in {n} ms\n" for n in range(200)), False),
    ],
)
def test_a_list_of_short_lines_gets_advice(tmp_path: Path, text: str, is_list: bool) -> None:
    (tmp_path / "t").write_text(text)
    assert (ADVICE in prepare([tmp_path / "t"], out=tmp_path / "a").notes) == is_list
    assert ADVICE not in prepare([tmp_path / "t"], documents="lines", out=tmp_path / "b").notes


@pytest.mark.parametrize("name", ["a.txt", "z.txt"])
def test_a_text_of_many_characters_leaves_the_same_file_out_whatever_its_name(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 900))) * 3
    (folder / "m.txt").write_text(text)
    (folder / name).write_bytes(b"\xe4" * 500)
    prepared = prepare([folder], out=tmp_path / "out")
    assert [each["name"] for each in prepared.facts["texts"]] == ["m.txt"]
    assert prepared.tokenizer.kind == "bytes" and any(f"{name} " in note for note in prepared.notes)
