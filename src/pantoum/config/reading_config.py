"""The settings of a text that is read with a model: ``score`` and ``evaluate`` have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from pantoum.config.encoding_names import known_encoding
from pantoum.config.rules import path, text, truth, whole
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
