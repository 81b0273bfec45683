"""``pantoum train``: from texts to a run folder with the best model in it.

The run folder is the answer on stdout. The summary and the next command go to stderr.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pantoum.cli.options import add_settings, given
from pantoum.cli.output import Output, runnable
from pantoum.config import TrainSettings
from pantoum.config.launcher import follows
from pantoum.config.plain import quoted

if TYPE_CHECKING:
    from pantoum import Run

EXAMPLES = """examples:
  pantoum train book.txt                          five minutes, everything chosen
  pantoum train notes/ --minutes 30 --tokens words
  pantoum train names.txt --documents lines --steps 2000 --seed 1
  pantoum train --run runs/book --resume          continue after an interruption
  pantoum train --run runs/book --resume --minutes 5      train a finished run further
  pantoum train book.txt --plan                   show what would be chosen, and why
"""
ENDED = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGBREAK": 149}
"""The exit code of a run that a signal has stopped: it is saved, not finished. ``--stop-after`` gives 0."""
SERVER = ("fastapi_offline", "httptools", "prometheus_client", "uvicorn")
"""What the extra ``serve`` brings."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the texts and every setting of training."""
    parser.add_argument(
        "texts",
        nargs="*",
        metavar="TEXT",
        help="text files, folders or addresses, joined in this order; - is stdin",
    )
    add_settings(parser, TrainSettings)
    parser.add_argument(
        "--plan", action="store_true", help="print the chosen settings and the reasons, and do not train"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Train (or plan) and print the summary."""
    from pantoum import api

    settings = given(arguments, TrainSettings)
    if arguments.plan:
        if follows():
            return 0
        output.show(api.plan(arguments.texts, **settings), arguments.json)
        return 0
    typed = arguments.typed, arguments.started
    done = api.train_typed(arguments.texts, settings, typed, progress=not output.quiet)
    return end(done, str(done.folder), arguments.json, output)


def end(done: Run, answer: str, as_json: bool, output: Output, how: str = "") -> int:
    """Print the answer, the summary and the next command, unless rank 0 does; the exit code. ``how``: options
    with which the model should write."""
    if done.rank:
        return 0  # a launcher may end all ranks at the first other code, also rank 0, which still writes
    for line in done.result.notes if done.result.already else done.summary:
        output.say(line)
    if as_json:
        output.json(done.to_dict())
    else:
        output.answer(answer)
    command = done.next_command + (how if done.next_command.startswith("pantoum generate") else "")
    if done.next_command.startswith("pantoum generate") and all(map(find_spec, SERVER)):
        serve = runnable(f"pantoum serve {quoted(str(done.folder))}")
        output.say(f"to write with it in a browser: {serve}")
    output.next(command, "try next:" if done.stopped is None else "continue with:")
    return ENDED.get(str(done.stopped), 0)
