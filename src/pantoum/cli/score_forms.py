"""The output formats of ``pantoum score``: text and tsv (one row per score), one JSON object, one HTML page.

A format is written as it grows: ``begin``, ``rows`` for each batch of scores, ``end`` with the sums. Every
score carries the number of the line in which it begins.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pantoum.cli.output import is_terminal
from pantoum.config.plain import Plain

if TYPE_CHECKING:
    from pantoum.console import Score

__all__ = ["FORMS", "Numbered", "ScoreForm", "ScoreSums"]

ESCAPES = str.maketrans(
    {chr(code): f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    | {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
"""A row is one line for every reader and sends no command to a terminal, also through a pipe."""
RED, STRONG, DIM, PLAIN = "\x1b[31m", "\x1b[1;4m", "\x1b[2m", "\x1b[0m"


@dataclass
class ScoreSums:
    """ScoreSums of the scores so far."""

    by: str
    threshold: float | None
    token: str = "token"
    """What a token of the model is."""
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

        words = self.token == "word"
        token = "word" if words else "token"
        parts = [many(self.tokens, token)]
        if self.by not in ("token", token):
            parts.insert(0, many(self.units, self.by))
        if self.nats_per_token is not None:
            parts.append(f"{self.nats_per_token:.3f} nats per {token}")
            if words:
                from pantoum.console import perplexity

                parts.append(f"perplexity {perplexity(self.nats_per_token)} per word")
        if self.threshold is not None:
            parts.append(f"{many(self.alerts, 'alert')} above {self.threshold:.2f} nats")
        return "pantoum: " + ", ".join(parts)


class Numbered:
    """Counts the lines of a text whose scores come in order."""

    def __init__(self) -> None:
        self._line = 1

    def __call__(self, scores: Sequence[Score]) -> list[tuple[int, Score]]:
        """Each score with the number of the line in which its first visible character stands."""
        found = []
        for score in scores:
            text = score.text
            ends = text.count("\n")
            before = ends and text[: len(text) - len(text.lstrip())].count("\n")
            # A blank line begins where it stands, not where the next one does.
            found.append((self._line + (before if text.strip() else 0), score))
            self._line += ends
        return found


class ScoreForm(Protocol):
    """Writes scores as they come."""

    needs_pieces: bool
    """Whether each score must come with its tokens."""

    def begin(self) -> str:
        """What comes before all scores."""
        ...

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """Some scores, each with its line number."""
        ...

    def end(self, sums: ScoreSums) -> str:
        """What comes after all scores."""
        ...


class TextForm:
    """One row per score, for people: nats, peak, tokens, place, text. An alert has ``!`` before it.

    On a terminal there is a header, and the most surprising token of a row is set off; alerts are red. Where
    there is no colour it stands between ``»`` and ``«``: in every row on a terminal, elsewhere in alerts.
    """

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._marks = ("", "") if threshold is None else ("  ", "! ")
        self._terminal = is_terminal(sys.stdout)
        self._colour = self._terminal and not os.environ.get("NO_COLOR")
        self._name = "stdin" if name == "-" else name
        self.needs_pieces = by != "token" and (self._terminal or threshold is not None)

    def begin(self) -> str:
        """The names of the columns, on a terminal."""
        if not self._terminal:
            return ""
        where = "place".ljust(len(self._name) + 5)
        head = f"{self._marks[0]}{'nats':>10} {'peak':>8} {'tokens':>6}  {where}  text"
        return f"{DIM}{head}{PLAIN}\n" if self._colour else f"{head}\n"

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """One line each; line ends and control characters in the text are escaped."""
        rows = []
        for line, score in scores:
            colour = RED if score.alert and self._colour else ""
            where = f"{self._name}:{line}".ljust(len(self._name) + 5)
            row = (
                f"{colour}{self._marks[score.alert]}{score.nats:10.3f} {score.peak:8.3f} {score.tokens:6d}  "
                f"{where}  {self._text(score, colour)}"
            )
            rows.append(f"{row}{PLAIN}\n" if colour else f"{row}\n")
        return "".join(rows)

    def _text(self, score: Score, colour: str) -> str:
        """The text of a score with its most surprising token set off."""
        if not score.pieces or len(score.pieces) == 1 or not (self._terminal or score.alert):
            return self._shown(score.text)
        most = max(range(len(score.pieces)), key=lambda place: score.pieces[place][1])
        start = "".join(text for text, _ in score.pieces[:most])
        token = score.pieces[most][0]
        end = score.text[len(start) + len(token) :]
        first, last = (STRONG, PLAIN + colour) if self._colour else ("»", "«")
        return f"{self._shown(start)}{first}{self._shown(token)}{last}{self._shown(end)}"

    def _shown(self, text: str) -> str:
        escaped = text.translate(ESCAPES)
        if not self._terminal:
            return escaped
        from pantoum import console

        return console.visible(escaped)

    def end(self, sums: ScoreSums) -> str:
        """Nothing."""
        return ""


class Tsv:
    """One row per score, for programs."""

    needs_pieces = False

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._marked = threshold is not None

    def begin(self) -> str:
        """The names of the columns."""
        return "nats\ttokens\tpeak\t" + ("alert\t" if self._marked else "") + "line\ttext\n"

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """One row each; line ends and control characters in the text are escaped."""
        alerts = ("0\t", "1\t") if self._marked else ("", "")
        return "".join(
            f"{s.nats:.6f}\t{s.tokens}\t{s.peak:.6f}\t{alerts[s.alert]}{line}\t{s.text.translate(ESCAPES)}\n"
            for line, s in scores
        )

    def end(self, sums: ScoreSums) -> str:
        """Nothing."""
        return ""


class Json:
    """One object; the sums stand after the items, because they are not known before."""

    needs_pieces = False

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._by, self._threshold = by, threshold
        self._comma = ""

    def begin(self) -> str:
        """The beginning of the object."""
        return _json({"by": self._by, "threshold": self._threshold})[:-1] + ', "items": ['

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """The next items."""
        items = []
        for line, s in scores:
            item: dict[str, Plain] = {"text": s.text, "nats": s.nats, "tokens": s.tokens, "peak": s.peak}
            if self._threshold is not None:
                item["alert"] = s.alert
            items.append(_json({**item, "line": line}))
        if not items:
            return ""
        comma, self._comma = self._comma, ", "
        return comma + ", ".join(items)

    def end(self, sums: ScoreSums) -> str:
        """The sums and the end of the object."""
        found = {"tokens": sums.tokens, "nats": sums.nats, "nats_per_token": sums.nats_per_token}
        counted = {} if self._threshold is None else {"alerts": sums.alerts}
        return "], " + _json({**found, **counted, "interrupted": sums.interrupted})[1:] + "\n"


class Html:
    """A page: the text, each token coloured by its surprisal."""

    needs_pieces = True

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        from pantoum import console

        self._page = console.page("stdin" if name == "-" else Path(name).name, by, threshold)

    def begin(self) -> str:
        """The beginning of the page."""
        return self._page.begin()

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """The next part of the text."""
        return self._page.rows([(s.pieces, s.peak, s.alert) for _, s in scores])

    def end(self, sums: ScoreSums) -> str:
        """The head with the sums, and the end of the page."""
        return self._page.end(sums.units, sums.tokens, sums.nats)


def _json(value: dict[str, Plain]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


FORMS: dict[str, Callable[[str, float | None, str], ScoreForm]] = {
    "text": TextForm,
    "tsv": Tsv,
    "json": Json,
    "html": Html,
}
