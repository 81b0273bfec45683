"""``pantoum compare``: a table of runs, with mean and standard deviation over seeds; or which of several
models expects a text most."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pantoum.cli.output import Output

if TYPE_CHECKING:
    from pantoum import Evaluation

EXAMPLES = """examples:
  pantoum compare runs/book runs/book-2 runs/book-3
  pantoum compare runs/* --json
  pantoum compare runs/austen runs/bronte --text letter.txt
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folders; runs that differ only in their seed share a row"
    )
    parser.add_argument(
        "--text",
        metavar="TEXT",
        help="instead of the table: the bits per byte of this text under each model, lowest first, for "
        "example to find its author; an unknown token counts as eight bits; - is stdin",
    )
    parser.add_argument("--encoding", metavar="E", help="encoding of the text if it is not UTF-8 or UTF-16")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Compare the runs and print the table."""
    from pantoum import api
    from pantoum.report import comparison_table
    from pantoum.texts import parts

    if arguments.text is not None:
        place = Path(arguments.text)
        asked: dict[str, Any] = {"texts": arguments.text, "encoding": arguments.encoding}
        if not (place.is_file() or place.is_dir()):  # what can be read once
            asked = {"text": b"".join(parts(arguments.text, arguments.encoding))}
        _with_text(arguments.runs, asked, arguments.json, output)
        return
    found = api.compare(arguments.runs)
    if arguments.json:
        output.json(found.to_dict())
    else:
        comparison_table.show(found, output.stdout)


def _with_text(names: list[str], asked: dict[str, Any], as_json: bool, output: Output) -> None:
    """Print how well each model predicts a text."""
    from pantoum import load

    found = [(load(name).evaluate(**asked), name) for name in names]
    found.sort(key=lambda pair: _with_unknown(pair[0]))
    if as_json:
        models = [
            {
                "model": name,
                "bits_per_byte": one.bits_per_byte,
                "unknown_tokens": one.unknown_tokens,
                "note": one.note,
            }
            for one, name in found
        ]
        output.json({"models": models})
        return
    output.write("bits per byte  model\n")
    for one, name in found:
        shown = "-" if one.bits_per_byte is None else f"{one.bits_per_byte:.4f}"
        output.write(f"{shown:>13}  {name}{'' if one.note is None else f'  ({one.note})'}\n")


def _with_unknown(found: Evaluation) -> float:
    """Bits per byte where what is unknown is spelled out: without that, a model that knows fewest words would
    predict every text best."""
    if found.bits_per_byte is None:
        return math.inf
    return found.bits_per_byte + 8.0 * found.unknown_tokens / max(1, found.tokens)
