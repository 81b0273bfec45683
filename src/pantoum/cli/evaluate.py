"""``pantoum evaluate``: how well a model predicts a text, in units that can be compared."""

from __future__ import annotations

import argparse

from pantoum.cli.options import add_settings, given
from pantoum.cli.output import Output
from pantoum.config import EvaluationConfig

EXAMPLES = """examples:
  pantoum evaluate runs/book other.txt
  pantoum evaluate runs/book other.txt --protocol segments:64 --json
  pantoum evaluate runs/book other.txt --adapt --model-out adapted.safetensors
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", metavar="MODEL", help="a model file, or a run folder (its best model)")
    parser.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="text files, folders or addresses, joined in this order; - is stdin",
    )
    add_settings(parser, EvaluationConfig)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Evaluate the model and print the figures."""
    from pantoum import load

    model = load(arguments.model)
    evaluation = model.evaluate(
        arguments.texts,
        progress=not output.quiet,
        **given(arguments, EvaluationConfig),
    )
    if arguments.json:
        output.json(evaluation.to_dict())
    else:
        output.answer(str(evaluation))
