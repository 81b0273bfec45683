"""The text of books, documents and pages: paragraphs as lines; hostile files are refused."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest

from pantoum.apps.documents import reader
from pantoum.apps.documents.markup import page_lines
from pantoum.data import expand
from pantoum.data.prepare import prepare
from pantoum.data.sources import found
from pantoum.errors import TextError

PAGE = """<!doctype html><html><head><title>no</title><style>no</style></head><body><script>no</script>
<h1>The   title</h1><p>One <b>bold</b>
line &amp; more.<br>After a break.</p>tail<ul><li>first</li><li>second</li></ul><!-- no -->
<pre>def f():
    return 1</pre></body></html>"""
LINES = "The title\nOne bold line & more.\nAfter a break.\ntail\nfirst\nsecond\ndef f():\n    return 1\n"
WORD = """<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:rPr><w:b/></w:rPr>
<w:t>One </w:t></w:r><w:r><w:t xml:space="preserve">and two</w:t><w:tab/><w:t>three</w:t></w:r>
<w:r><w:delText>no</w:delText></w:r></w:p>
<w:p/><w:p><w:r><w:t>Four</w:t><w:br/><w:t>five &lt;6&gt;</w:t></w:r></w:p></w:body></w:document>"""
OASIS = "urn:oasis:names:tc:opendocument:xmlns"
OPEN = f"""<?xml version="1.0"?><office:document-content
xmlns:office="{OASIS}:office:1.0" xmlns:text="{OASIS}:text:1.0"><office:body><text:h>Title</text:h>
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
        return b"".join(reader.document_text(source.form, source.label, source.path)).decode()


