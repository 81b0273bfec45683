"""``pantoum info``: describes a file or folder that pantoum wrote."""

from __future__ import annotations

import argparse

from pantoum.cli.output import Output

EXAMPLES = """examples:
  pantoum info runs/book
  pantoum info runs/book/model.safetensors --json
  pantoum info from-a-stranger.safetensors --verify
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "path",
        metavar="FILE_OR_RUN",
        help="a model, state, checkpoint, archive, run folder or prepared folder",
    )
    parser.add_argument("--verify", action="store_true", help="also load the whole file, and report damage")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Describe the file or folder."""
    from pantoum import api

    output.show(api.info(arguments.path, verify=arguments.verify), arguments.json)
