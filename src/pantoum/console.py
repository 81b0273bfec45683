"""What the command line needs beside the public interface: how things are shown on a terminal, names of
folders.

Nothing here is public, and nothing here computes.
"""

from __future__ import annotations

import os
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pantoum.config import path, require
from pantoum.text.unicode import without_surrogates

if TYPE_CHECKING:
    from pantoum.config import CompleteConfig as CompleteConfig
    from pantoum.config.plain import Plain
    from pantoum.inference.after_prompts import WrittenTexts as WrittenTexts
    from pantoum.inference.completer import Completer
    from pantoum.inference.score import Score as Score
    from pantoum.inference.score import Scorer as Scorer
    from pantoum.model import Model as Model
    from pantoum.report.comparison import Comparison
    from pantoum.report.surprisal_page import Page

__all__ = [
    "completer",
    "free_folder",
    "latest_record",
    "lines",
    "page",
    "parts",
    "perplexity",
    "printable",
    "require_state_place",
    "show_comparison",
    "sparkline",
    "visible",
    "watch",
    "whole_text",
]

MOST_BYTES = 1 << 20
"""Bytes of a file that an option names."""


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
    from pantoum.config.encoding_names import known_encoding
    from pantoum.data import text_parts

    return text_parts.parts(text, None if encoding is None else known_encoding(encoding, "encoding"))


def page(title: str, by: str, threshold: float | None) -> Page:
    """A page of scores, written as it grows."""
    from pantoum.report.surprisal_page import Page

    return Page(title, by, threshold)


def sparkline(values: Sequence[float]) -> str:
    """A curve in one line of text."""
    from pantoum.report import plot

    return plot.sparkline(values)


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


def completer(model: Model, config: CompleteConfig) -> Completer:
    """What suggests words after one text or another."""
    from pantoum.inference.completer import Completer

    return Completer(model._loaded, config)


def whole_text(file: str, argument: str, most: int = MOST_BYTES) -> str:
    """The text of a file of at most so many bytes, which an option names."""
    from pantoum.data.sources import unreadable

    try:
        with Path(path(file, argument)).open("rb") as opened:
            data = opened.read(most + 1)
    except OSError as error:
        raise unreadable(file, error) from None
    require(len(data) <= most, argument, file, f"may have at most {most:,} bytes", "divide it into files")
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def lines(file: str, argument: str, most: int = MOST_BYTES) -> list[str]:
    """The texts of a file, a line each, in ``.jsonl`` a JSON string each; empty lines are none."""
    text, notes = without_surrogates(whole_text(file, argument, most))
    if notes:
        warnings.warn(f"{file} is not all in UTF-8: what is not is read as U+FFFD", UserWarning, stacklevel=2)
    found = [line.removesuffix("\r") for line in text.split("\n")]
    places = [number for number, line in enumerate(found, start=1) if line.strip()]
    require(bool(places), argument, file, "has no line that is not empty", "write a text per line")
    if not file.lower().endswith(".jsonl"):
        return [found[number - 1] for number in places]
    return [_json_text(found[number - 1], argument, f"{file}, line {number}") for number in places]


def _json_text(line: str, argument: str, place: str) -> str:
    import json

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    require(isinstance(found, str), argument, place, "is no JSON string", 'write "Once\\nupon" and the like')
    return printable(str(found))
