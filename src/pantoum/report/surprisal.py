"""Text coloured by surprisal: how little each token was expected, in nats.

``fragment`` and ``html`` are pure functions from pieces and their nats to HTML with a legend, for the report
and for notebooks. A piece without a figure (the first token of a text has no context) stays plain. Pointing
at a piece shows its nats. Everything is escaped; control characters and line ends are shown. There are eight
steps of one tint, each checked for contrast against the text; the two most surprising are underlined too, and
alerts are framed, so that the picture does not depend on colour alone.

``Page`` writes a page of its own as it grows: a text of any length in bounded memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from pantoum.config import text
from pantoum.config.calls import public
from pantoum.inference import scorer
from pantoum.report import escape
from pantoum.report.escape import markup, tag
from pantoum.report.wording import figure

BOUNDS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Nats per token at which the next tint begins."""
PICTURED = 5_000
"""Tokens after which the picture in a notebook ends; ``Scores.html`` has them all."""
SHEET = 5_000
"""Tokens of a sheet of a page; it ends with the unit that completes them."""
MOST_LINKS, MOST_SHEETS = 1_000, 24
"""Alerts and sheets that the head of a page links to."""
SNIPPET = 90
HEAD = (
    "The stronger the colour of a token, the less the model expected it. Point at a token to read its "
    "surprisal."
)
Piece: TypeAlias = "tuple[str, float | None]"
Unit: TypeAlias = "tuple[Sequence[Piece], float, bool]"
"""The pieces of a token, word or line; the nats of the most surprising; whether that is an alert."""


def style() -> str:
    """The style of coloured text."""
    return escape.asset("surprisal.css")


def level(nats: float) -> int:
    """Which of the eight tints this surprisal has."""
    return sum(nats >= bound for bound in BOUNDS)


def coloured(pieces: Iterable[Piece]) -> str:
    """All pieces, each in its tint. A token that is only a part of a character adds its nats to the next
    piece."""
    parts, before = [], 0.0
    for piece, nats in pieces:
        shown = markup(piece).replace("\n", "<b>↵</b>\n")
        if not piece:
            before += nats or 0.0
            continue
        if nats is not None:
            nats += before
            tint, words = level(nats), f"{nats:.2f}" if math.isfinite(nats) else "infinitely many"
            shown = tag("i", shown, class_=f"s{tint}" if tint else None, data_n=words)
        parts.append(shown)
        before = 0.0
    return "".join(parts)


def marked(unit: Unit, name: str) -> str:
    """A unit's pieces; if it is an alert, in a frame that a link can go to by this name. A line's end stays
    outside."""
    pieces, _, alert = unit
    if not alert:
        return coloured(pieces)
    last = len(pieces) - (len(pieces) > 1 and pieces[-1][0].strip(" \t") == "\n")
    return tag("mark", coloured(pieces[:last]), id=name) + coloured(pieces[last:])


def _legend(nats: Sequence[float | None] = ()) -> str:
    """What the tints mean, and the mean of all tokens that have a figure."""
    edges = ["0", *(f"{bound:g}" for bound in BOUNDS[:-1]), f"{BOUNDS[-1]:g}+"]
    steps = "".join(tag("i", edge, class_=f"s{tint}") for tint, edge in enumerate(edges))
    known = [n for n in nats if n is not None and math.isfinite(n)]
    mean = f"mean {figure(math.fsum(known) / len(known))} over {len(known):,} tokens" if known else ""
    return tag(
        "p",
        tag("span", "surprisal in nats per token, from")
        + tag("span", steps)
        + (tag("span", mean) if mean else ""),
    )


def fragment(pieces: Sequence[str], nats: Sequence[float | None]) -> str:
    """The coloured text and its legend, for a page that already has the style."""
    text = coloured(zip(pieces, nats, strict=True))
    return tag("div", tag("pre", text) + _legend(nats), class_="pantoum-surprisal")


def html(units: Sequence[Unit]) -> str:
    """The coloured text as a fragment that stands alone: style, text with its alerts, legend."""
    nats = [nats for pieces, _, _ in units for _, nats in pieces]
    text = "".join(marked(unit, f"a{place}") for place, unit in enumerate(units))
    return tag("style", style()) + tag("div", tag("pre", text) + _legend(nats), class_="pantoum-surprisal")


