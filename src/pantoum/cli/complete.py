"""``pantoum complete``: a text per line on stdin, the most probable next words on stdout.

An editor, a shell or an input method starts it once and asks as often as it likes: the line that it writes is
the text before the cursor, and the answer is one line. What the lines have in common is read once.
"""

from __future__ import annotations

import argparse
import sys

from pantoum.cli.options import add_model, add_settings, given
from pantoum.cli.output import Output, json_text
from pantoum.cli.running import Asked
from pantoum.config import CompleteConfig

EXAMPLES = """examples:
  printf 'I am go\\n' | pantoum complete runs/book
  printf 'I am go\\n' | pantoum complete runs/book --count 5 --json
  pantoum complete runs/book --adapt --model-out mine.safetensors < letters.txt

The words of an answer are separated by tabs. Where a line ends within a word, the answers are whole words
that begin with its letters. \\n, \\t and \\\\ stand for a new line, a tab and a backslash.
--model-out is written at the end of stdin, and when Ctrl-C, SIGTERM or SIGHUP ends the command.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    add_settings(parser, CompleteConfig)
    parser.add_argument(
        "--json", action="store_true", help="answer with a JSON list of words and probabilities per line"
    )


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Answer line by line, each at once."""
    config = CompleteConfig(**given(arguments, CompleteConfig))
    from pantoum import load

    completer = load(arguments.model).completer(config)
    with Asked(at_once=config.model_out is None) as asked:
        try:
            for line in asked.waited_for(sys.stdin.buffer if sys.stdin is not None else ()):
                typed = line.rstrip(b"\r\n").decode("utf-8", "replace")
                found = completer.words(_plain(typed))
                if arguments.json:
                    output.answer(json_text([one._asdict() for one in found]))
                else:
                    output.write("\t".join(_escaped(one.text) for one in found) + "\n")
                completer.learn()
        finally:  # also where a signal, or a closed stdout, ends it: what was learned is saved
            completer.finish()


def _escaped(word: str) -> str:
    """A word, and the white space before it, on one line."""
    return word.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _plain(line: str) -> str:
    """A line without escapes."""
    parts = line.split("\\\\")
    return "\\".join(part.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r") for part in parts)
