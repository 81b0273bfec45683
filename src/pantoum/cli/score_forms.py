"""The forms of an answer of ``pantoum score``: text and tsv a row a score, one JSON object, one HTML page.

A form is written as it grows: ``begin``, ``rows`` for each batch of scores, ``end`` with the sums.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pantoum.cli.output import is_terminal

if TYPE_CHECKING:
    from pantoum.api import Score

__all__ = ["FORMS", "Form", "Sums"]

ESCAPES = str.maketrans(
    {chr(code): f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    | {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
"""A row is one line to whoever reads it, and commands no terminal, through a pipe either."""
RED, PLAIN = "\x1b[31m", "\x1b[39m"


@dataclass
class Sums:
    """What was scored so far."""

    by: str
    threshold: float | None
    units: int = 0
    tokens: int = 0
    nats: float = 0.0
    alerts: int = 0
    interrupted: bool = False

    def add(self, scores: Sequence[Score]) -> None:
        """Count a batch."""
        self.units += len(scores)
        self.tokens += sum(score.tokens for score in scores)
        self.nats += sum(score.nats for score in scores)
        self.alerts += sum(score.alert for score in scores)

    @property
    def nats_per_token(self) -> float | None:
        """The mean; ``None`` for an empty text."""
        return self.nats / self.tokens if self.tokens else None

    def __str__(self) -> str:
        def many(count: int, what: str) -> str:
            return f"{count:,} {what}{'' if count == 1 else 's'}"

        parts = [many(self.tokens, "token")]
        if self.by != "token":
            parts.insert(0, many(self.units, self.by))
        if self.nats_per_token is not None:
            parts.append(f"{self.nats_per_token:.3f} nats a token")
        if self.threshold is not None:
            parts.append(f"{many(self.alerts, 'alert')} beyond {self.threshold:.2f} nats")
        return "pantoum: " + ", ".join(parts)


class Form(Protocol):
    """Writes an answer as it grows."""

    def begin(self) -> str:
        """What comes before all scores."""
        ...

    def rows(self, scores: Sequence[Score]) -> str:
        """Some scores."""
        ...

    def end(self, sums: Sums) -> str:
        """What comes after all scores."""
        ...


class Text:
    """A row a score, for people; with a threshold ``!`` before what is beyond it."""

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._marks = ("", "") if threshold is None else ("  ", "! ")
        self._terminal = is_terminal(sys.stdout)
        self._colour = self._terminal and not os.environ.get("NO_COLOR")

    def begin(self) -> str:
        """Nothing."""
        return ""

    def rows(self, scores: Sequence[Score]) -> str:
        """Nats, peak, tokens, text."""
        from pantoum import api

        shown: Callable[[str], str] = api.visible if self._terminal else str
        rows = []
        for score in scores:
            text = shown(score.text.translate(ESCAPES))
            row = (
                f"{self._marks[score.alert]}{score.nats:10.3f} {score.peak:8.3f} {score.tokens:6d}  {text}\n"
            )
            rows.append(f"{RED}{row[:-1]}{PLAIN}\n" if score.alert and self._colour else row)
        return "".join(rows)

    def end(self, sums: Sums) -> str:
        """Nothing."""
        return ""


class Tsv:
    """A row a score, for programs."""

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._marked = threshold is not None

    def begin(self) -> str:
        """The names of the columns."""
        return "nats\ttokens\tpeak\t" + ("alert\t" if self._marked else "") + "text\n"

    def rows(self, scores: Sequence[Score]) -> str:
        """One row each; line ends and control characters in the text are escaped."""
        alerts = ("0\t", "1\t") if self._marked else ("", "")
        return "".join(
            f"{s.nats:.6f}\t{s.tokens}\t{s.peak:.6f}\t{alerts[s.alert]}{s.text.translate(ESCAPES)}\n"
            for s in scores
        )

    def end(self, sums: Sums) -> str:
        """Nothing."""
        return ""


class Json:
    """One object; the sums stand after the items, because they are not known before."""

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._by, self._threshold = by, threshold
        self._comma = ""

    def begin(self) -> str:
        """The object's beginning."""
        return _json({"by": self._by, "threshold": self._threshold})[:-1] + ', "items": ['

    def rows(self, scores: Sequence[Score]) -> str:
        """The next items."""
        items = []
        for s in scores:
            item: dict[str, Any] = {"text": s.text, "nats": s.nats, "tokens": s.tokens, "peak": s.peak}
            if self._threshold is not None:
                item["alert"] = s.alert
            items.append(_json(item))
        if not items:
            return ""
        comma, self._comma = self._comma, ", "
        return comma + ", ".join(items)

    def end(self, sums: Sums) -> str:
        """The sums, and the object's end."""
        found = {"tokens": sums.tokens, "nats": sums.nats, "nats_per_token": sums.nats_per_token}
        counted = {} if self._threshold is None else {"alerts": sums.alerts}
        return "], " + _json({**found, **counted, "interrupted": sums.interrupted})[1:] + "\n"


class Html:
    """A page: the text, each token coloured by its surprisal."""

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        from pantoum import api

        self._page = api.Page("stdin" if name == "-" else Path(name).name, by, threshold)

    def begin(self) -> str:
        """The page's beginning."""
        return self._page.begin()

    def rows(self, scores: Sequence[Score]) -> str:
        """The next part of the text."""
        return self._page.rows([(s.pieces, s.peak, s.alert) for s in scores])

    def end(self, sums: Sums) -> str:
        """The head with the sums, and the page's end."""
        return self._page.end(sums.units, sums.tokens, sums.nats)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


FORMS: dict[str, Callable[[str, float | None, str], Form]] = {
    "text": Text,
    "tsv": Tsv,
    "json": Json,
    "html": Html,
}
