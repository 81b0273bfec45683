"""How many symbols a training step compares its targets with, as people write it."""

from __future__ import annotations

import re

from pantoum.config.rules import require, text, whole

__all__ = ["SAMPLES", "parse_softmax", "softmax_words", "spell_softmax"]

SAMPLES = 2048
"""Symbols that are sampled if no number is given."""


def parse_softmax(given: str) -> int | None:
    """Read ``full`` (``None``: all symbols), ``sampled`` or ``sampled:N``: the number of samples."""
    found = re.fullmatch(r"full|sampled(?::([0-9]{1,9}))?", given)
    require(
        found is not None,
        "softmax",
        given,
        "must be full, sampled or sampled:N",
        "give for example --softmax sampled:2048",
    )
    assert found is not None
    if given == "full":
        return None
    return SAMPLES if found[1] is None else whole(int(found[1]), "softmax", most=1 << 24)


def softmax_words(value: object, argument: str) -> str:
    """The symbols that are compared, as people give them."""
    given = text(value, argument)
    parse_softmax(given)
    return given


def spell_softmax(samples: int | None) -> str:
    """The text that ``parse_softmax`` reads back."""
    return "full" if samples is None else f"sampled:{samples}"
