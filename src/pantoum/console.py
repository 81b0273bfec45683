"""What the command line needs beside the public interface: how things are shown on a terminal, names of
folders.

Nothing here is public, and nothing here computes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pantoum.config import path
from pantoum.text.unicode import without_surrogates

if TYPE_CHECKING:
    from pantoum.config.plain import Plain
    from pantoum.inference.score import Score as Score
    from pantoum.inference.writing.distinct import WrittenTexts as WrittenTexts
    from pantoum.model import Model
    from pantoum.report.comparison import Comparison
    from pantoum.report.surprisal_page import Page

__all__ = [
    "free_folder",
    "latest_record",
    "page",
    "parts",
    "perplexity",
    "printable",
    "require_state_place",
    "show_comparison",
    "sparkline",
    "visible",
    "watch",
]


def require_state_place(model: Model, state_out: str) -> None:
    """Raise ``SettingError`` if a state cannot be written there, or would overwrite the model."""
    from pantoum.inference.files.apart import require_apart, require_place

    require_place("state_out", state_out)
    require_apart("state_out", state_out, "the model itself", [model._loaded.path])


def watch(run: str | os.PathLike[str], stream: TextIO) -> str:
    """Show a run on this stream until it ends, live where it is a terminal; the word for how it ended."""
    from pantoum.report import watched_run

    return watched_run.watch(Path(path(run, "run")), stream)


def latest_record(run: str | os.PathLike[str]) -> dict[str, Plain]:
    """The newest record of a run."""
    from pantoum.report import watched_run

    return watched_run.latest(Path(path(run, "run")))


def show_comparison(found: Comparison, stream: TextIO) -> None:
    """Write a comparison to this stream as a table."""
    from pantoum.report import comparison_table

    comparison_table.show(found, stream)


def parts(text: str | os.PathLike[str], encoding: str | None = None) -> Iterator[bytes]:
    """A text file, or stdin (``-``), as it comes: what ``Model.score_stream`` takes. ``encoding``:
    what it is in if it is not UTF-8."""
    from pantoum.data import text_parts

    return text_parts.parts(text, encoding)


def page(title: str, by: str, threshold: float | None) -> Page:
    """A page of scores, written as it grows."""
    from pantoum.report.surprisal_page import Page

    return Page(title, by, threshold)


def sparkline(values: Sequence[float]) -> str:
    """A curve in one line of text."""
    from pantoum.report import sparkline

    return sparkline.sparkline(values)


def perplexity(nats: float) -> str:
    """The perplexity of so many nats per word, as people read it."""
    from pantoum.report import wording

    return wording.perplexity(nats)


def visible(text: str) -> str:
    """Text of a model as a terminal may show it: what would command the terminal is spelled out."""
    from pantoum.report import escape

    return escape.visible(text)


def free_folder(name: str) -> str:
    """The first of ``name``, ``name-2``, ``name-3``, ... that does not exist."""
    number = 1
    while os.path.lexists(found := name if number == 1 else f"{name}-{number}"):
        number += 1
    return found


def printable(prompt: str) -> str:
    """A prompt as it can be encoded: lone surrogates, which are no characters, are U+FFFD."""
    return without_surrogates(prompt)[0]
