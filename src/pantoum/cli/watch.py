"""``pantoum watch``: a running or finished run, from another terminal."""

from __future__ import annotations

import argparse
import sys

from pantoum.cli.output import Output

HELP = "show a running or finished run from another terminal"
EXAMPLES = """examples:
  pantoum watch runs/book              until it ends; Ctrl-C leaves, the run goes on
  pantoum watch runs/book --json       its newest record, once
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The run to look at."""
    parser.add_argument("run", metavar="RUN", help="a run folder, such as runs/book")
    parser.add_argument(
        "--json", action="store_true", help="print the newest record as one JSON object, and end"
    )


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Follow the run to its end, or print where it is."""
    from pantoum import api

    if arguments.json:
        output.json(api.latest_record(arguments.run))
    else:
        api.watch(arguments.run, sys.stdout)
