"""The output formats of ``pantoum score``: text, tsv and jsonl (one row per score), one JSON object, one HTML
page.

A format is written as it grows: ``begin``, ``rows`` for each batch of scores, ``end`` with the sums. Every
score carries the number of the line in which it begins.
"""

from __future__ import annotations

import json
import os
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

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
    alert_by: str = "peak"
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
            above = f"{self.threshold:.2f} nats" if self.alert_by == "peak" else f"{self.threshold:.4f}"
            parts.append(f"{many(self.alerts, 'alert')} above {above}")
        return "pantoum: " + ", ".join(parts)


class Numbered:
    """Counts the lines of a text whose scores come in order; of a rotated log, those of each file."""

    def __init__(self, line: int = 1, starts: Sequence[int] = (0,)) -> None:
        """``line``: the first; ``starts``: how many lines come before each file, which may grow meanwhile."""
        self._line, self._starts = line, starts

    def __call__(self, scores: Sequence[Score]) -> list[tuple[int, Score]]:
        """Each score with the number of the line in which its first visible character stands."""
        found = []
        for score in scores:
            text = score.text
            ends = text.count("\n")
            before = ends and text[: len(text) - len(text.lstrip())].count("\n")
            # A blank line begins where it stands, not where the next one does.
            line = self._line + (before if text.strip() else 0)
            found.append((line - self._starts[max(0, bisect_left(self._starts, line) - 1)], score))
            self._line += ends
        return found


class TextForm:
    """One row per score, for people: nats, peak, tokens, place, odd, text. An alert has ``!`` before it.

    ``odd`` is the most surprising token, and its column in the text: it stands beside the text, so that a
    search finds what the text says. On a terminal there is a header; with colours alerts are red, and the
    most surprising token is also set off within the text.
    """

    needs_pieces = False

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._marks = ("", "") if threshold is None else ("  ", "! ")
        self._terminal = is_terminal(sys.stdout)
        self._colour = self._terminal and not os.environ.get("NO_COLOR")
        self._name = "stdin" if name == "-" else name
        self._by = by

    def begin(self) -> str:
        """The names of the columns, on a terminal."""
        if not self._terminal:
            return ""
        where = "place".ljust(len(self._name) + 5)
        odd = f"  {'odd':10}" if self._by != "token" else ""
        head = f"{self._marks[0]}{'nats':>10} {'peak':>8} {'tokens':>6}  {where}{odd}  text"
        return f"{DIM}{head}{PLAIN}\n" if self._colour else f"{head}\n"

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """One line each; line ends and control characters in the text are escaped."""
        rows = []
        for line, score in scores:
            colour = RED if score.alert and self._colour else ""
            where = f"{self._name}:{line}".ljust(len(self._name) + 5)
            row = (
                f"{colour}{self._marks[score.alert]}{score.nats:10.3f} {score.peak:8.3f} {score.tokens:6d}  "
                f"{where}{self._odd(score)}  {self._text(score, colour)}"
            )
            rows.append(f"{row}{PLAIN}\n" if colour else f"{row}\n")
        return "".join(rows)

    def _text(self, score: Score, colour: str) -> str:
        """The text of a score; in colours, with its most surprising token set off."""
        text, (start, end) = one_row(score.text, self._by), score.at
        if not self._colour or self._by == "token":
            return self._shown(text)
        token = self._shown(text[start:end])
        return f"{self._shown(text[:start])}{STRONG}{token}{PLAIN}{colour}{self._shown(text[end:])}"

    def _odd(self, score: Score) -> str:
        """The most surprising token and its column, from 1; a space where nothing was judged."""
        if self._by == "token":
            return ""
        quoted = json.dumps(score.odd, ensure_ascii=False) if score.peak else ""
        return "  " + f"{score.at[0] + 1}:{self._visible(quoted)}".ljust(10) if quoted else " " * 12

    def _shown(self, text: str) -> str:
        return self._visible(text.translate(ESCAPES))

    def _visible(self, escaped: str) -> str:
        if not self._terminal:
            return escaped
        from pantoum import console

        return console.visible(escaped)

    def end(self, sums: ScoreSums) -> str:
        """Nothing."""
        return ""


class Tsv:
    """One row per score, for programs; ``odd`` is the most surprising token, ``column`` its place in the
    text, from 1."""

    needs_pieces = False

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._by, self._marked = by, threshold is not None

    def begin(self) -> str:
        """The names of the columns."""
        return "nats\ttokens\tpeak\t" + ("alert\t" if self._marked else "") + "line\tcolumn\todd\ttext\n"

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """One row each; line ends and control characters in the text are escaped."""
        alerts = ("0\t", "1\t") if self._marked else ("", "")
        return "".join(
            f"{s.nats:.6f}\t{s.tokens}\t{s.peak:.6f}\t{alerts[s.alert]}{line}\t{s.at[0] + 1}\t"
            f"{s.odd.translate(ESCAPES)}\t{one_row(s.text, self._by).translate(ESCAPES)}\n"
            for line, s in scores
        )

    def end(self, sums: ScoreSums) -> str:
        """Nothing."""
        return ""


class JsonLines:
    """One object per score, for programs that read a log as it grows."""

    needs_pieces = False

    def __init__(self, by: str, threshold: float | None, name: str) -> None:
        self._by, self._marked = by, threshold is not None
        self._name = "stdin" if name == "-" else name

    def begin(self) -> str:
        """Nothing."""
        return ""

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """One object per line; the text is without the end of its line."""
        return "".join(f"{_json(self._object(line, score))}\n" for line, score in scores)

    def _object(self, line: int, s: Score) -> dict[str, Plain]:
        alert: dict[str, Plain] = {"alert": s.alert} if self._marked else {}
        where: dict[str, Plain] = {"file": self._name, "line": line, "column": s.at[0] + 1, "odd": s.odd}
        figures: dict[str, Plain] = {"nats": s.nats, "tokens": s.tokens, "peak": s.peak}
        return {**alert, **where, **figures, "text": one_row(s.text, self._by)}

    def end(self, sums: ScoreSums) -> str:
        """Nothing: the sums are told on stderr."""
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
        return _for_stdout(self._page.begin())

    def rows(self, scores: Sequence[tuple[int, Score]]) -> str:
        """The next part of the text."""
        return _for_stdout(self._page.rows([(s.pieces, s.peak, s.alert) for _, s in scores]))

    def end(self, sums: ScoreSums) -> str:
        """The head with the sums, and the end of the page."""
        return _for_stdout(self._page.end(sums.units, sums.tokens, sums.nats))


def _for_stdout(page: str) -> str:
    """A page says that it is in UTF-8; where stdout is not, other characters than ASCII are references."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    return page if utf8 else page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def one_row(text: str, by: str) -> str:
    """The text of a unit for a row of its own: a line is shown without its end."""
    return text.rstrip("\r\n") if by == "line" else text


def _json(value: dict[str, Plain]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


ScoreForm: TypeAlias = TextForm | Tsv | Json | JsonLines | Html
"""Writes scores, each with its line number, as they come; with ``needs_pieces``, each with its tokens too."""
FORMS: dict[str, Callable[[str, float | None, str], ScoreForm]] = {
    "text": TextForm,
    "tsv": Tsv,
    "json": Json,
    "jsonl": JsonLines,
    "html": Html,
}
