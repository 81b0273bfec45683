"""``pantoum doctor``: what this machine offers."""

from __future__ import annotations

import argparse

from pantoum.cli.output import Output

EXAMPLES = """example:
  pantoum doctor --threads 2
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Measure for a few seconds and print the result."""
    from pantoum import api

    output.show(api.doctor(tell=output.say), arguments.json)
