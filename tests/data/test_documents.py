"""The text of books, documents and pages: paragraphs as lines; hostile files are refused."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest

from pantoum.data import documents, expand
from pantoum.data.prepare import prepare
from pantoum.data.sources import found
from pantoum.errors import TextError

pytest.importorskip("bs4")

PAGE = """<!doctype html><html><head><title>no</title><style>no</style></head><body><script>no</script>
<h1>The   title</h1><p>One <b>bold</b>
line &amp; more.<br>After a break.</p>tail<ul><li>first</li><li>second</li></ul><!-- no -->
<pre>def f():
    return 1</pre></body></html>"""
LINES = "The title\nOne bold line & more.\nAfter a break.\ntail\nfirst\nsecond\ndef f():\n    return 1\n"
WORD = """<?xml version="1.0"?><w:document xmlns:w="x"><w:body><w:p><w:r><w:rPr><w:b/></w:rPr>
<w:t>One </w:t></w:r><w:r><w:t xml:space="preserve">and two</w:t><w:tab/><w:t>three</w:t></w:r>
<w:r><w:delText>no</w:delText></w:r></w:p>
<w:p/><w:p><w:r><w:t>Four</w:t><w:br/><w:t>five &lt;6&gt;</w:t></w:r></w:p></w:body></w:document>"""
OPEN = """<?xml version="1.0"?><office:document-content><office:body><text:h>Title</text:h>
<text:p>One<text:s text:c="2"/>two <text:span>three</text:span>
<office:annotation>no</office:annotation></text:p>
<text:p>Four<text:line-break/>five</text:p></office:body></office:document-content>"""
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
PACKAGE = """<package><manifest><item id="b" href="text/b%20c.xhtml"/><item id="a" href="a.xhtml"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="missing"/></spine></package>"""


def packed(path: Path, **parts: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def text_of(path: Path) -> str:
    with found([path], keep_in=path.parent) as sources:
        (source,) = sources.texts
        return b"".join(documents.document_text(source.form, source.label, source.path)).decode()


def book(path: Path) -> Path:
    return packed(
        path,
        **{
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": PACKAGE,
            "OEBPS/a.xhtml": "<html><body><p>Chapter one</p></body></html>",
            "OEBPS/text/b c.xhtml": "<p>Chapter two</p>",
        },
    )


@pytest.fixture(autouse=True)
def stored_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The media type of a book is stored as it is, not compressed."""
    write = zipfile.ZipFile.writestr

    def written(self: zipfile.ZipFile, name: str, data: str) -> None:
        write(self, name, data, zipfile.ZIP_STORED if name == "mimetype" else None)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", written)


def test_a_page_gives_its_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    assert text_of(tmp_path / "a.html") == LINES


def test_a_word_document(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.docx", **{"[Content_Types].xml": "", "word/document.xml": WORD})
    assert text_of(path) == "One and two\tthree\nFour\nfive <6>\n"


def test_an_open_document(tmp_path: Path) -> None:
    media = "application/vnd.oasis.opendocument.text"
    path = packed(tmp_path / "a.odt", **{"mimetype": media, "content.xml": OPEN})
    assert text_of(path) == "Title\nOne  two three\nFour\nfive\n"


def test_a_book_in_the_order_of_its_spine(tmp_path: Path) -> None:
    assert text_of(book(tmp_path / "a.epub")) == "Chapter one\nChapter two\n"


def test_a_zip_archive_is_the_texts_in_it(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", **{"b.txt": "two\n", "a/a.txt": "one\n", "c.bin": "\0\1\2", ".x": "no"})
    assert text_of(path) == "one\ntwo\n"
    with pytest.raises(TextError, match="holds no text"):
        text_of(packed(tmp_path / "b.zip", **{"a.bin": "\0\1"}))


def test_training_reads_a_book(tmp_path: Path) -> None:
    prepared = prepare([book(tmp_path / "a.epub")], out=tmp_path / "out", valid_fraction=0.0)
    assert prepared.tokenizer.decode(prepared.train.tokens) == "Chapter one\nChapter two\n"
    assert any("a.epub is an EPUB book: its text is read" in note for note in prepared.notes)
    assert prepared.facts["texts"][0]["size"] == (tmp_path / "a.epub").stat().st_size


@pytest.mark.parametrize("name", ["a.html", "a.epub"])
def test_without_the_extra_it_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    book(tmp_path / "a.epub")
    (tmp_path / "a.html").write_text(PAGE)
    monkeypatch.setitem(sys.modules, "bs4", None)
    with pytest.raises(
        TextError, match=r"it is an (HTML page|EPUB book); pip install 'pantoum\[documents\]'"
    ):
        text_of(tmp_path / name)


def test_hostile_documents_are_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cut.zip").write_bytes(book(tmp_path / "a.epub").read_bytes()[:-30])
    with pytest.raises(TextError, match="damaged or encrypted"):
        text_of(tmp_path / "cut.zip")
    empty = packed(tmp_path / "b.epub", mimetype="application/epub+zip")
    with pytest.raises(TextError, match="damaged or encrypted"):
        text_of(empty)
    monkeypatch.setattr(documents, "LARGEST_PART", 1000)
    large = packed(tmp_path / "c.docx", **{"word/document.xml": WORD + " " * 1000})
    with pytest.raises(TextError, match=r"word/document.xml in it is larger"):
        text_of(large)
    monkeypatch.setattr(documents, "LARGEST_PART", 1 << 20)
    monkeypatch.setattr(documents, "MOST_TAGS", 10)
    with pytest.raises(TextError, match="more than 10 tags"):
        text_of(large)
    monkeypatch.setattr(expand, "ALWAYS", 1000)
    bomb = packed(tmp_path / "d.zip", **{"a.txt": "a" * 5_000_000})
    with pytest.raises(TextError, match="expands to more than"):
        text_of(bomb)


def test_entities_are_not_expanded_and_depth_is_no_danger(tmp_path: Path) -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + "<i>" * 3000 + "&b; deep"
    (tmp_path / "a.html").write_text(laughs)
    assert "deep" in text_of(tmp_path / "a.html") and len(text_of(tmp_path / "a.html")) < 200


def test_a_document_from_a_pipe_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO(book(tmp_path / "a.epub").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data, encoding="utf-8"))
    prepared = prepare(["-"], out=tmp_path / "out", valid_fraction=0.0)
    assert prepared.tokenizer.decode(prepared.train.tokens).startswith("Chapter one")
