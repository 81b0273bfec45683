"""The commands by name. The module of a command is imported when the command is typed, or its help asked for.

A module has ``EXAMPLES`` (the end of its help), ``add_options(parser)`` and ``run(arguments, output)``, which
returns the exit code, or ``None`` for 0.
"""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword
from types import ModuleType

__all__ = ["COMMANDS", "module_of"]

COMMANDS = {
    "demo": "train two minutes on the source of Python's standard library, and show what the model writes",
    "train": "train a model on texts; what is not given is chosen from the size of the text and the time",
    "generate": "generate text: the prompt and its continuation",
    "evaluate": "measure how well a model predicts texts",
    "score": "print the surprisal of each token, word or line of a text, in nats",
    "complete": "suggest the next word of each line of stdin: for an editor, a shell, an input method",
    "serve": "serve models over HTTP (OpenAI's interface, sessions, scores), and a page to write on",
    "export": "convert a model: to int8, which generates faster, or to a file for PyTorch, ONNX or KenLM",
    "import": "make a model of PyTorch, Keras, TensorFlow 1 or ONNX one of pantoum",
    "compress": "compress files without a loss, with a model or without one",
    "decompress": "read what `pantoum compress` wrote, all of it or a part",
    "prepare": "tokenize texts once, for many runs with `pantoum train --data`",
    "watch": "show a run from another terminal while it trains, or after its end",
    "compare": "compare runs in a table, with mean and standard deviation over seeds",
    "info": "describe a model, a run folder or another file of pantoum",
    "doctor": "show what this machine offers: processor, threads, measured rates, and advice",
    "completion": "print the script by which bash, zsh or fish completes commands and options",
}
"""What each command does."""


def module_of(name: str) -> ModuleType:
    """The module of a command; that of a word of Python has ``_`` after it."""
    return import_module(f"pantoum.cli.{name}{'_' * iskeyword(name)}")
