"""``pantoum train``: from texts to a run folder with the best model in it."""

from __future__ import annotations

import argparse

from pantoum.cli.options import add_settings, given
from pantoum.cli.output import Output
from pantoum.config import TrainSettings

HELP = "train a model on texts; what is not given is chosen from the text's size and the time"
EXAMPLES = """examples:
  pantoum train book.txt                          five minutes, everything chosen
  pantoum train notes/ --minutes 30 --tokens words
  pantoum train names.txt --documents lines --steps 2000 --seed 1
  pantoum train --run runs/book --resume          go on after an interruption
  pantoum train book.txt --plan                   say what would be chosen, and why
"""
INTERRUPTED = 130


def add_options(parser: argparse.ArgumentParser) -> None:
    """The texts and every setting of training."""
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help="text files or folders, joined as given; - is stdin"
    )
    add_settings(parser, TrainSettings)
    parser.add_argument("--plan", action="store_true", help="print what would be chosen and why, and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Train (or plan), tell how well the model does, and what to try next."""
    from pantoum import api

    settings = given(arguments, TrainSettings)
    if arguments.plan:
        plan = api.plan(arguments.texts, **settings)
        if arguments.json:
            output.json(plan.to_dict())
        else:
            output.answer(str(plan))
        return 0
    done = api.train(
        arguments.texts,
        progress=not output.quiet,
        started=arguments.started,
        command=arguments.typed,
        **settings,
    )
    if done.result.already:
        for note in done.result.notes:
            output.say(note)
    if arguments.json:
        output.json(done.to_dict())
    else:
        output.answer(str(done.folder))
    output.next(done.next_command)
    return INTERRUPTED if done.stopped == "SIGINT" else 0
