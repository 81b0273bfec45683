"""``pantoum watch``: shows a run from another terminal."""

from __future__ import annotations

import argparse

from pantoum.cli.output import Output
from pantoum.config import path

EXAMPLES = """examples:
  pantoum watch runs/book              until it ends; Ctrl-C ends the view, not the run
  pantoum watch runs/book --json       the newest record, once
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run", metavar="RUN", help="a run folder, such as runs/book")
    parser.add_argument(
        "--json", action="store_true", help="print the newest record as one JSON object, and end"
    )


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Show the run until it ends, or print its newest record."""
    folder = path(arguments.run, "run")
    if arguments.json:
        from pantoum.report.story import latest

        output.json(latest(folder))
    else:
        from pantoum.report.live import watch

        watch(folder, output.stdout)
