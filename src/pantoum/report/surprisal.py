"""Text coloured by surprisal: how little each token was expected, in nats.

A pure function from pieces and their nats to a fragment of HTML with its own style and a legend, for the
report, ``pantoum score --format html`` (``surprisal_page``) and notebooks. A piece without a figure (the
first token of a text has no context) stays plain. Pointing at a piece shows its nats. Everything is escaped;
control characters and line ends are shown. There are eight steps of one tint, each checked for contrast
against the text; the two most surprising are underlined too, and alerts are framed, so that the picture does
not depend on colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from pantoum.report.escape import markup
from pantoum.report.wording import figure

__all__ = [
    "BOUNDS",
    "MOST_FIGURES",
    "STYLE",
    "Unit",
    "coloured",
    "fragment",
    "html",
    "legend",
    "level",
    "marked",
]

BOUNDS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Nats per token at which the next tint begins."""
MOST_FIGURES = 20_000
"""Pieces up to which each carries its figure to be read by pointing at it; beyond, equal tints are joined."""
Piece = tuple[str, "float | None"]
Unit = tuple[Sequence[Piece], float, bool]
"""The pieces of a token, word or line; the nats of the most surprising; whether that is an alert."""

_LIGHT = ("#fffdf8", "#fcf5ea", "#faecdb", "#f6dfc7", "#f2cfae", "#edba94", "#e7a37b", "#df8a66")
_DARK = ("#1b1917", "#252019", "#31261d", "#402d21", "#513627", "#633f2d", "#764933", "#8a5439")


def _tints(colours: Sequence[str]) -> str:
    return "".join(f"--s{i}:{colour};" for i, colour in enumerate(colours))


STYLE = (
    ".pantoum-surprisal{--s-ink:#201d1a;--s-soft:#625c54;--s-alert:#a8401c;"
    + _tints(_LIGHT)
    + "background:var(--s0);"
    "color:var(--s-ink);border-radius:6px;padding:1em 1.15em;overflow-wrap:anywhere;"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    ".pantoum-surprisal pre{margin:0;font:1em/1.75 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"
    "white-space:pre-wrap;background:none;color:inherit;padding:0;border:0}"
    ".pantoum-surprisal i{font-style:normal;padding:.14em 0}"
    ".pantoum-surprisal pre b{font-weight:400;font-size:.75em;opacity:.45}"
    ".pantoum-surprisal pre i:hover{outline:1px solid var(--s-soft);position:relative}"
    ".pantoum-surprisal pre i[data-n]:hover::after{content:attr(data-n) ' nats';position:absolute;"
    "left:0;bottom:calc(100% + 3px);z-index:2;padding:.2em .6em;border-radius:4px;background:var(--s-ink);"
    "color:var(--s0);font:.8rem/1.5 system-ui,sans-serif;white-space:nowrap;pointer-events:none}"
    ".pantoum-surprisal mark{background:none;color:inherit;border-radius:3px;padding:.2em 0;"
    "box-shadow:0 0 0 2px var(--s-alert);-webkit-box-decoration-break:clone;box-decoration-break:clone}"
    ".pantoum-surprisal mark:target{box-shadow:0 0 0 4px var(--s-alert)}"
    + "".join(f".pantoum-surprisal .s{i}{{background:var(--s{i})}}" for i in range(1, 8))
    + ".pantoum-surprisal .s6,.pantoum-surprisal .s7{text-decoration:underline;text-underline-offset:.2em;"
    "text-decoration-thickness:1px}"
    ".pantoum-surprisal p{display:flex;flex-wrap:wrap;gap:.35em .9em;margin:1em 0 0;color:var(--s-soft);"
    "font:.8em/1.5 system-ui,sans-serif}"
    ".pantoum-surprisal p i{color:var(--s-ink);padding:.1em .55em;white-space:nowrap}"
    ".pantoum-surprisal p .s0{box-shadow:inset 0 0 0 1px var(--s2)}"
    "@media screen and (prefers-color-scheme:dark){.pantoum-surprisal{--s-ink:#efe9e0;--s-soft:#aea69b;"
    "--s-alert:#ff9d73;" + _tints(_DARK) + "}}"
)


