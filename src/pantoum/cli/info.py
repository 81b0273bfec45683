"""``pantoum info``: what a file or folder of ours is."""

from __future__ import annotations

import argparse

from pantoum.cli.output import Output

HELP = "say what a file or a run folder is: its card, its figures, its curve"
EXAMPLES = """examples:
  pantoum info runs/book
  pantoum info runs/book/model.safetensors --json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The thing to look at."""
    parser.add_argument(
        "path",
        metavar="FILE_OR_RUN",
        help="a model, state, token shard, checkpoint, run folder or prepared folder",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Look and tell."""
    from pantoum import api

    found = api.info(arguments.path)
    if arguments.json:
        output.json(found.to_dict())
    else:
        output.answer(str(found))
