"""PDF and RTF documents, by libraries of an extra, in a process whose memory and time are bounded."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import pytest

from pantoum.data import forms
from pantoum.data.prepare import prepare
from pantoum.errors import TextError

RTF = r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 One \b line\b0.\par M\'fcller \u8364?\par}"
LINES = "One line.\nMüller €\n"


def pdf(content: bytes, packed: int = 0) -> bytes:
    """A document of one page."""
    for _ in range(packed):
        content = zlib.compress(content, 9)
    filters = b"/Filter [" + b"/FlateDecode " * packed + b"] " if packed else b""
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< %s/Length %d >>\nstream\n%s\nendstream" % (filters, len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    made, places = b"%PDF-1.5\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return made + (
        b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (table, len(made))
    )


PAGE = b"BT /F1 12 Tf 14 TL 72 720 Td (One line.) Tj T* (And \\374mlaut.) Tj T* ET"


def text_of(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    prepared = prepare([folder / name], tokens="characters", out=folder / "out", valid_fraction=0.0)
    return prepared.tokenizer.decode(prepared.train.tokens)


@pytest.mark.parametrize(
    "module, name, data, lines",
    [
        ("striprtf", "a.rtf", RTF.encode(), LINES),
        ("pypdf", "a.pdf", pdf(PAGE), "One line.\nAnd ümlaut.\n"),
        ("pypdf", "b.pdf", pdf(PAGE, packed=1), "One line.\nAnd ümlaut.\n"),
    ],
)
def test_the_text_is_read(tmp_path: Path, module: str, name: str, data: bytes, lines: str) -> None:
    pytest.importorskip(module)
    assert text_of(tmp_path, name, data) == lines


@pytest.mark.parametrize(
    "data, said",
    [
        (pdf(PAGE)[:300], "damaged"),
        (b"%PDF-1.5\n", "damaged"),
        (pdf(b""), "its pages may be images"),
        (pdf(PAGE).replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]"), ""),  # pages that hold themselves
        (pdf(b"( ) Tj " * 4_000_000, packed=2), ""),  # 28 MB in some hundred bytes
    ],
)
def test_a_hostile_document_is_refused_in_one_line_that_names_it(
    tmp_path: Path, data: bytes, said: str
) -> None:
    pytest.importorskip("pypdf")
    with pytest.raises(TextError) as refused:
        text_of(tmp_path, "h.pdf", data)
    message = str(refused.value)
    assert message.startswith(f"cannot read '{tmp_path / 'h.pdf'}' (a PDF document): it ") and said in message
    assert "\n" not in message and len(message) < 600


@pytest.mark.skipif(sys.platform != "linux", reason="the bound on memory is of Linux")
def test_memory_is_bounded(tmp_path: Path) -> None:
    pytest.importorskip("striprtf")
    with pytest.raises(TextError, match="more memory than a file of its size may"):
        text_of(tmp_path, "deep.rtf", b"{\\rtf1" + b"{" * 6_000_000 + b"a")


def test_without_the_library_the_error_names_the_extra_and_a_folder_leaves_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "find_spec", lambda name: None)
    with pytest.raises(
        TextError, match=r"pip install 'pantoum\[documents\]' reads it, or extract .*pdftotext"
    ):
        text_of(tmp_path, "a.pdf", pdf(PAGE))
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(pdf(PAGE))
    (folder / "a.txt").write_text("text\n")
    prepared = prepare([folder], tokens="characters", out=tmp_path / "out", valid_fraction=0.0)
    assert prepared.tokenizer.decode(prepared.train.tokens) == "text\n"
    assert any("a.pdf (a PDF document)" in note for note in prepared.notes)
