"""The scores of a text as Python users see them: with a picture in a notebook, and as a page of their own."""

from __future__ import annotations

from itertools import accumulate

from pantoum.config import text
from pantoum.config.calls import public
from pantoum.inference import score
from pantoum.report import surprisal
from pantoum.report.surprisal_page import Page

__all__ = ["Scores"]

PICTURED = 5000
"""Tokens after which the picture in a notebook ends; ``html`` has them all."""


class Scores(score.ScoredText):
    """The scores of a text, with a picture in a notebook: the text, each token coloured by its surprisal."""

    def _repr_html_(self) -> str:
        """The first ``PICTURED`` tokens or so, and how many units follow."""
        ends = accumulate(item.tokens for item in self.items)
        units = [
            (item.pieces, item.peak, item.alert)
            for item, end in zip(self.items, ends, strict=True)
            if end - item.tokens < PICTURED
        ]
        left = len(self) - len(units)
        return surprisal.html(units) + (f"<p>and {left:,} more {self.by}s</p>" if left else "")

    @public
    def html(self, title: str = "surprisal") -> str:
        """The same picture as a page of its own."""
        page = Page(text(title, "title"), self.by, self.threshold)
        units = [(item.pieces, item.peak, item.alert) for item in self.items]
        return page.begin() + page.rows(units) + page.end(len(self), self.tokens, self.nats)
