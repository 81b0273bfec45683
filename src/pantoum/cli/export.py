"""``pantoum export``: converts a model to another format, in a new file."""

from __future__ import annotations

import argparse

from pantoum.cli.options import add_model
from pantoum.cli.output import Output
from pantoum.config.plain import quoted

EXAMPLES = """examples:
  pantoum export runs/book --to int8 --out book-int8.safetensors --text other.txt
  pantoum generate book-int8.safetensors --prompt "Once upon"
  pantoum export runs/book --to torch --out book-torch.safetensors
  pantoum export runs/book --to onnx --out book.onnx
  pantoum export runs/book --to hub --out book-hub
  pantoum export runs/words --to arpa --out words.arpa
  pantoum export runs/book --to html --out book.html
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    parser.add_argument("--to", required=True, metavar="int8|torch|onnx|hub|arpa|html", help="the format")
    parser.add_argument("--out", required=True, metavar="F", help="the file to write; for hub, the folder")
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        metavar="T",
        help="measure the loss of int8 on this text and store it in the card; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Convert the model and print what it costs."""
    from pantoum import api
    from pantoum.report.wording import how_measured

    found = api.export(
        arguments.model, arguments.to, arguments.out, text=arguments.text, progress=not output.quiet
    )
    hints = found.pop("hints", [])
    if arguments.json:
        output.json(found)
        return
    output.answer(f"{found['out']}: {found['bytes']:,} bytes, from {found['bytes_before']:,} bytes")
    if found.get("cost"):
        cost = found["cost"]
        output.answer(
            f"loss: {cost['int8']:.4f} nats per token in int8, {cost['float32']:.4f} in float32 "
            f"({how_measured(cost)}, {cost['tokens']:,} targets)"
        )
    for hint in hints:
        output.answer(hint)
    if arguments.to == "int8":
        output.next(f"pantoum generate {quoted(found['out'])}")
