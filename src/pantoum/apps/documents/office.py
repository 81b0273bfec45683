"""The XML in documents and books, by the standard library's expat: a stream, so that no tree is built.

Expat refuses what is not well-formed. What well-formed XML may still cost is bounded here: entities are not
declared in such files, and refused; depth, different names and the length of one tag or comment have limits.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote
from xml.parsers import expat

from pantoum.apps.documents.paragraphs import LINE, SPACE, TAB, Paragraphs
from pantoum.seams import BadDocumentError

__all__ = ["MARKUP", "book_pages", "package_of", "paragraph_lines"]

DEEPEST, MOST_NAMES, LONGEST_MARK, MOST_PAGES = 1000, 10_000, 1 << 20, 50_000
MOST_SPACES = 1000
SPACES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    "urn:oasis:names:tc:opendocument:xmlns:text:1.0": "text",
    "urn:oasis:names:tc:opendocument:xmlns:office:1.0": "office",
}
"""Namespaces, by the prefixes that the standards write."""


class Markup:
    """Which elements of a format are what."""

    def __init__(self, signs: Mapping[str, str], left_out: Iterable[str], text: str = "") -> None:
        self.signs, self.left_out = dict(signs), frozenset(left_out)
        """What the begin and end of an element stand for, and those without text of the document."""
        self.text = text
        """The only element that holds text; empty: all do."""


MARKUP = {
    "docx": Markup(
        {"w:p": LINE, "w:br": LINE, "w:cr": LINE, "w:tab": TAB},
        ("w:delText", "w:instrText", "mc:Fallback", "w:sectPr", "w:pPr"),
        "w:t",
    ),
    "odt": Markup(
        {"text:p": LINE, "text:h": LINE, "text:line-break": LINE, "text:tab": TAB},
        ("office:annotation", "text:tracked-changes", "text:note-citation"),
    ),
}
STARTED_ALONE = ("w:tab", "text:tab")
"""Marks that stand for one sign, not for one at their begin and one at their end."""


def paragraph_lines(
    blocks: Iterable[bytes], markup: Markup, count_tag: Callable[[], None], count_text: Callable[[int], None]
) -> Iterator[bytes]:
    """The paragraphs of a document, one per line. What is counted may be refused."""
    paragraphs = Paragraphs()
    skipped = inside = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal skipped, inside
        count_tag()
        if skipped or name in markup.left_out:
            skipped += 1
            return
        inside += name == markup.text
        if name in markup.signs:
            paragraphs.add(markup.signs[name])
        elif name == "text:s":
            spaces = _number(attributes.get("text:c", "1"))
            count_text(spaces)
            paragraphs.add(SPACE * spaces)

    def end(name: str) -> None:
        nonlocal skipped, inside
        if skipped:
            skipped -= 1
            return
        inside -= name == markup.text
        if name in markup.signs and name not in STARTED_ALONE:
            paragraphs.add(markup.signs[name])

    def text(data: str) -> None:
        if not skipped and (inside or not markup.text):
            paragraphs.add(data)

    for _ in _parsed(blocks, start, end, text):
        yield paragraphs.take()
    yield paragraphs.end()


def package_of(blocks: Iterable[bytes]) -> str:
    """The name of the part that describes a book (EPUB OCF 3.3, 4.2.6.3.1)."""
    found: list[str] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if _local(name) == "rootfile" and not found and attributes.get("full-path"):
            found.append(attributes["full-path"])

    for _ in _parsed(blocks, start):
        pass
    if not found:
        raise BadDocumentError("it names no book (rootfile)")
    return found[0]


def book_pages(blocks: Iterable[bytes], package: str) -> list[str]:
    """The pages of a book in reading order (EPUB 3.3, 5.7: the spine names items of the manifest), each
    once."""
    items: dict[str, str] = {}
    order: dict[str, None] = {}

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if _local(name) == "item":
            items[attributes.get("id", "")] = attributes.get("href", "")
        elif _local(name) == "itemref":
            order[attributes.get("idref", "")] = None
        if max(len(items), len(order)) > MOST_PAGES:
            raise BadDocumentError(f"it names more than {MOST_PAGES:,} files")

    for _ in _parsed(blocks, start):
        pass
    names = (unquote(items.get(each, "").partition("#")[0]) for each in order)
    folder = posixpath.dirname(package)
    return list(dict.fromkeys(posixpath.normpath(posixpath.join(folder, name)) for name in names if name))


def _number(text: str) -> int:
    """How many spaces are meant; more than ``MOST_SPACES`` are so many."""
    if not (text.isascii() and text.isdigit()):
        return 1
    return min(int(text), MOST_SPACES) if len(text) < 10 else MOST_SPACES


def _parsed(
    blocks: Iterable[bytes],
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Parse XML, and stop after each block; names have the prefixes of ``SPACES``."""
    parser = expat.ParserCreate(namespace_separator=" ", intern=None)
    names: set[str] = set()
    depth = size = 0

    def refuse(*_: object) -> None:
        raise BadDocumentError("it declares entities, which no document needs")

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        names.add(name)
        names.update(attributes)
        if depth > DEEPEST:
            raise BadDocumentError(f"its elements lie deeper than {DEEPEST:,}")
        if len(names) > MOST_NAMES:
            raise BadDocumentError(f"it has more than {MOST_NAMES:,} different names")
        start(_short(name), {_short(key): value for key, value in attributes.items()})

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end is not None:
            end(_short(name))

    parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = started, ended
    if text is not None:
        parser.buffer_text, parser.CharacterDataHandler = True, text
    try:
        for block in blocks:
            parser.Parse(block)
            size += len(block)
            if size - parser.CurrentByteIndex > LONGEST_MARK:
                raise BadDocumentError(f"a tag or comment in it is longer than {LONGEST_MARK >> 20} MiB")
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BadDocumentError(f"it is not well-formed XML: {error}") from None


def _short(name: str) -> str:
    """A name with the prefix that the standard writes."""
    space, _, local = name.rpartition(" ")
    return f"{SPACES.get(space, space)}:{local}" if space else local


def _local(name: str) -> str:
    """A name without prefix: books are read whatever namespace theirs has."""
    return name.rpartition(":")[2]
