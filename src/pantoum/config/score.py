"""What of a text is scored, and what is out of the ordinary."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pantoum.config.rules import one_of, option, require, whole

__all__ = ["UNITS", "Alert", "ScoreConfig"]

UNITS = ("token", "word", "line")


@dataclass(frozen=True)
class Alert:
    """When a token, word or line is out of the ordinary: its *peak*, the nats of its most surprising token,
    is beyond a figure. One of the two is given."""

    nats: float | None = None
    """The figure itself."""
    share: float | None = None
    """The share of ordinary text's units that may be beyond the figure, which is learned from such text."""

    @staticmethod
    def parse(text: str | float) -> Alert:
        """``9.5``, or ``auto:0.1%``."""
        rule = "must be a number of nats, or auto:P% with P above 0 and at most 50"
        advice = "give for example 9.5, or auto:0.1%"
        found = re.fullmatch(r"(auto:)?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(%?)", str(text).strip())
        learned = found is not None and found[1] is not None
        require(found is not None and learned == bool(found[3]), "alert", text, rule, advice)
        value = float(found[2]) if found is not None else 0.0
        require(not learned or 0.0 < value <= 50.0, "alert", text, rule, advice)
        require(math.isfinite(value), "alert", text, rule, advice)
        return Alert(share=value / 100.0) if learned else Alert(nats=value)


@dataclass(frozen=True)
class ScoreConfig:
    """What of a text is scored, and how it is read."""

    by: str = option("line", "what is scored", choices=UNITS)
    """The unit: each token, word or line."""
    streams: int = option(
        1,
        "for speed, read a long text in N segments side by side, each warmed by the 256 "
        "tokens before it; answers come a block at a time",
        metavar="N",
    )
    """Segments that are read side by side; 1 reads each token after all before it, and answers at once."""
    documents: bool = option(False, "each line is a text of its own: the state is zeroed before it")
    """Whether the state is zeroed before each line. A model trained on documents does so before each of
    them."""
    alert: str | float | None = option(
        None,
        "mark what is beyond a threshold: nats of its most surprising token, or learned so that P%% of "
        "the held-out text is beyond it",
        metavar="NATS|auto:P%",
    )
    """The threshold of an alert (``Alert``)."""
    alert_text: str | None = option(
        None, "learn auto:P%% from this ordinary text, not from the held-out one", metavar="FILE"
    )
    """An ordinary text from which ``auto:P%`` is learned; ``None``: the run's held-out text."""
    adapt: bool = option(False, "a copy of the model learns from each stretch of the text after scoring it")
    """Whether a copy of the model follows the text as it reads."""
    model_out: str | None = option(None, "keep the adapted model in this file", metavar="F")
    """Where the adapted model is kept when the text has ended; ``None``: nowhere."""

    def __post_init__(self) -> None:
        one_of(self.by, "by", UNITS)
        whole(self.streams, "streams", most=100_000)
        learned = self.alert is not None and Alert.parse(self.alert).share is not None
        require(
            self.alert_text is None or learned,
            "alert_text",
            self.alert_text,
            "is what auto:P% is learned from",
            "give alert auto:P%, or leave alert_text out",
        )
        require(
            not self.adapt or self.streams == 1,
            "streams",
            self.streams,
            "must be 1 with adapt, which reads a text in order",
            "leave one of the two out",
        )
