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
from typing import TYPE_CHECKING

from pantoum.cli.output import is_terminal, json_text
from pantoum.config.plain import Plain

if TYPE_CHECKING:
    from pantoum.inference.scoring.units import Score

ESCAPES = str.maketrans(
    {chr(code): f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    | {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
"""A row is one line for every reader and sends no command to a terminal, also through a pipe."""
RED, STRONG, DIM, PLAIN = "\x1b[31m", "\x1b[1;4m", "\x1b[2m", "\x1b[0m"


@dataclass
class ScoreSums:
    """Sums over the scores so far."""

    by: str
    threshold: float | None
    token: str = "token"
    """What a token of the model is."""
    alert_by: str = "peak"
    protocol: str = "carried"
    """How the text was read."""
    unknown: int = 0
    """Tokens that the vocabulary lacks."""
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
            from pantoum.report.wording import how_measured, perplexity

            told = {"protocol": self.protocol, "unit": token, "unknown_tokens": self.unknown}
            parts.append(f"{self.nats_per_token:.3f} nats per {token}")
            if words:
                parts.append(f"perplexity {perplexity(self.nats_per_token)} per word")
            parts[-1] += f" ({how_measured(told)})"
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


@dataclass(frozen=True)
class ScoreForm:
    """Writes scores as they come."""

    begin: str
    """What stands before all rows: the names of the columns, where the format has them."""
    rows: Callable[[Sequence[tuple[int, Score]]], str]
    """The next scores, each with the line in which it begins; a page needs the tokens of each, too."""
    end: Callable[[ScoreSums], str]
    """What stands after them."""


def by_rows(head: str, row: Callable[[int, Score], str]) -> ScoreForm:
    """A row per score, each by itself; the sums are written to stderr."""
    return ScoreForm(head, lambda scores: "".join(row(line, score) for line, score in scores), lambda _: "")


def text_rows(by: str, threshold: float | None, name: str) -> ScoreForm:
    """One row per score, for people: nats, peak, tokens, place, odd, text. An alert has ``!`` before it.

    ``odd`` is the most surprising token, and its column in the text: it stands beside the text, so that a
    search finds what the text says. On a terminal there is a header; with colours alerts are red, and the
    most surprising token is also set off within the text. Line ends and control characters are escaped.
    """
    marks = ("", "") if threshold is None else ("  ", "! ")
    terminal = is_terminal(sys.stdout)
    coloured = terminal and not os.environ.get("NO_COLOR")
    name, tokens = "stdin" if name == "-" else name, by == "token"
    width = len(name) + 5

    def visible(escaped: str) -> str:
        if not terminal:
            return escaped
        from pantoum.report.escape import visible as shown_on_terminal

        return shown_on_terminal(escaped)

    def shown(text: str) -> str:
        return visible(text.translate(ESCAPES))

    def text_of(score: Score, colour: str) -> str:
        text, (start, end) = one_row(score.text, by), score.at
        if not coloured or tokens:
            return shown(text)
        return f"{shown(text[:start])}{STRONG}{shown(text[start:end])}{PLAIN}{colour}{shown(text[end:])}"

    def odd(score: Score) -> str:
        """The most surprising token and its column, from 1; a space where nothing was judged."""
        if tokens:
            return ""
        quoted = json.dumps(score.odd, ensure_ascii=False) if score.peak else ""
        return "  " + f"{score.at[0] + 1}:{visible(quoted)}".ljust(10) if quoted else " " * 12

    def row(line: int, score: Score) -> str:
        colour = RED if score.alert and coloured else ""
        figures = f"{score.nats:10.3f} {score.peak:8.3f} {score.tokens:6d}"
        where = f"{name}:{line}".ljust(width)
        found = f"{colour}{marks[score.alert]}{figures}  {where}{odd(score)}  {text_of(score, colour)}"
        return f"{found}{PLAIN}\n" if colour else f"{found}\n"

    columns = (
        f"{'nats':>10} {'peak':>8} {'tokens':>6}  {'place'.ljust(width)}{'' if tokens else '  odd'.ljust(12)}"
    )
    head = f"{marks[0]}{columns}  text"
    return by_rows("" if not terminal else f"{DIM}{head}{PLAIN}\n" if coloured else f"{head}\n", row)


def tsv_rows(by: str, threshold: float | None, name: str) -> ScoreForm:
    """One row per score, for programs; ``odd`` is the most surprising token, ``column`` its place in the
    text, from 1. Line ends and control characters are escaped."""
    alerts = ("", "") if threshold is None else ("0\t", "1\t")

    def row(line: int, s: Score) -> str:
        figures = f"{s.nats:.6f}\t{s.tokens}\t{s.peak:.6f}\t{alerts[s.alert]}{line}\t{s.at[0] + 1}"
        return f"{figures}\t{s.odd.translate(ESCAPES)}\t{one_row(s.text, by).translate(ESCAPES)}\n"

    marked = "" if threshold is None else "alert\t"
    return by_rows(f"nats\ttokens\tpeak\t{marked}line\tcolumn\todd\ttext\n", row)


def json_rows(by: str, threshold: float | None, name: str) -> ScoreForm:
    """One object per score, for programs that read a log as it grows; the text is without the end of its
    line."""
    name = "stdin" if name == "-" else name

    def row(line: int, s: Score) -> str:
        alert: dict[str, Plain] = {} if threshold is None else {"alert": s.alert}
        where: dict[str, Plain] = {"file": name, "line": line, "column": s.at[0] + 1, "odd": s.odd}
        figures: dict[str, Plain] = {"nats": s.nats, "tokens": s.tokens, "peak": s.peak}
        return json_text({**alert, **where, **figures, "text": one_row(s.text, by)}) + "\n"

    return by_rows("", row)


def json_object(by: str, threshold: float | None, name: str) -> ScoreForm:
    """One object; the sums stand after the items, because they are not known before."""
    comma = ""

    def rows(scores: Sequence[tuple[int, Score]]) -> str:
        nonlocal comma
        items = []
        for line, s in scores:
            item: dict[str, Plain] = {"text": s.text, "nats": s.nats, "tokens": s.tokens, "peak": s.peak}
            alert: dict[str, Plain] = {} if threshold is None else {"alert": s.alert}
            items.append(json_text({**item, **alert, "line": line}))
        before, comma = comma, ", " if items else comma
        return before + ", ".join(items) if items else ""

    def end(sums: ScoreSums) -> str:
        found = {"tokens": sums.tokens, "nats": sums.nats, "nats_per_token": sums.nats_per_token}
        counted = {} if threshold is None else {"alerts": sums.alerts}
        return "], " + json_text({**found, **counted, "interrupted": sums.interrupted})[1:] + "\n"

    return ScoreForm(json_text({"by": by, "threshold": threshold})[:-1] + ', "items": [', rows, end)


def html_page(by: str, threshold: float | None, name: str) -> ScoreForm:
    """A page: the text, each token coloured by its surprisal."""
    from pantoum.report.surprisal import Page

    page = Page("stdin" if name == "-" else Path(name).name, by, threshold)
    return ScoreForm(
        _for_stdout(page.begin()),
        lambda scores: _for_stdout(page.rows([(s.pieces, s.peak, s.alert) for _, s in scores])),
        lambda sums: _for_stdout(page.end(sums.units, sums.tokens, sums.nats)),
    )


def _for_stdout(page: str) -> str:
    """A page says that it is in UTF-8; where stdout is not, other characters than ASCII are references."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    return page if utf8 else page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def one_row(text: str, by: str) -> str:
    """The text of a unit for a row of its own: a line is shown without its end."""
    return text.rstrip("\r\n") if by == "line" else text


FORMS: dict[str, Callable[[str, float | None, str], ScoreForm]] = {
    "text": text_rows,
    "tsv": tsv_rows,
    "json": json_object,
    "jsonl": json_rows,
    "html": html_page,
}
