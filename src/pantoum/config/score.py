"""Settings of ``score``: the unit, how the text is read, the alerts, and what is not judged: parts of a line
that no model can predict, by the rules of ``--mask`` and the regular expressions of ``--ignore``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pantoum.config.rules import known_encoding, number, one_of, path, require, text, texts, truth, whole
from pantoum.config.setting import SettingGroup, setting

MOST_CACHE = 100_000
"""Most tokens in a cache."""


def cache_size() -> Any:
    """The field of a cache of the recent past."""
    return setting(
        None,
        "mix the model with a cache of the last N tokens (Grave and others 2016)",
        partial(whole, most=MOST_CACHE),
        metavar="N",
        off=True,
    )


@dataclass(frozen=True)
class ReadingConfig(SettingGroup):
    """How a text is read with a model."""

    encoding: str | None = setting(
        None,
        "encoding of text files that are not in UTF-8 or UTF-16, for example windows-1252",
        known_encoding,
        metavar="NAME",
    )
    adapt: bool = setting(
        False, "let a copy of the model learn from each chunk of the text after scoring it", truth
    )
    cache: int | None = cache_size()
    model_out: str | None = setting(
        None,
        "save the adapted model in this file at the end; `score` also every five minutes",
        path,
        metavar="F",
    )


@dataclass(frozen=True)
class EvaluationConfig(ReadingConfig):
    """How a model is measured on a text."""

    protocol: str = setting(
        "carried",
        "how the text is read; carried: in one pass with the state carried",
        text,
        metavar="carried|segments:N|windows:N",
    )


UNITS = ("token", "word", "line")
MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
GROUPS = "[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6}"
MASKS = {
    "dates": (
        rf"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?{MONTH}\.? +\d{{1,2}}\b",
        rf"\b\d{{1,2}}[ /-]{MONTH}\b",
        r"\b\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\.?\d)",
        r"(?:\b|T)\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?\b",
    ),
    "addresses": (
        r"\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?\b",
        r"\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b",
        rf"(?<![\w:])(?:{GROUPS})?::(?:{GROUPS})?(?![\w:])",
        r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b",
    ),
    "hexadecimal": (
        r"\b0[xX][0-9A-Fa-f]+\b",
        r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b",
        r"\b(?=[A-Fa-f]*\d)[0-9A-Fa-f]{8,}\b",
    ),
    "numbers": (r"\d+(?:[.,]\d+)*",),
}
"""What ``--mask`` does not judge: parts of a line that no model can predict; of those that match at one place
the first counts. The guide on odd lines shows them all."""
BEGINS = r"(?=[\d:A-FJMNOSTWa-f])"
"""No match of a rule begins with anything else: to know that takes half of the time of a search."""


@dataclass(frozen=True)
class Alert:
    """When a token, word or line is an alert: its *peak*, the nats of its most surprising token, is above a
    threshold. Either the threshold or a share is given."""

    nats: float | None = None
    """The threshold."""
    share: float | None = None
    """The share of the units of ordinary text that may be above the threshold, which is learned from such
    text."""

    @staticmethod
    def parse(text: str | float) -> Alert:
        """``9.5``, or ``auto:0.1%``."""
        rule = "must be a number of nats, or auto:P% with P above 0 and at most 50"
        advice = "give for example 9.5, or auto:0.1%"
        if isinstance(text, int):
            text = number(text, "alert", least=0.0)
        found = re.fullmatch(r"(auto:)?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(%?)", str(text).strip())
        learned = found is not None and found[1] is not None
        require(found is not None and learned == bool(found[3]), "alert", text, rule, advice)
        value = float(found[2]) if found is not None else 0.0
        require(not learned or (value / 100.0 > 0.0 and value <= 50.0), "alert", text, rule, advice)
        require(math.isfinite(value), "alert", text, rule, advice)
        return Alert(share=value / 100.0) if learned else Alert(nats=value)


def alert_words(value: Any, argument: str) -> str | float:
    """An alert as people give it; ``Alert.parse`` reads it."""
    given = str(value) if isinstance(value, str) else number(value, argument, least=0.0)
    Alert.parse(given)
    return given


def expressions(value: Any, argument: str) -> tuple[str, ...]:
    """Regular expressions that match no empty text; a single one may be given as it is."""
    found = texts(value, argument)
    for pattern in found:
        try:
            problem = "it matches an empty text" if re.search(pattern, "") else ""
        except (re.error, OverflowError, RecursionError) as error:
            problem = str(error)
        rule = f"must be a regular expression ({problem})"
        require(not problem, argument, pattern, rule, "give one of Python, for example 'session=\\w+'")
    return found


def ignored(mask: bool, patterns: Sequence[str]) -> re.Pattern[str] | None:
    """One expression of all rules that were asked for; ``None`` without any."""
    rules = "|".join(f"(?:{rule})" for found in MASKS.values() for rule in found)
    each = [*(f"(?:{pattern})" for pattern in patterns), *([f"{BEGINS}(?:{rules})"] if mask else [])]
    return re.compile("|".join(each)) if each else None


@dataclass(frozen=True)
class ScoreConfig(ReadingConfig):
    """What is scored, and how the text is read."""

    by: str = setting("line", "unit that is scored", partial(one_of, choices=UNITS))
    streams: int = setting(
        1,
        "read a long text in N parallel segments, which is faster; each segment is warmed up by the 256 "
        "tokens before it, and results come in blocks",
        partial(whole, most=100_000),
        metavar="N",
    )
    documents: bool = setting(
        False,
        "score each line as a document: the state is reset before it (a model trained on "
        "documents always does so)",
        truth,
    )
    alert: str | float | None = setting(
        None,
        "mark every unit whose most surprising token is above this threshold in nats, or above the threshold "
        "that P% of the validation text exceeds",
        alert_words,
        metavar="NATS|auto:P%",
    )
    alert_text: str | None = setting(
        None,
        "learn the threshold of auto:P% from this ordinary text instead of the validation text",
        path,
        metavar="FILE",
    )
    alert_by: str = setting(
        "peak",
        "what is compared with the threshold: the nats of the most surprising token; or, for lines that are "
        "sequences of events, the mean nats of its tokens, each counted as half a nat at most",
        partial(one_of, choices=("peak", "mean")),
        metavar="peak|mean",
    )
    mask: bool = setting(False, "ignore numbers, dates, addresses and hexadecimal in alerts", truth)
    ignore: tuple[str, ...] = setting(
        (),
        "ignore matches of this regular expression in alerts; may be repeated",
        expressions,
        metavar="REGEX",
    )

    def agree(self) -> None:
        """What a text of ordinary lines and adapting need."""
        learned = self.alert is not None and Alert.parse(self.alert).share is not None
        require(
            self.alert_text is None or learned,
            "alert_text",
            self.alert_text,
            "is what auto:P% is learned from",
            "give --alert auto:P%, or leave it out",
        )
        require(
            not self.adapt or self.streams == 1,
            "streams",
            self.streams,
            "must be 1 with --adapt, which reads a text in order",
            "leave one of the two out",
        )
