"""``pantoum import``: makes a model of another program one of pantoum, in a new file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pantoum.seams import Output

__all__ = ["EXAMPLES", "HELP", "add_options", "run"]

HELP = "convert a model of PyTorch, Keras, TensorFlow 1 or ONNX to pantoum"
EXAMPLES = """examples:
  pantoum import lstm.safetensors --vocabulary words.txt --out lstm-pantoum.safetensors --text other.txt
  pantoum generate lstm-pantoum.safetensors --prompt "Once upon"
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a state_dict of PyTorch in safetensors, a .weights.h5 or .keras file, an ONNX graph, or a "
        "checkpoint of TensorFlow 1",
    )
    parser.add_argument("--out", required=True, metavar="MODEL", help="the model file to write")
    parser.add_argument(
        "--vocabulary",
        metavar="F",
        help="its tokens in their order: a token per line, or JSON (default: the one in a file of `pantoum "
        "export`; bytes if there are 256 symbols)",
    )
    parser.add_argument(
        "--tokens", metavar="KIND", help="characters, words or words:whitespace (default: by the vocabulary)"
    )
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        metavar="T",
        help="print the loss on the beginning of this text before and after; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Import the model and print what became of it."""
    from pantoum import import_model
    from pantoum.seams import quoted

    found = import_model(
        arguments.file,
        arguments.out,
        vocabulary=arguments.vocabulary,
        tokens=arguments.tokens,
        text=arguments.text,
    )
    if arguments.json:
        output.json(found)
        return
    shape = found["config"]
    output.answer(
        f"{found['out']}: {found['bytes']:,} bytes, from {found['from']}; {shape['num_layers']} x "
        f"{shape['hidden_size']} {shape['cell']}, {found['vocab_size']:,} tokens"
    )
    if found["loss"]:
        loss = found["loss"]
        output.answer(
            f"nats per token: {loss['before']:.6f} before, {loss['after']:.6f} after "
            f"(protocol {loss['protocol']}, {loss['tokens']:,} targets)"
        )
    output.next(f"pantoum generate {quoted(found['out'])}")
