"""What a file is, by its first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.data.forms import HEAD, form_of

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
