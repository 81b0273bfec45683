"""Markup as lines: the text of a page (HTML, XHTML) or of a part of a document (XML), one line per paragraph.

White space is as a reader of the document sees it: it counts as one space, and none is left at the ends of a
line; a paragraph without text is no line. What must stay as it is (a line's end, a tab, spaces in a row) is
put in as a sign. Nothing is built but the text.

*Pages*: the standard library's ``html.parser`` reads pages in another way with each version of Python; this
is the same with all of them. Marks that never end may take the square of the length: the process that reads
has a limit.

*XML* is read by the standard library's expat. It refuses what is not well-formed. Declarations (a DTD in the
file) are refused: no document needs them, and what they stand for has no end. Namespaces are read here,
because expat would write each in full into every name.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote
from xml.parsers import expat

from pantoum.seams import BadFileError

__all__ = ["book_pages", "package_of", "page_lines", "paragraph_lines"]

TAB, LINE, SPACE = "\x1d", "\x1e", "\x1f"
"""Stand for a tab, a line's end and a space that stay."""
WHITE, ENDS = re.compile(r"[ \t\r\n\f]+"), re.compile(f" ?{LINE}[ {LINE}]*")
SHOWN = str.maketrans({TAB: "\t", LINE: "\n", SPACE: " "})


class Paragraphs:
    """Collects pieces and gives lines."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._fresh = True
        """Whether the line that is being written has nothing yet."""
        self.add = self._pieces.append
        """Take a piece: text, or signs."""

    def take(self) -> bytes:
        """The text so far, as UTF-8, without the white space at its end, which waits for what follows."""
        text = ENDS.sub(LINE, WHITE.sub(" ", "".join(self._pieces)))
        if self._fresh:
            text = text.lstrip(f" {LINE}")
        whole = text.rstrip(f" {LINE}")
        self._fresh = self._fresh and not whole
        self._pieces[:] = [text[len(whole) :]]
        return whole.translate(SHOWN).encode("utf-8", "replace")

    def end(self) -> bytes:
        """What is left, and the end of the last line, where there is one."""
        whole = self.take()
        return whole if self._fresh else whole + b"\n"


PARAGRAPHS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "dialog",
        "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5",
        "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "td",
        "th", "tr", "ul",
    )
)  # fmt: skip
"""Elements at whose begin and end a line ends."""
OPAQUE = ("iframe", "noembed", "noframes", "script", "style", "title")
"""Elements that hold no markup, and no text of the page: they end at the first end tag of their name."""
LEFT_OUT = ("math", "noscript", "svg", "template")
MARK = re.compile(
    r"""<!--.*?--> | <!\[CDATA\[.*?\]\]> | <!(?i:doctype)[^\[>]*\[.*?\]\s*> | <[!?][^>]*>
    | </(?![a-zA-Z])[^>]*>
    | <(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]{0,30})(?:=\s*(?:"[^"]*"|'[^']*')|[^>])*?>""",
    re.DOTALL | re.VERBOSE,
)
"""Comments and declarations, and tags, in whose values in quotes the sign of an end may stand."""
LONG_NUMBER = re.compile(r"&#(?:[0-9]{20,}|[xX][0-9a-fA-F]{20,});?")
PRE = str.maketrans({" ": SPACE, "\n": LINE, "\t": TAB, "\r": None})


def page_lines(text: str) -> Iterator[bytes]:
    """The paragraphs of a page, one per line."""
    paragraphs = Paragraphs()
    skipped, depth, pre, place = "", 0, 0, 0

    def add(data: str) -> None:
        if not skipped:
            data = html.unescape(LONG_NUMBER.sub("\ufffd", data)) if "&" in data else data
            paragraphs.add(data.translate(PRE) if pre else data)

    while (mark := MARK.search(text, place)) is not None:
        add(text[place : mark.start()])
        place = mark.end()
        name, ends, closed = (mark["name"] or "").lower(), bool(mark["end"]), text[place - 2] == "/"
        if name in OPAQUE and not ends and not closed:
            end = re.compile(f"</{name}", re.IGNORECASE).search(text, place)
            place = place if end is None else end.start()
        if skipped:
            if name == skipped:
                depth += -1 if ends else 1
            if depth == 0 or (ends and name == "body"):
                skipped = ""
        elif name in PARAGRAPHS:
            paragraphs.add(LINE)
            if name == "pre":
                pre = max(0, pre + (-1 if ends else 1))
        elif name in LEFT_OUT and not ends and not closed:
            skipped, depth = name, 1
    add(text[place:])
    yield paragraphs.end()


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
WITHOUT_TEXT = frozenset(
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
        if skipped or name in WITHOUT_TEXT:
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
