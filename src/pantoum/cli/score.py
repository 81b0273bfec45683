"""``pantoum score``: how surprising each token, word or line of a text is to a model, in nats.

Lines are read and scored as they come, so `tail -f app.log | pantoum score MODEL -` answers at once. Every
form of the answer is written on the way: memory does not grow with the text. Ctrl-C ends the answer (JSON and
HTML are whole then, too), sums up what was read and exits with 130.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pantoum.cli.options import add_settings, given
from pantoum.cli.output import Output
from pantoum.cli.score_forms import FORMS, Sums
from pantoum.config import ScoreConfig

if TYPE_CHECKING:
    pass

HELP = "say how surprising each token, word or line of a text is, in nats"
EXAMPLES = """examples:
  pantoum score runs/book chapter.txt --by word
  pantoum score runs/book chapter.txt --format html > chapter.html
  pantoum score runs/log app.log --alert auto:0.1% --streams 64 | grep '^!'
  tail -f app.log | pantoum score runs/log - --alert auto:0.1%
  tail -f app.log | pantoum score runs/log - --adapt --model-out today.safetensors

Each row has the nats of the whole piece, the nats of its most surprising token (the peak), its tokens and
its text. --alert marks with ! what has a peak beyond the threshold; auto:0.1% is the threshold that 0.1%
of the lines (tokens, words) of the run's held-out text are beyond. With --exit-code the command ends with
3 if anything was marked.
"""
ALERTED = 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, the text, the unit and the form of the answer."""
    parser.add_argument("model", metavar="MODEL", help="a model file, or a run folder (its best model)")
    parser.add_argument(
        "text", nargs="?", default="-", metavar="TEXT", help="a text file; - (default) is stdin"
    )
    add_settings(parser, ScoreConfig)
    parser.add_argument(
        "--format",
        choices=tuple(FORMS),
        default="text",
        metavar="|".join(FORMS),
        help="form of the answer (default text)",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same as --format json"
    )
    parser.add_argument("--exit-code", action="store_true", help=f"end with {ALERTED} if anything was marked")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Score part after part, and answer on the way."""
    config = ScoreConfig(**given(arguments, ScoreConfig))

    from pantoum import api

    model = api.load(arguments.model)
    scorer = model.scorer(config, pieces=arguments.format == "html", named=arguments.text)
    parts = api.parts(arguments.text)
    form = FORMS[arguments.format](config.by, scorer.threshold, arguments.text)
    sums = Sums(config.by, scorer.threshold)
    try:
        output.write(form.begin())
        for scores in scorer.batches(parts):
            sums.add(scores)
            output.write(form.rows(scores))
        output.write(form.end(sums))
    except KeyboardInterrupt:
        sums.interrupted = True
        scorer.end()
        output.write(form.end(sums))
        output.say(str(sums))
        raise
    output.say(str(sums))
    return ALERTED if arguments.exit_code and sums.alerts else 0
