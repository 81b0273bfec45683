"""What ``score`` does not judge: parts of a line that no model can predict, found by regular expressions.

``--mask`` has the rules below, ``--ignore`` takes a person's own. The guide on odd lines shows them all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pantoum.config.rules import require, texts

__all__ = ["MASKS", "expressions", "ignored"]

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
"""The rules by what they find; of those that match at one place the first counts."""
BEGINS = r"(?=[\d:A-FJMNOSTWa-f])"
"""No match of a rule begins with anything else: to know that takes half of the time of a search."""


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
