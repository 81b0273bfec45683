"""``pantoum evaluate``: how well a model predicts a text, in units that can be compared."""

from __future__ import annotations

import argparse

from pantoum.cli.output import Output

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
    parser.add_argument(
        "--protocol",
        default="carried",
        metavar="carried|segments:N|windows:N",
        help="how the text is read (default: carried, one pass with the state carried)",
    )
    parser.add_argument(
        "--adapt", action="store_true", help="let a copy of the model learn from each chunk after scoring it"
    )
    parser.add_argument(
        "--cache",
        type=size_of_cache,
        metavar="N|none",
        help="mix the model with a cache of the last N tokens (Grave and others 2016)",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="encoding of text files that are not in UTF-8 or UTF-16, for example windows-1252",
    )
    parser.add_argument("--model-out", metavar="F", help="save the adapted model in this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def size_of_cache(text: str) -> int | None:
    """The size of a cache as it is typed."""
    if text == "none":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"is {text!r}: must be a whole number or none")
    return int(text)


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Evaluate the model and print the figures."""
    from pantoum import load

    model = load(arguments.model)
    evaluation = model.evaluate(
        arguments.texts,
        protocol=arguments.protocol,
        adapt=arguments.adapt,
        model_out=arguments.model_out,
        cache=arguments.cache,
        encoding=arguments.encoding,
        progress=not output.quiet,
    )
    if arguments.json:
        output.json(evaluation.to_dict())
    else:
        output.answer(str(evaluation))
