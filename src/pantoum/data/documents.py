"""The text of EPUB books, DOCX and ODT documents and HTML pages: one line per paragraph, as UTF-8 bytes.

beautifulsoup4 (the extra ``documents``) parses the markup; zipfile opens the containers; here stands only
which parts hold the text, in which order, and which elements are paragraphs. Text alone is taken: no styles,
notes of reviewers, scripts or pictures. A plain zip archive is read as the texts in it, in order of their
names, without the extra.

Parts are read one at a time. All of them together may expand to at most what ``expand.Bound`` allows; a part
of markup is held in memory to be parsed and has at most ``LARGEST_PART`` bytes and ``MOST_TAGS`` tags.
"""

from __future__ import annotations

import importlib
import posixpath
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pantoum.data.expand import Bound, transcoded
from pantoum.data.forms import HEAD, Form, form_of
from pantoum.errors import TextError

__all__ = ["document_text", "format_of_zip"]

BLOCK = 1 << 20
LARGEST_PART, MOST_TAGS = 32 << 20, 1_000_000
ADVICE = "pip install 'pantoum[documents]' reads it, or save it as plain text"
PARAGRAPHS = {
    "docx": ("w:p",),
    "odt": ("text:p", "text:h"),
    "html": (
        "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "dialog", "div",
        "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
        "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "td", "th",
        "tr", "ul",
    ),
}  # fmt: skip
BREAKS = {"docx": ("w:br", "w:cr"), "odt": ("text:line-break",), "html": ("br",)}
LEFT_OUT = {
    "docx": ("w:deltext", "w:instrtext", "mc:fallback", "w:sectpr"),
    "odt": ("office:annotation", "text:tracked-changes", "text:note-citation"),
    "html": ("head", "script", "style", "template", "noscript", "svg", "math"),
}
LINE, SPACE = "\x1e", "\x1f"
"""Stand for a line's end and a space that are kept, while other white space counts as one space."""


def format_of_zip(path: Path) -> str:
    """``docx`` or ``zip``; the formats that begin with their media type are known by their first bytes."""
    with zipfile.ZipFile(path) as archive:
        return "docx" if "word/document.xml" in archive.namelist() else "zip"


def document_text(form: Form, label: str, path: Path) -> Iterator[bytes]:
    """The text of a document."""
    bound = Bound(label, path.stat().st_size)
    try:
        if form.codec == "html":
            yield _page(path.read_bytes() if path.stat().st_size <= LARGEST_PART else None, label, form)
            return
        with zipfile.ZipFile(path) as archive:
            codec = format_of_zip(path) if form.codec == "zip" else form.codec
            if codec == "zip":
                yield from _texts(archive, label, bound)
                return
            parts = {"docx": ["word/document.xml"], "odt": ["content.xml"]}.get(codec)
            markup = "html" if codec == "epub" else codec
            for name in _chapters(archive, label, form, bound) if parts is None else parts:
                yield _lines(_soup(_part(archive, name, label, bound), label, form), markup)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError, NotImplementedError) as error:
        raise TextError(
            f"cannot read {label!r}: {form.name} that is damaged or encrypted ({error}); get it again, or "
            "save it as plain text"
        ) from error


def _part(archive: zipfile.ZipFile, name: str, label: str, bound: Bound) -> bytes:
    with archive.open(name) as file:
        data = file.read(LARGEST_PART + 1)
    bound.add(len(data))
    if len(data) > LARGEST_PART:
        raise TextError(
            f"cannot read {label!r}: {name} in it is larger than {LARGEST_PART >> 20} MiB; save it as plain "
            "text"
        )
    return data


