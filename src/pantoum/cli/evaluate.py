"""``pantoum evaluate``: how well a model predicts a text, in units that can be compared."""

from __future__ import annotations

import argparse

from pantoum.cli.options import add_model, add_settings, given
from pantoum.cli.output import Output
from pantoum.config import EvaluationConfig, require

EXAMPLES = """examples:
  pantoum evaluate runs/book other.txt
  pantoum evaluate runs/book other.txt --protocol segments:64 --json
  pantoum evaluate runs/book other.txt --adapt --model-out adapted.safetensors
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    parser.add_argument(
        "texts",
        nargs="*",
        metavar="TEXT",
        help="text files, folders or addresses, joined in this order; - is stdin",
    )
    add_settings(parser, EvaluationConfig)
    parser.add_argument(
        "--pairs",
        action="append",
        default=[],
        metavar="FILE",
        help="instead of texts: minimal pairs in the form of BLiMP, a file or a folder; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Evaluate the model and print the figures."""
    from pantoum import load

    settings, pairs = given(arguments, EvaluationConfig), bool(arguments.pairs)
    if not arguments.texts and not pairs:
        output.complain(
            "pantoum evaluate: TEXT is missing: type for example `pantoum evaluate runs/book other.txt`; "
            "`pantoum evaluate --help` lists its options"
        )
        return 2
    alone = not pairs or not (arguments.texts or settings)
    rule = "cannot be given together with texts or options for reading them"
    require(alone, "pairs", arguments.pairs, rule, "give --pairs alone")
    model = load(arguments.model)
    if pairs:
        output.show(model.pairs(arguments.pairs), arguments.json)
    else:
        evaluation = model.evaluate(arguments.texts, progress=not output.quiet, **settings)
        output.show(evaluation, arguments.json)
    return 0
