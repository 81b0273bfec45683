"""Settings of ``score``: the unit, how the text is read, the alerts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pantoum.config.rules import MOST_CACHE, number, one_of, option, require, settle, whole

__all__ = ["UNITS", "Alert", "ScoreConfig"]

UNITS = ("token", "word", "line")


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


@dataclass(frozen=True)
class ScoreConfig:
    """What is scored, and how the text is read."""

    by: str = option("line", "unit that is scored", choices=UNITS)
    """The unit: each token, word or line."""
    streams: int = option(
        1,
        "read a long text in N parallel segments, which is faster; each segment is warmed up by the 256 "
        "tokens before it, and results come a block at a time",
        metavar="N",
    )
    """Segments that are read in parallel; 1 reads each token after all tokens before it."""
    documents: bool = option(False, "score each line as a document of its own: the state is reset before it")
    """Whether the state is reset before each line. A model that was trained on documents resets it before
    each document in any case."""
    alert: str | float | None = option(
        None,
        "mark every unit whose most surprising token is above this threshold in nats, or above the threshold "
        "that P%% of the validation text exceeds",
        metavar="NATS|auto:P%",
    )
    """The threshold of alerts (``Alert``)."""
    alert_text: str | None = option(
        None,
        "learn the threshold of auto:P%% from this ordinary text instead of the validation text",
        metavar="FILE",
    )
    """An ordinary text from which ``auto:P%`` is learned; ``None``: the validation text of the run."""
    encoding: str | None = option(
        None,
        "encoding of the text files if they are not in UTF-8 or UTF-16, for example windows-1252",
        metavar="NAME",
    )
    """The encoding of text files that are not UTF-8, and of stdin."""
    adapt: bool = option(False, "let a copy of the model learn from each chunk of the text after scoring it")
    """Whether a copy of the model adapts to the text while it reads."""
    cache: int | None = option(
        None,
        "mix the model with a cache of the last N tokens (Grave and others 2016)",
        metavar="N",
        off=True,
    )
    """Tokens in a continuous cache that is mixed with the model; ``None``: no cache."""
    model_out: str | None = option(
        None, "save the adapted model in this file, every five minutes and at the end", metavar="F"
    )
    """Where the adapted model is saved, every five minutes and at the end of the text; ``None``: nowhere."""

    def __post_init__(self) -> None:
        settle(self)
        one_of(self.by, "by", UNITS)
        whole(self.streams, "streams", most=100_000)
        if self.cache is not None:
            whole(self.cache, "cache", most=MOST_CACHE)
        learned = self.alert is not None and Alert.parse(self.alert).share is not None
        require(
            self.alert_text is None or learned,
            "alert_text",
            self.alert_text,
            "is what auto:P% is learned from",
            "give alert auto:P%, or leave alert_text out",
        )
        if self.encoding is not None:
            from pantoum.config.encoding_names import known_encoding  # few give one

            known_encoding(self.encoding)
        require(
            not self.adapt or self.streams == 1,
            "streams",
            self.streams,
            "must be 1 with adapt, which reads a text in order",
            "leave one of the two out",
        )
