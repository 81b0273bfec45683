"""``pantoum compare``: a table of runs, with mean and standard deviation over seeds."""

from __future__ import annotations

import argparse
import sys

from pantoum.cli.output import Output

EXAMPLES = """examples:
  pantoum compare runs/book runs/book-2 runs/book-3
  pantoum compare runs/* --json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folders; runs that differ only in their seed share a row"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Compare the runs and print the table."""
    from pantoum import api, console

    found = api.compare(arguments.runs)
    if arguments.json:
        output.json(found.to_dict())
    else:
        console.show_comparison(found, sys.stdout)