def _texts(archive: zipfile.ZipFile, label: str, bound: Bound) -> Iterator[bytes]:
    """The texts in a zip archive; everything else in it is left out."""
    found = False
    for name in sorted(archive.namelist()):
        if name.endswith("/") or any(part.startswith(".") for part in name.split("/")):
            continue
        with archive.open(name) as file:
            blocks = iter(lambda: file.read(BLOCK), b"")
            head = next(blocks, b"")
            form = form_of(head[:HEAD])
            if form.kind not in ("text", "encoded") or not head:
                continue
            found = True
            bound.add(len(head))

            def content(first: bytes = head, others: Iterator[bytes] = blocks) -> Iterator[bytes]:
                yield first
                for block in others:
                    bound.add(len(block))
                    yield block

            yield from content() if form.kind == "text" else transcoded(form, f"{label}/{name}", content())
    if not found:
        raise TextError(
            f"cannot read {label!r}: the zip archive holds no text; unpack it to see what is in it"
        )


def _chapters(archive: zipfile.ZipFile, label: str, form: Form, bound: Bound) -> Iterator[str]:
    """The pages of an EPUB book in reading order (EPUB 3.3, 5.7: the spine names items of the manifest)."""
    container = _soup(_part(archive, "META-INF/container.xml", label, bound), label, form)
    package = str(container.find("rootfile")["full-path"])
    book = _soup(_part(archive, package, label, bound), label, form)
    items = {item.get("id"): item.get("href") for item in book.find_all(re.compile("^(opf:)?item$"))}
    for reference in book.find_all(re.compile("^(opf:)?itemref$")):
        href = items.get(reference.get("idref"))
        if href:
            name = unquote(str(href).partition("#")[0])
            yield posixpath.normpath(posixpath.join(posixpath.dirname(package), name))


def _page(data: bytes | None, label: str, form: Form) -> bytes:
    if data is None:
        raise TextError(
            f"cannot read {label!r}: {form.name} larger than {LARGEST_PART >> 20} MiB; save it as text"
        )
    return _lines(_soup(data, label, form), "html")


def _soup(data: bytes, label: str, form: Form) -> Any:
    try:
        bs4 = importlib.import_module("bs4")
    except ImportError:
        raise TextError(f"cannot read {label!r}: it is {form.name}; {ADVICE}") from None
    if data.count(b"<") > MOST_TAGS:
        raise TextError(f"cannot read {label!r}: it has more than {MOST_TAGS:,} tags; save it as plain text")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XML is parsed as HTML on purpose: entities are never expanded
        return bs4.BeautifulSoup(data, "html.parser")


def _lines(soup: Any, markup: str) -> bytes:
    """The paragraphs of a parsed part, one per line."""
    element = importlib.import_module("bs4.element")
    for unwanted in soup.find_all(LEFT_OUT[markup]):
        unwanted.extract()
    kept: set[int] = set()
    if markup == "html":  # text after the end of a paragraph is no part of it
        for tag in soup.find_all(PARAGRAPHS["html"]):
            tag.insert_after(LINE)
        kept = {id(text) for tag in soup.find_all("pre") for text in tag.find_all(string=True)}
    found: list[str] = []
    for node in soup.descendants:
        if isinstance(node, element.Tag):
            found.append(_mark(node, markup))
        elif not isinstance(node, element.PreformattedString):  # comments, declarations
            text = str(node)
            if id(node) in kept:
                found.append(text.replace(" ", SPACE))
            elif markup != "docx" or node.parent.name == "w:t":
                found.append(re.sub(r"[ \t\r\n\f]+", " ", text))
    lines = (line.strip(" ") for line in "".join(found).replace(LINE, "\n").split("\n"))
    return ("\n".join(filter(None, lines)).replace(SPACE, " ") + "\n").encode("utf-8", "replace")


def _mark(tag: Any, markup: str) -> str:
    """What a tag by itself says: a new line, a tab, spaces, or nothing."""
    if tag.name in PARAGRAPHS[markup] or tag.name in BREAKS[markup]:
        return LINE
    if tag.name in ("w:tab", "text:tab"):
        return "\t"
    if tag.name == "text:s":
        count = str(tag.get("text:c", "1"))
        return SPACE * min(int(count) if count.isdecimal() else 1, 1000)
    return ""
