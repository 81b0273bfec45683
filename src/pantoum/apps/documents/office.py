"""The XML in documents and books, by the standard library's expat: a stream, so that no tree is built.

Expat refuses what is not well-formed. Declarations (a DTD in the file) are refused: no document needs them,
and what they stand for has no end. Namespaces are read here, because expat would write each in full into
every name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote
from xml.parsers import expat

from pantoum.apps.documents.paragraphs import LINE, SPACE, TAB, Paragraphs
from pantoum.seams import BadFileError

__all__ = ["book_pages", "package_of", "paragraph_lines"]

MOST_SPACES = 1000
SPACES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    "urn:oasis:names:tc:opendocument:xmlns:text:1.0": "text",
    "urn:oasis:names:tc:opendocument:xmlns:office:1.0": "office",
}
"""Namespaces, by the prefixes that the standards write."""
SIGNS = dict.fromkeys(("w:p", "w:br", "w:cr", "text:p", "text:h", "text:line-break"), LINE)
SIGNS |= dict.fromkeys(("w:tab", "text:tab"), TAB)
"""What the begin and end of an element stand for; a tab is one sign alone."""
LEFT_OUT = frozenset(
    (
        "w:delText", "w:instrText", "mc:Fallback", "w:sectPr", "w:pPr", "office:annotation",
        "text:tracked-changes", "text:note-citation",
    )
)  # fmt: skip
"""Elements without text of the document."""


def paragraph_lines(blocks: Iterable[bytes], only: str = "") -> Iterator[bytes]:
    """The paragraphs of a document, one per line. ``only``: the one element that holds text."""
    paragraphs = Paragraphs()
    skipped = inside = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal skipped, inside
        if skipped or name in LEFT_OUT:
            skipped += 1
            return
        inside += name == only
        paragraphs.add(SIGNS.get(name, ""))
        if name == "text:s":
            count = attributes.get("text:c", "1")
            known = count.isascii() and count.isdigit()
            paragraphs.add(SPACE * (min(int(count[:9]), MOST_SPACES) if known else 1))

    def end(name: str) -> None:
        nonlocal skipped, inside
        if skipped:
            skipped -= 1
            return
        inside -= name == only
        if SIGNS.get(name) == LINE:
            paragraphs.add(LINE)

    def text(data: str) -> None:
        if not skipped and (inside or not only):
            paragraphs.add(data)

    for _ in _parsed(blocks, start, end, text):
        yield paragraphs.take()
    yield paragraphs.end()


def package_of(blocks: Iterable[bytes]) -> str:
    """The name of the part that describes a book (EPUB OCF 3.3, 4.2.6.3.1)."""
    found: list[str] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name.rpartition(":")[2] == "rootfile" and attributes.get("full-path"):
            found.append(attributes["full-path"])

    for _ in _parsed(blocks, start):
        pass
    if not found:
        raise BadFileError("it names no book (rootfile)")
    return found[0]


def book_pages(blocks: Iterable[bytes], package: str) -> list[str]:
    """The pages of a book in reading order (EPUB 3.3, 5.7: the spine names items of the manifest), each
    once."""
    items: dict[str, str] = {}
    order: dict[str, None] = {}

    def start(name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(":")[2]  # books are read whatever namespace theirs has
        if local == "item":
            items[attributes.get("id", "")] = attributes.get("href", "")
        elif local == "itemref":
            order[attributes.get("idref", "")] = None

    for _ in _parsed(blocks, start):
        pass
    names = (unquote(items.get(each, "").partition("#")[0]) for each in order)
    folder = posixpath.dirname(package)
    return list(dict.fromkeys(posixpath.normpath(posixpath.join(folder, name)) for name in names if name))


def _parsed(
    blocks: Iterable[bytes],
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None] = lambda name: None,
    text: Callable[[str], None] = lambda data: None,
) -> Iterator[None]:
    """Parse XML, and stop after each block; names have the prefixes of ``SPACES``."""
    parser = expat.ParserCreate()
    scopes: list[dict[str, str]] = [{}]
    """For each open element, our prefixes by those of the file."""

    def declared(name: str, system: str | None, public: str | None, inside: bool) -> None:
        if inside:
            raise BadFileError("it has declarations (a DTD), which no document needs")

    def short(name: str) -> str:
        prefix, _, local = name.rpartition(":")
        space = scopes[-1].get(prefix, "?" if prefix else "")
        return f"{space}:{local}" if space else local

    def started(name: str, attributes: dict[str, str]) -> None:
        new = {
            key[6:]: SPACES.get(space, "?")
            for key, space in attributes.items()
            if key == "xmlns" or key.startswith("xmlns:")
        }
        scopes.append({**scopes[-1], **new} if new else scopes[-1])
        start(short(name), {short(key) if ":" in key else key: value for key, value in attributes.items()})

    def ended(name: str) -> None:
        end(short(name))
        scopes.pop()

    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler, parser.EndElementHandler = started, ended
    parser.buffer_text, parser.CharacterDataHandler = True, text
    try:
        for block in blocks:
            parser.Parse(block)
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BadFileError(f"it is not well-formed XML: {error}") from None
