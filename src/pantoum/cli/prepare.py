"""``pantoum prepare``: tokenizes texts once, for many runs."""

from __future__ import annotations

import argparse

from pantoum.cli.options import add_settings, given
from pantoum.cli.output import Output
from pantoum.config import AUTO, TextSettings
from pantoum.config.plain import quoted

EXAMPLES = """examples:
  pantoum prepare corpus/ --tokens words --out corpus.tokens
  pantoum train --data corpus.tokens --minutes 30
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options; those of the text are the same as for ``train``."""
    parser.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="text files, folders or addresses, joined in this order; - is stdin",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to create")
    add_settings(parser, TextSettings)
    parser.add_argument(
        "--processes",
        type=_processes,
        default=AUTO,
        metavar="N",
        help="processes that split the text into words or byte-pair tokens; the result is the same with "
        "any number (default: one per core if the text is long enough)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _processes(text: str) -> int | str:
    if text == AUTO:
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"is {text!r}: it must be a whole number") from None


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Tokenize the texts and print the folder."""
    from pantoum import api

    prepared = api.prepare(
        arguments.texts,
        out=arguments.out,
        progress=not output.quiet,
        processes=arguments.processes,
        **given(arguments, TextSettings),
    )
    if arguments.json:
        output.json({"folder": str(prepared.folder), **prepared.facts})
    else:
        output.answer(str(prepared.folder))
    output.next(f"pantoum train --data {quoted(str(prepared.folder))}")
