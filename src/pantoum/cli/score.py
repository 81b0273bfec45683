"""``pantoum score``: how surprising each token, word or line of a text is to a model, in nats.

Lines are read and scored as they come, so `tail -f app.log | pantoum score MODEL -` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pantoum.cli.output import Output, is_terminal
from pantoum.errors import TextError

if TYPE_CHECKING:
    from pantoum.api import Score

HELP = "say how surprising each token, word or line of a text is, in nats"
EXAMPLES = """examples:
  pantoum score runs/book chapter.txt --by word
  tail -f app.log | pantoum score runs/log -
  pantoum score runs/book chapter.txt --format html > chapter.html
"""
FORMATS = ("text", "tsv", "json", "html")
LONGEST_PART = 1 << 20
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, the text, the unit and the form of the answer."""
    parser.add_argument("model", metavar="MODEL", help="a model file, or a run folder (its best model)")
    parser.add_argument(
        "text", nargs="?", default="-", metavar="TEXT", help="a text file; - (default) is stdin"
    )
    parser.add_argument(
        "--by", default="line", metavar="token|word|line", help="what is scored (default line)"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        metavar="|".join(FORMATS),
        help="form of the answer (default text: nats, tokens, the piece)",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same as --format json"
    )


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Score part after part; the table's lines come at once, JSON and HTML when the text has ended."""
    from pantoum import api

    model, parts = api.load(arguments.model), _parts(arguments.text)
    if arguments.format in ("text", "tsv"):
        shown = api.visible if is_terminal(sys.stdout) else str
        if arguments.format == "tsv":
            output.answer("nats\ttokens\ttext")
        for score in model.score_stream(parts, arguments.by):
            output.answer(_row(score, arguments.format, shown))
        return
    scores = model.scores(parts, arguments.by)
    if arguments.format == "html":
        output.answer(scores.html())
    else:
        output.json(
            {
                "by": scores.by,
                "tokens": scores.tokens,
                "nats": scores.nats,
                "nats_per_token": scores.nats_per_token,
                "items": [{"text": s.text, "nats": s.nats, "tokens": s.tokens} for s in scores],
            }
        )


def _row(score: Score, form: str, shown: Callable[[str], str]) -> str:
    if form == "tsv":
        return f"{score.nats:.6f}\t{score.tokens}\t{score.text.translate(ESCAPES)}"
    return f"{score.nats:10.3f} {score.tokens:6d}  {shown(score.text.translate(ESCAPES))}"


def _parts(name: str) -> Iterator[bytes]:
    """The text a line at a time, as it comes; very long lines in pieces."""
    with _opened(name) as file:
        while data := file.readline(LONGEST_PART):
            yield data


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        if sys.stdin is None:
            raise TextError("text is '-': stdin is closed; give a file, or a text on stdin")
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below; opening fails with our own words
    except OSError as error:
        raise TextError(
            f"text {name!r} cannot be read: {error.strerror}; give a text file, or - for stdin"
        ) from None
    with file:
        yield file
