"""Text coloured by surprisal: how little each token was expected, in nats.

A pure function from pieces and their nats to a fragment of HTML that carries its own style and a legend,
for the report, ``pantoum score --format html`` and a notebook. A piece with no figure (the first token of a
text has no past) stays plain. Everything is escaped; control characters and line ends are shown. Eight
steps of one tint, each checked for contrast against the text; the two most surprising are underlined too,
so that the picture does not rest on colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from pantoum.report.escape import markup
from pantoum.report.wording import figure

__all__ = ["BOUNDS", "STYLE", "document", "fragment", "html", "level"]

BOUNDS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Nats a token at which the next tint begins."""
MOST_TITLES = 20_000
"""Pieces up to which each carries its figure to be read by pointing at it; beyond, equal tints are joined."""

_LIGHT = ("#fffdf8", "#fcf5ea", "#faecdb", "#f6dfc7", "#f2cfae", "#edba94", "#e7a37b", "#df8a66")
_DARK = ("#1b1917", "#252019", "#31261d", "#402d21", "#513627", "#633f2d", "#764933", "#8a5439")


def _tints(colours: Sequence[str]) -> str:
    return "".join(f"--s{i}:{colour};" for i, colour in enumerate(colours))


STYLE = (
    ".pantoum-surprisal{--s-ink:#201d1a;--s-soft:#625c54;" + _tints(_LIGHT) + "background:var(--s0);"
    "color:var(--s-ink);border-radius:6px;padding:1em 1.15em;overflow-wrap:anywhere;"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    ".pantoum-surprisal pre{margin:0;font:1em/1.75 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"
    "white-space:pre-wrap;background:none;color:inherit;padding:0;border:0}"
    ".pantoum-surprisal i{font-style:normal;padding:.14em 0}"
    ".pantoum-surprisal pre b{font-weight:400;font-size:.75em}"
    + "".join(f".pantoum-surprisal .s{i}{{background:var(--s{i})}}" for i in range(1, 8))
    + ".pantoum-surprisal .s6,.pantoum-surprisal .s7{text-decoration:underline;text-underline-offset:.2em;"
    "text-decoration-thickness:1px}"
    ".pantoum-surprisal p{display:flex;flex-wrap:wrap;gap:.35em .9em;margin:1em 0 0;color:var(--s-soft);"
    "font:.8em/1.5 system-ui,sans-serif}"
    ".pantoum-surprisal p i{color:var(--s-ink);padding:.1em .55em;white-space:nowrap}"
    ".pantoum-surprisal p .s0{box-shadow:inset 0 0 0 1px var(--s2)}"
    "@media screen and (prefers-color-scheme:dark){.pantoum-surprisal{--s-ink:#efe9e0;--s-soft:#aea69b;"
    + _tints(_DARK)
    + "}}"
)


def level(nats: float | None) -> int | None:
    """Which of the eight tints this surprisal has; ``None`` where there is no figure."""
    if nats is None or math.isnan(nats):
        return None
    return sum(nats >= bound for bound in BOUNDS)


def _shown(piece: str) -> str:
    """A piece of text in HTML, its line ends visible."""
    return markup(piece).replace("\n", "<b>↵</b>\n")


def _span(text: str, tint: int | None, words: str = "") -> str:
    kind = f' class="s{tint}"' if tint else ""
    title = f' title="{words}"' if words else ""
    return f"<i{kind}{title}>{_shown(text)}</i>" if kind or title else _shown(text)


def _words(nats: float | None) -> str:
    if nats is None or math.isnan(nats):
        return ""
    return f"{nats:.2f} nats" if math.isfinite(nats) else "held to be impossible"


def _text(pieces: Sequence[tuple[str, float | None]]) -> str:
    """All pieces, each in its tint; long texts without a figure a piece, equal tints joined."""
    if len(pieces) <= MOST_TITLES:
        return "".join(_span(text, level(nats), _words(nats)) for text, nats in pieces)
    runs = groupby(pieces, key=lambda piece: level(piece[1]))
    return "".join(_span("".join(text for text, _ in run), tint) for tint, run in runs)


def _visible_pieces(pieces: Sequence[str], nats: Sequence[float | None]) -> list[tuple[str, float | None]]:
    """Pieces without the empty ones: a token that is only part of a character adds its nats to the next."""
    found: list[tuple[str, float | None]] = []
    before = 0.0
    for piece, figures in zip(pieces, nats, strict=True):
        if not piece:
            before += figures or 0.0
            continue
        found.append((piece, figures if figures is None else figures + before))
        before = 0.0
    return found


def _legend(nats: Sequence[float | None]) -> str:
    edges = ("0", *(f"{b:g}" for b in BOUNDS))
    steps = "".join(
        f'<i class="s{i}">{edge}{"+" if i == len(BOUNDS) else ""}</i>' for i, edge in enumerate(edges)
    )
    known = [n for n in nats if n is not None and math.isfinite(n)]
    mean = (
        f"<span>mean {figure(math.fsum(known) / len(known))} over {len(known):,} tokens</span>"
        if known
        else ""
    )
    return f"<p><span>surprisal from, in nats a token</span><span>{steps}</span>{mean}</p>"


def fragment(pieces: Sequence[str], nats: Sequence[float | None]) -> str:
    """The coloured text and its legend, for a page that already has ``STYLE``."""
    text = _text(_visible_pieces(pieces, nats))
    return f'<div class="pantoum-surprisal"><pre>{text}</pre>{_legend(nats)}</div>'


def html(pieces: Sequence[str], nats: Sequence[float | None]) -> str:
    """The coloured text as a fragment that stands alone: style, text, legend."""
    return f"<style>{STYLE}</style>{fragment(pieces, nats)}"


def document(pieces: Sequence[str], nats: Sequence[float | None], title: str) -> str:
    """The coloured text as a whole page, for a file."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{markup(title)}</title>"
        "<style>body{margin:0;padding:4vmin;background:#f4f0e8}.pantoum-surprisal{max-width:60rem;margin:auto}"
        "@media screen and (prefers-color-scheme:dark){body{background:#121110}}</style>"
        f"{html(pieces, nats)}</html>"
    )