def book(
    path: Path, container: str = CONTAINER, package: str = PACKAGE, first: str = "<p>Chapter one</p>"
) -> Path:
    return packed(
        path,
        **{
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/book.opf": package,
            "OEBPS/a.xhtml": f"<html><body>{first}</body></html>",
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
    with pytest.raises(TextError, match="no text"):
        text_of(packed(tmp_path / "b.zip", **{"a.bin": "\0\1"}))


def test_training_reads_a_book(tmp_path: Path) -> None:
    prepared = prepare([book(tmp_path / "a.epub")], out=tmp_path / "out", valid_fraction=0.0)
    assert prepared.tokenizer.decode(prepared.train.tokens) == "Chapter one\nChapter two\n"
    assert any("a.epub is an EPUB book: reading its text" in note for note in prepared.notes)
    assert prepared.facts["texts"][0]["size"] == (tmp_path / "a.epub").stat().st_size


def refusal(path: Path) -> str:
    with pytest.raises(TextError) as caught:
        text_of(path)
    assert repr(str(path)) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_documents_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(book(tmp_path / "a.epub").read_bytes()[:-30])
    assert "damaged or encrypted" in refusal(tmp_path / "cut.zip")
    assert "damaged or encrypted" in refusal(packed(tmp_path / "b.epub", mimetype="application/epub+zip"))
    cut = packed(tmp_path / "c.docx", **{"word/document.xml": WORD[:-20]})
    assert "not well-formed XML" in refusal(cut)


def test_a_part_before_the_begin_of_its_container_is_damage(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.docx", **{"word/document.xml": WORD})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x05\x06") + 16  # where the list of parts begins, further on than it does
    data[place : place + 4] = (int.from_bytes(data[place : place + 4], "little") + 99).to_bytes(4, "little")
    path.write_bytes(data)
    assert "damaged or encrypted" in refusal(path)


@pytest.mark.parametrize(
    ("container", "package", "reason"),
    [
        ("<container/>", PACKAGE, "it names no book (rootfile)"),
        ("<container><rootfile/></container>", PACKAGE, "it names no book (rootfile)"),
        ("<container", PACKAGE, "not well-formed XML"),
        ("", PACKAGE, "not well-formed XML"),
        (CONTAINER.replace("book.opf", "none"), PACKAGE, "no item named 'OEBPS/none'"),
        (CONTAINER, PACKAGE.replace("a.xhtml", "none"), "no item named 'OEBPS/none'"),
        (CONTAINER, PACKAGE[:-9], "not well-formed XML"),
    ],
)
def test_a_book_whose_list_is_broken_is_refused(
    tmp_path: Path, container: str, package: str, reason: str
) -> None:
    assert reason in refusal(book(tmp_path / "a.epub", container=container, package=package))


def test_a_page_that_a_book_names_many_times_is_read_once(tmp_path: Path) -> None:
    package = PACKAGE.replace('<itemref idref="a"/>', '<itemref idref="a"/>' * 10_000)
    assert text_of(book(tmp_path / "a.epub", package=package)) == "Chapter one\nChapter two\n"


def test_declarations_and_other_encodings_are_refused(tmp_path: Path) -> None:
    def word(text: str) -> str:
        return refusal(packed(tmp_path / "a.docx", **{"word/document.xml": text}))

    entities = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    defaults = "<!DOCTYPE x [<!ATTLIST x " + "".join(f"a{n} CDATA 'v' " for n in range(9000)) + ">]>"
    assert "it has declarations" in word(entities)
    assert "it has declarations" in word(defaults + "<x/>" * 4000)
    assert "damaged" in word('<?xml version="1.0" encoding="zlib"?><x/>')
    assert "expands to more than 200 times" in word(WORD.replace("Four", " a" * (10 << 20)))
    public = (
        '<!DOCTYPE office:document-content PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "o.dtd">'
    )
    media = "application/vnd.oasis.opendocument.text"
    text = OPEN.replace("?><office", f"?>{public}<office")
    assert text_of(packed(tmp_path / "a.odt", **{"mimetype": media, "content.xml": text})).startswith("Title")


def test_a_long_namespace_is_not_written_into_every_name(tmp_path: Path) -> None:
    """Each name in full would take gigabytes, which the process that reads is not given."""
    many = "".join(f" x:a{number}=''" for number in range(2000))
    long = f"<w:p xmlns:x='urn:{'n' * 900_000}'><x:y{many}/>{'<x:b/>' * 5000}<w:r><w:t>"
    path = packed(tmp_path / "a.docx", **{"word/document.xml": WORD.replace("<w:p><w:r><w:t>", long)})
    assert text_of(path) == "One and two\tthree\nFour\nfive <6>\n"


def test_namespaces_have_the_prefixes_that_a_file_gives_them(tmp_path: Path) -> None:
    plain = WORD.replace("xmlns:w=", "xmlns=").replace("<w:", "<").replace("</w:", "</")
    inner = "<w:p><a:r xmlns:a='urn:other' xmlns:w='urn:other'><w:t>no</w:t></a:r></w:p>"
    inner += f"<b:p xmlns:b={WORD.partition('xmlns:w=')[2].partition('>')[0]}><b:t>yes</b:t></b:p></w:body>"
    assert text_of(packed(tmp_path / "a.docx", **{"word/document.xml": plain})).startswith("One and two")
    assert text_of(
        packed(tmp_path / "b.docx", **{"word/document.xml": WORD.replace("</w:body>", inner)})
    ).endswith("five <6>\nyes\n")


def test_a_zip_archive_may_not_expand_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "ALWAYS", 1000)
    assert "expands to more than" in refusal(packed(tmp_path / "d.zip", **{"a.txt": "a" * 5_000_000}))


def test_spaces_of_an_open_document_are_bounded(tmp_path: Path) -> None:
    media = "application/vnd.oasis.opendocument.text"

    def spaces(count: str, times: int) -> Path:
        text = OPEN.replace("Title", f'a<text:s text:c="{count}"/>b' * times)
        return packed(tmp_path / "a.odt", **{"mimetype": media, "content.xml": text})

    assert text_of(spaces("9" * 5000, 1)).startswith("a" + " " * 1000 + "b\n")
    assert text_of(spaces("-1", 1)).startswith("a b\n") and text_of(spaces("٣", 1)).startswith("a b\n")
    assert "expands to more than" in refusal(spaces("999999999", 100_000))


def test_a_page_is_read_as_browsers_read_it(tmp_path: Path) -> None:
    for markup, text in (
        ("<p title='a > b'>One</p", "One</p\n"),
        ("a < b <c", "a < b <c\n"),
        ('<p title="a>One <b>two', "One two\n"),
        ("<head><title>no</title><body>One", "One\n"),
        ("<li>One<li>Two", "One\nTwo\n"),
        ("<script src=a />One<svg/>Two<svg><svg></svg>no</svg>!", "OneTwo!\n"),
        (
            "<!DOCTYPE x [<!ENTITY a 'ha'>]>&a; &amp; &#65;&#99999999999999999999999; &eacute",
            "&a; & A\ufffd é\n",
        ),
        (f"&#{'9' * 5000};<p>a", "\ufffd\na\n"),
        ("<pre>a  b\n  c</pre> d", "a  b\n  c\nd\n"),
        ("<!--[if IE]>no<![endif]-->a<![if !IE]>b<![endif]> c]>", "ab c]>\n"),
        ("<b>a </b> b<!-- no --> c<![CDATA[no]]>", "a b c\n"),
        ("", ""),
    ):
        assert b"".join(page_lines(markup)).decode() == text


def test_a_page_is_read_in_the_encoding_that_it_says(tmp_path: Path) -> None:
    for head, codec in (
        ('<meta charset="latin-1">', "cp1252"),
        ('<meta http-equiv=x content="text/html; charset=Shift_JIS">', "cp932"),
        ('<?xml version="1.0" encoding="koi8-r"?>', "koi8-r"),
        ("<p>", "utf-16"),
        ("<p>", "utf-8-sig"),
        ('<meta charset="utf-7">', "utf-8"),
    ):
        word = {"cp932": "日本", "koi8-r": "слово"}.get(codec, "“Müller”")
        (tmp_path / "a.html").write_bytes(f"{head}{word}".encode(codec))
        assert text_of(tmp_path / "a.html") == f"{word}\n"
    (tmp_path / "a.html").write_bytes("<p>Herr Müller fährt früh über die Brücke.".encode("cp1252"))
    assert "--encoding windows-1252 ('fährt')" in refusal(tmp_path / "a.html")


def test_a_document_from_a_pipe_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO(book(tmp_path / "a.epub").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data, encoding="utf-8"))
    prepared = prepare(["-"], out=tmp_path / "out", valid_fraction=0.0)
    assert prepared.tokenizer.decode(prepared.train.tokens).startswith("Chapter one")


def test_a_document_is_called_what_it_is_and_not_a_zip_archive(tmp_path: Path) -> None:
    whole = packed(tmp_path / "letter.docx", **{"word/document.xml": WORD})
    with found([whole], keep_in=tmp_path) as sources:
        assert sources.texts[0].form.name == "a Word document"
    (tmp_path / "cut.docx").write_bytes(whole.read_bytes()[:200])
    with pytest.raises(TextError, match="a Word document\\): it is damaged"):
        text_of(tmp_path / "cut.docx")
    assert text_of(packed(tmp_path / "letter", **{"word/document.xml": WORD})).startswith("One and two")
    for name, called in (("sums.xlsx", "an Excel workbook"), ("talk.pptx", "a PowerPoint presentation")):
        packed(tmp_path / name, **{"a.xml": "<a/>"})
        with pytest.raises(TextError, match=called), found([tmp_path / name], keep_in=tmp_path):
            pass