def level(nats: float | None) -> int | None:
    """Which of the eight tints this surprisal has; ``None`` where there is no figure."""
    if nats is None or math.isnan(nats):
        return None
    return sum(nats >= bound for bound in BOUNDS)


def _shown(piece: str) -> str:
    """A piece of text in HTML, its line ends visible."""
    return markup(piece).replace("\n", "<b>↵</b>\n")


def _span(piece: Piece, figures: bool) -> str:
    text, nats = piece
    tint = level(nats)
    kind = f' class="s{tint}"' if tint else ""
    figure = _figure(nats) if figures else ""
    return f"<i{kind}{figure}>{_shown(text)}</i>" if kind or figure else _shown(text)


def _figure(nats: float | None) -> str:
    if nats is None or math.isnan(nats):
        return ""
    return f' data-n="{nats:.2f}"' if math.isfinite(nats) else ' data-n="infinitely many"'


def coloured(pieces: Sequence[Piece], figures: bool = True) -> str:
    """All pieces, each in its tint; without a figure a piece, equal tints joined. A token that is only a part
    of a character adds its nats to the next piece."""
    pieces = _visible_pieces(pieces)
    if figures:
        return "".join(_span(piece, True) for piece in pieces)
    runs = groupby(pieces, key=lambda piece: level(piece[1]))
    joined = ([*run] for _, run in runs)
    return "".join(_span(("".join(text for text, _ in run), run[0][1]), False) for run in joined)


def marked(unit: Unit, name: str, figures: bool = True) -> str:
    """A unit's pieces; if it is an alert, in a frame that a link can go to by this name. A line's end stays
    outside."""
    pieces, _, alert = unit
    if not alert:
        return coloured(pieces, figures)
    last = len(pieces) - 1 if len(pieces) > 1 and pieces[-1][0].strip(" \t") == "\n" else len(pieces)
    return f'<mark id="{name}">{coloured(pieces[:last], figures)}</mark>{coloured(pieces[last:], figures)}'


def _visible_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    found: list[Piece] = []
    before = 0.0
    for text, nats in pieces:
        if not text:
            before += nats or 0.0
            continue
        found.append((text, nats if nats is None else nats + before))
        before = 0.0
    return found


def legend(nats: float = 0.0, tokens: int = 0) -> str:
    """What the tints mean, and the mean of all tokens that have a figure."""
    edges = ("0", *(f"{b:g}" for b in BOUNDS))
    steps = "".join(
        f'<i class="s{i}">{edge}{"+" if i == len(BOUNDS) else ""}</i>' for i, edge in enumerate(edges)
    )
    mean = f"<span>mean {figure(nats / tokens)} over {tokens:,} tokens</span>" if tokens else ""
    return f"<p><span>surprisal in nats per token, from</span><span>{steps}</span>{mean}</p>"


def fragment(pieces: Sequence[str], nats: Sequence[float | None]) -> str:
    """The coloured text and its legend, for a page that already has ``STYLE``."""
    pairs = list(zip(pieces, nats, strict=True))
    return _sheet(coloured(pairs, len(pairs) <= MOST_FIGURES), nats)


def html(units: Sequence[Unit]) -> str:
    """The coloured text as a fragment that stands alone: style, text with its alerts, legend."""
    pieces = [piece for unit in units for piece in unit[0]]
    figures = len(pieces) <= MOST_FIGURES
    text = "".join(marked(unit, f"a{place}", figures) for place, unit in enumerate(units))
    return f"<style>{STYLE}</style>" + _sheet(text, [nats for _, nats in pieces])


def _sheet(text: str, nats: Sequence[float | None]) -> str:
    known = [n for n in nats if n is not None and math.isfinite(n)]
    return f'<div class="pantoum-surprisal"><pre>{text}</pre>{legend(math.fsum(known), len(known))}</div>'
