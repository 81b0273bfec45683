"""The text of a page of HTML or XHTML: one line per paragraph. Nothing is built but the text.

The standard library's ``html.parser`` reads pages in another way with each version of Python; this is the
same with all of them. Marks that never end may take the square of the length: the process that reads has a
limit.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

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
