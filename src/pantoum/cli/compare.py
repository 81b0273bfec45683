"""``pantoum compare``: several runs side by side, with mean and spread over seeds."""

from __future__ import annotations

import argparse
import sys

from pantoum.cli.output import Output

HELP = "put several runs side by side, with mean and spread over seeds"
EXAMPLES = """examples:
  pantoum compare runs/book runs/book-2 runs/book-3
  pantoum compare runs/* --json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The runs to compare."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folders; those that differ only in seed are one row"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Compare and tell."""
    from pantoum import api

    if arguments.json:
        output.json(api.compare(arguments.runs).to_dict())
    else:
        api.compare(arguments.runs, sys.stdout)
