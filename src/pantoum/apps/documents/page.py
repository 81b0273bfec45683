"""The text of a page of HTML or XHTML: one line per paragraph.

The standard library's ``html.parser`` takes the square of the length for tags that never end (CVE-2025-6069,
mended in Python 3.13.6; 3.10 to 3.12 mostly have it), and a tree of the page, which no text needs, takes
many times its size. Here each character is looked at a bounded number of times, whatever the page holds: an
end that was not found once is not looked for again, and nothing is built but the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

from pantoum.apps.documents.paragraphs import LINE, SPACE, TAB, Paragraphs

__all__ = ["page_lines"]

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
TAG = re.compile(r"</?([a-zA-Z][^\s/>]{0,30})")
TAG_PART = re.compile(r""">|=\s*(["'])""")
"""What matters within a tag: its end, or a value in quotes, which may hold the sign of an end."""
LONG_NUMBER = re.compile(r"&#(?:[0-9]{20,}|[xX][0-9a-fA-F]{20,});?")
PRE = str.maketrans({" ": SPACE, "\n": LINE, "\t": TAB, "\r": None})
TAKEN = 4096
"""Pieces of text that are collected before they are handed on."""


def page_lines(text: str, count_tag: Callable[[], None]) -> Iterator[bytes]:
    """The paragraphs of a page, one per line. ``count_tag`` is called for each tag, and may refuse it."""
    page, paragraphs = _Page(text), Paragraphs()
    skipped, depth, pre = "", 0, 0
    for data, name, ends in page.parts():
        if data and not skipped:
            paragraphs.add(data.translate(PRE) if pre else data)
            if paragraphs.count > TAKEN:
                yield paragraphs.take()
        if not name:
            continue
        count_tag()
        if skipped:
            if name == skipped:
                depth += -1 if ends else 1
            if depth == 0 or (ends and name == "body"):
                skipped = ""
        elif name in PARAGRAPHS:
            paragraphs.add(LINE)
            if name == "pre":
                pre = max(0, pre + (-1 if ends else 1))
        elif name in LEFT_OUT and not ends and not page.closed:
            skipped, depth = name, 1
    yield paragraphs.end()


class _Page:
    """A page, and how far it was read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._absent: set[str] = set()
        """What was looked for in vain: it is not further on, either."""
        self._quotes = True
        """Whether quotes hide the end of a tag; no longer after one without an end."""
        self.closed = False
        """Whether the last tag was the begin and end of its element: ``<svg/>``."""

    def parts(self) -> Iterator[tuple[str, str, bool]]:
        """Text, the name of the tag behind it (or nothing), and whether that is an end tag."""
        text, place, begun = self._text, 0, 0
        while (start := self._find("<", place)) >= 0:
            found = TAG.match(text, start)
            if found is None:
                end = self._end_of_other(start)
                if end > start:
                    yield _read(text[begun:start]), "", False
                    begun = end
                place = max(end, start + 1)
                continue
            end = self._tag_end(found.end())
            if end < 0:
                break  # no tag ends from here on: the rest is text
            name, ends = found[1].lower(), text[start + 1] == "/"
            self.closed = text[end - 2] == "/"
            yield _read(text[begun:start]), name, ends
            if name in OPAQUE and not ends and not self.closed:
                end = max(end, self._end_of_opaque(name, end))
            begun = place = end
        yield _read(text[begun:]), "", False

    def _find(self, what: str, start: int) -> int:
        if what in self._absent:
            return -1
        found = self._text.find(what, start)
        if found < 0:
            self._absent.add(what)
        return found

    def _behind(self, what: str, start: int) -> int:
        """Where what follows ``what``; -1: it does not come any more."""
        found = self._find(what, start)
        return found + len(what) if found >= 0 else -1

    def _tag_end(self, start: int) -> int:
        """Behind the end of a tag; -1: it has none."""
        place = start
        while self._quotes and (found := TAG_PART.search(self._text, place)) is not None:
            if found[1] is None:
                return found.end()
            place = self._behind(found[1], found.end())
            if place < 0:
                break
        self._quotes = False
        return self._behind(">", start)

    def _end_of_other(self, start: int) -> int:
        """Behind a comment or a declaration; -1: it has no end, or ``<`` is text."""
        text = self._text
        if text.startswith("<!--", start):
            return self._behind("-->", start + 2)
        if text.startswith("<![CDATA[", start):
            return self._behind("]]>", start)
        if not text.startswith(("<!", "<?", "</"), start):
            return -1
        end = self._behind(">", start)
        if end >= 0 and text.find("[", start, end) >= 0:  # declarations within a DOCTYPE
            end = max(end, self._behind("]>", start))
        return end

    def _end_of_opaque(self, name: str, start: int) -> int:
        """Where the end tag of such an element begins; -1: nowhere, and what follows is read."""
        if name in self._absent:
            return -1
        found = re.compile(f"</{name}", re.IGNORECASE).search(self._text, start)
        if found is None:
            self._absent.add(name)
            return -1
        return found.start()


def _read(data: str) -> str:
    """Text with its character references read."""
    return html.unescape(LONG_NUMBER.sub("\ufffd", data)) if "&" in data else data
