"""A page of text coloured by surprisal, written as it grows: a text of any length in bounded memory.

In order: ``begin``, ``rows`` for each batch of units, ``end`` with the figures. The text is divided into
sheets of about ``SHEET`` tokens, of which the style shows one at a time: the first, or the one that a link
leads to. So a browser draws a few thousand tokens and not a million; a browser that does not know ``:has``
shows all sheets. The head of the page (title, figures, legend, links to alerts and sheets) is known last and
therefore stands last in the file; the style lifts it to the top. No script, no request, light and dark, and
readable on paper, where all sheets are printed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pantoum.report import surprisal
from pantoum.report.escape import markup
from pantoum.report.surprisal import Unit
from pantoum.report.wording import figure

__all__ = ["Page"]

SHEET = 5_000
"""Tokens of a sheet; it ends with the unit that completes them."""
MOST_LINKS, MOST_SHEETS = 1_000, 24
"""Alerts and sheets that the head links to."""
SNIPPET = 90
STYLE = (
    ":root{--paper:#f4f0e8;--ink:#201d1a;--soft:#625c54;--rule:#ddd6c9;--accent:#a8401c}"
    "@media screen and (prefers-color-scheme:dark){:root{--paper:#121110;--ink:#ece6dc;--soft:#aaa297;"
    "--rule:#34302b;--accent:#f0946c}}"
    "body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif;"
    "font-variant-numeric:lining-nums tabular-nums}"
    "main{display:flex;flex-direction:column;max-width:68rem;margin:0 auto;padding:clamp(20px,4vw,56px)}"
    "header{order:-1;margin-bottom:1.6rem}"
    "h1{font:500 clamp(1.7rem,4vw,2.6rem)/1.15 'Iowan Old Style','Palatino Linotype',Palatino,Georgia,serif;"
    "letter-spacing:-.01em;margin:.1em 0 .6em;overflow-wrap:anywhere}"
    "small{color:var(--soft);font-size:.86rem}"
    "dl{display:flex;flex-wrap:wrap;gap:1rem 2.6rem;margin:0 0 1.2rem;padding:1rem 0;"
    "border:solid var(--rule);border-width:1px 0}"
    "dt{color:var(--soft);font-size:.82rem}dd{margin:0;font-size:1.3rem;font-weight:500;line-height:1.3}"
    "dd.some{color:var(--accent)}"
    "header .pantoum-surprisal{background:none;padding:0;box-shadow:none!important}"
    "header .pantoum-surprisal p{margin:0}"
    "details{margin-top:1.2rem}summary{cursor:pointer;color:var(--accent)}"
    "ol{margin:.5rem 0 0;padding:0;list-style:none;font-size:.9rem}"
    "ol a{display:grid;grid-template-columns:4.5em 6em 1fr;align-items:baseline;color:inherit;"
    "text-decoration:none;padding:.15em 0}"
    "ol a:hover{text-decoration:underline}ol b{font-weight:600;color:var(--accent)}"
    "ol i{font-style:normal;color:var(--soft)}"
    "ol code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow:hidden;"
    "text-overflow:ellipsis;white-space:nowrap}"
    "details ol{max-height:22rem;overflow:auto}"
    ".sheets{display:flex;flex-wrap:wrap;gap:.3rem .9rem;margin:1rem 0 0;font-size:.9rem}"
    "nav a{color:var(--accent)}main>section{margin-bottom:1.4rem}"
    "section>nav{display:flex;justify-content:space-between;gap:1rem;font-size:.9rem;margin:.2rem 0 1rem}"
    "section>.pantoum-surprisal+nav{margin:1rem 0}"
    "@supports selector(:has(a)){@media screen{main>section{display:none}"
    "main>section:target,main>section:has(:target),"
    "main:not(:has(section:target,section :target))>section:first-of-type{display:block}}}"
    "main .pantoum-surprisal{box-shadow:0 1px 3px #0002;font-size:.92rem}"
    "main .pantoum-surprisal mark{scroll-margin:4em}"
    "@media print{body{background:none}main{padding:0}details,nav{display:none!important}}"
)


class Page:
    """Writes a page."""

    def __init__(self, title: str, by: str, threshold: float | None) -> None:
        self._title, self._by, self._threshold = title, by, threshold
        self._alerts: list[str] = []
        self._count = 0
        self._line = 1
        self._sheets: list[int] = []
        """The first line of each sheet."""
        self._tokens = 0
        """Tokens in the open sheet."""

    def begin(self) -> str:
        """The beginning of the page."""
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{markup(self._title)}: surprisal</title><style>{STYLE}{surprisal.STYLE}</style>"
            f"<main>{self._open()}"
        )

    def rows(self, units: Sequence[Unit]) -> str:
        """The next units of the text."""
        parts = []
        for unit in units:
            pieces, peak, alert = unit
            if self._tokens >= SHEET:
                parts.append(self._close(more=True) + self._open())
            parts.append(surprisal.marked(unit, f"a{self._count}"))
            self._tokens += len(pieces)
            text = "".join(text for text, _ in pieces)
            if alert:
                if self._count < MOST_LINKS:
                    line = self._line + text[: len(text) - len(text.lstrip())].count("\n")
                    shown = markup(text.strip()[:SNIPPET])
                    self._alerts.append(
                        f'<li><a href="#a{self._count}"><b>{peak:.2f}</b><i>line {line:,}</i>'
                        f"<code>{shown}</code></a></li>"
                    )
                self._count += 1
            self._line += text.count("\n")
        return "".join(parts)

    def _open(self) -> str:
        """A new sheet, with a link to the one before."""
        number = len(self._sheets)
        self._sheets.append(self._line)
        self._tokens = 0
        before = f'<nav><a href="#p{number - 1}">previous page</a></nav>' if number else ""
        return f'<section id="p{number}">{before}<div class="pantoum-surprisal"><pre>\n'

    def _close(self, more: bool) -> str:
        """The end of a sheet, with a link to the next one."""
        number = len(self._sheets)
        after = f'<nav><span></span><a href="#p{number}">next page</a></nav>' if more else ""
        return f"</pre></div>{after}</section>"

    def end(self, units: int, tokens: int, nats: float) -> str:
        """The head, which the style puts first, and the end of the page."""
        figures = [("tokens", f"{tokens:,}", "")]
        if self._by != "token":
            figures.insert(0, (f"{self._by}s", f"{units:,}", ""))
        if tokens:
            figures.append(("nats per token", figure(nats / tokens), ""))
        if self._threshold is not None:
            figures.append(("alerts", f"{self._count:,}", ' class="some"' if self._count else ""))
            figures.append(("threshold, nats", f"{self._threshold:.2f}", ""))
        shown = "".join(f"<div><dt>{name}</dt><dd{kind}>{text}</dd></div>" for name, text, kind in figures)
        return (
            f"{self._close(more=False)}<header><small>The stronger the colour of a token, the less the model "
            "expected it. Point at a token to read its surprisal.</small>"
            f"<h1>{markup(self._title)}</h1><dl>{shown}</dl>"
            f'<div class="pantoum-surprisal">{surprisal.legend()}</div>'
            f"{self._links()}{self._contents()}</header></main></html>\n"
        )

    def _links(self) -> str:
        if not self._alerts:
            return ""
        more = f", the first {MOST_LINKS:,} of them" if self._count > MOST_LINKS else ""
        words = f"{self._count:,} {self._by}{'' if self._count == 1 else 's'} above the threshold{more}"
        alerts = "".join(self._alerts)
        return f"<details open><summary>{words}</summary><ol>{alerts}</ol></details>"

    def _contents(self) -> str:
        """Links to the sheets, evenly spread where they are many."""
        many = len(self._sheets)
        if many < 2:
            return ""
        step = -(-many // MOST_SHEETS)
        links = "".join(
            f'<a href="#p{number}">line {self._sheets[number]:,}</a>' for number in range(0, many, step)
        )
        return f'<nav class="sheets"><span>{many:,} pages, from</span>{links}</nav>'