class Page:
    """A page, written as it grows: ``begin``, ``rows`` for each batch of units, ``end`` with the figures.

    The text is divided into sheets of about ``SHEET`` tokens, of which the style shows one at a time: the
    first, or the one that a link leads to. So a browser draws a few thousand tokens and not a million; a
    browser that does not know ``:has`` shows all sheets, and so does paper. The head of the page (title,
    figures, legend, links to alerts and sheets) is known last and therefore stands last in the file; the
    style lifts it to the top. No script, no request.
    """

    def __init__(self, title: str, by: str, threshold: float | None) -> None:
        self._title, self._by, self._threshold = title, by, threshold
        self._alerts: list[str] = []
        self._count, self._line = 0, 1
        self._sheets: list[int] = []
        """The first line of each sheet."""
        self._tokens = 0
        """Tokens in the open sheet."""

    def begin(self) -> str:
        """The beginning of the page."""
        sheet = escape.asset("surprisal_page.css") + style()
        return escape.page_head(f"{self._title}: surprisal", sheet) + "<main>" + self._open()

    def rows(self, units: Sequence[Unit]) -> str:
        """The next units of the text."""
        parts = []
        for unit in units:
            pieces, peak, alert = unit
            if self._tokens >= SHEET:
                parts.append(self._close(more=True) + self._open())
            parts.append(marked(unit, f"a{self._count}"))
            self._tokens += len(pieces)
            words = "".join(piece for piece, _ in pieces)
            if alert and self._count < MOST_LINKS:
                line = self._line + words[: len(words) - len(words.lstrip())].count("\n")
                where = tag("b", f"{peak:.2f}") + tag("i", f"line {line:,}")
                link = tag("a", where + tag("code", markup(words.strip()[:SNIPPET])), href=f"#a{self._count}")
                self._alerts.append(tag("li", link))
            self._count += alert
            self._line += words.count("\n")
        return "".join(parts)

    def _open(self) -> str:
        """A new sheet, with a link to the one before."""
        number = len(self._sheets)
        self._sheets.append(self._line)
        self._tokens = 0
        before = tag("nav", tag("a", "previous page", href=f"#p{number - 1}")) if number else ""
        return f'<section id="p{number}">{before}<div class="pantoum-surprisal"><pre>\n'

    def _close(self, more: bool) -> str:
        """The end of a sheet, with a link to the next one."""
        link = tag("span") + tag("a", "next page", href=f"#p{len(self._sheets)}")
        return f"</pre></div>{tag('nav', link) if more else ''}</section>"

    def end(self, units: int, tokens: int, nats: float) -> str:
        """The head, which the style puts first, and the end of the page."""
        figures = [(f"{self._by}s", f"{units:,}")] if self._by != "token" else []
        figures.append(("tokens", f"{tokens:,}"))
        if tokens:
            figures.append(("nats per token", figure(nats / tokens)))
        if self._threshold is not None:
            figures += [("alerts", f"{self._count:,}"), ("threshold, nats", f"{self._threshold:.2f}")]
        shown = "".join(
            tag(
                "div",
                tag("dt", name)
                + tag("dd", value, class_="some" if name == "alerts" and self._count else None),
            )
            for name, value in figures
        )
        head = (
            tag("small", HEAD)
            + tag("h1", markup(self._title))
            + tag("dl", shown)
            + tag("div", _legend(), class_="pantoum-surprisal")
            + self._links()
        )
        return f"{self._close(more=False)}{tag('header', head)}</main></body></html>\n"

    def _links(self) -> str:
        """Links to the alerts, and to the sheets, evenly spread where they are many."""
        links = ""
        if self._alerts:
            more = f", the first {MOST_LINKS:,} of them" if self._count > MOST_LINKS else ""
            words = f"{self._count:,} {self._by}{'' if self._count == 1 else 's'} above the threshold{more}"
            links = tag("details", tag("summary", words) + tag("ol", "".join(self._alerts)), open="")
        many = len(self._sheets)
        if many > 1:
            numbers = range(0, many, -(-many // MOST_SHEETS))
            each = "".join(tag("a", f"line {self._sheets[n]:,}", href=f"#p{n}") for n in numbers)
            links += tag("nav", tag("span", f"{many:,} pages, from") + each, class_="sheets")
        return links


class Scores(scorer.ScoredText):
    """The scores of a text, with a picture in a notebook: the text, each token coloured by its surprisal."""

    def _units(self, most: float = math.inf) -> list[Unit]:
        """The units that begin within the first ``most`` tokens."""
        ends = accumulate(item.tokens for item in self.items)
        return [
            (item.pieces, item.peak, item.alert)
            for item, end in zip(self.items, ends, strict=True)
            if end - item.tokens < most
        ]

    def _repr_html_(self) -> str:
        """The first ``PICTURED`` tokens or so, and how many units follow."""
        units = self._units(PICTURED)
        left = len(self) - len(units)
        return html(units) + (tag("p", f"and {left:,} more {self.by}s") if left else "")

    @public
    def html(self, title: str = "surprisal") -> str:
        """The same picture as a page of its own."""
        page = Page(text(title, "title"), self.by, self.threshold)
        return page.begin() + page.rows(self._units()) + page.end(len(self), self.tokens, self.nats)
