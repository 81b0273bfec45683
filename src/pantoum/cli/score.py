"""``pantoum score``: the surprisal of each token, word or line of a text under a model, in nats.

Lines are read and scored as they come, so `tail -f app.log | pantoum score MODEL -` answers at once. Every
format is written as it grows: memory does not grow with the text. Ctrl-C, SIGTERM and SIGHUP complete the
output (JSON and HTML too), save the adapted model, print the sums of what was read and exit with 130, 143
and 129.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pantoum.cli.options import add_model, add_settings, given
from pantoum.cli.output import Output, is_terminal
from pantoum.cli.running import Asked
from pantoum.cli.score_forms import ESCAPES, FORMS, Numbered, ScoreSums
from pantoum.config import Alert, ScoreConfig, require
from pantoum.errors import TextError

if TYPE_CHECKING:
    from pantoum.inference.scorer import Scorer
    from pantoum.model import Model

EXAMPLES = """examples:
  pantoum score runs/book chapter.txt --by word
  pantoum score runs/book chapter.txt --format html > chapter.html
  pantoum score runs/log today.log --mask --alert auto:0.1% --alert-text ordinary.log --only-alerts
  pantoum score runs/book chapter.txt --choices openings.txt
  pantoum score runs/log --follow app.log --alert 9.5 --format jsonl --state-file app.state
  tail -f app.log | pantoum score runs/log - --adapt --model-out today.safetensors

Each row has the surprisal of the unit in nats, that of its most surprising token (the peak), its number of
tokens, its place (file and line), that token with its column in the text, and the text. --alert marks with !
every unit whose peak is above a threshold; auto:0.1% is the threshold that 0.1% of the lines (tokens, words)
of an ordinary text exceed. For the log of another day, whose dates are new, give --mask and --alert-text:
ordinary lines that the model was not trained on. Without them the ordinary text is the validation text of
the run.
"""
ALERTED = 3
KNOWN_AFTER = 200
"""Tokens after which a text that is mostly unknown to the model is noted."""
SHARE_KNOWN_AFTER = 200
"""Units after which a share of alerts that is far from the one asked for is noted; else at the end."""
CHOICE_FORMATS = ("text", "tsv", "json")
FOR_CHOICES = {"cache", "encoding"}
"""Formats and settings that mean something with ``--choices``."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    parser.add_argument(
        "text",
        nargs="?",
        default="-",
        metavar="TEXT",
        help="a text file or address; - (the default) is stdin",
    )
    add_settings(parser, ScoreConfig)
    parser.add_argument(
        "--format",
        choices=tuple(FORMS),
        default="text",
        metavar="|".join(FORMS),
        help="output format (default: text)",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="the same as --format json"
    )
    parser.add_argument(
        "--only-alerts", action="store_true", help="print only the alerts; the sums still count everything"
    )
    parser.add_argument(
        "--choices",
        metavar="FILE",
        help="print how probable each line of this file is as a continuation of TEXT: its "
        "share by the whole line, and by the mean per token, which does not favour short lines",
    )
    parser.add_argument("--exit-code", action="store_true", help=f"exit with {ALERTED} if there was an alert")


def run(
    arguments: argparse.Namespace,
    output: Output,
    follow: Callable[[Model, ScoreConfig, Scorer], Any] | None = None,
) -> int:
    """Score the text part by part and write the results as they come. ``follow``: makes what reads a text
    that grows and saves how far (an app has it)."""
    if arguments.choices is not None:
        _score_choices(arguments, output)
        return 0
    config = ScoreConfig(**given(arguments, ScoreConfig))
    alone = arguments.only_alerts
    require(
        not alone or config.alert is not None,
        "only_alerts",
        alone,
        "needs --alert",
        "give --alert NATS or auto:P% too",
    )

    from pantoum import load, texts

    model = load(arguments.model)
    scorer = model.scorer(config, pieces=arguments.format == "html", named=arguments.text)
    log = None if follow is None else follow(model, config, scorer)
    parts = [] if log is not None else texts.parts(arguments.text, config.encoding)
    form = FORMS[arguments.format](config.by, scorer.threshold, arguments.text)
    protocol = "each document alone" if config.documents or model.documents else "carried"
    protocol = f"segments:{config.streams}" if config.streams > 1 else protocol
    sums = ScoreSums(config.by, scorer.threshold, model.tokenizer.declared.unit, config.alert_by, protocol)
    numbered = Numbered() if log is None else Numbered(log.first_line, log.starts)
    if arguments.text == "-" and is_terminal(sys.stdin):
        output.say("pantoum: type a text to score; Ctrl-D ends it (a file may be given as TEXT)")
    noted = share_noted = False
    with Asked(at_once=config.model_out is None and (log is None or not log.saves)) as asked:
        try:
            output.write("" if log is not None and log.resumed else form.begin)
            batches = scorer.batches(asked.waited_for(parts)) if log is None else log.batches(asked)
            for scores in batches:
                sums.add(scores)
                sums.unknown = scorer.unknown_tokens
                output.write(form.rows([row for row in numbered(scores) if row[1].alert or not alone]))
                if not noted and sums.tokens >= KNOWN_AFTER:
                    noted = _note_unknown(scorer.unknown_tokens, sums.tokens, output)
                if not share_noted and sums.units >= SHARE_KNOWN_AFTER:
                    share_noted = _note_share(config, sums, output)
                if log is None:  # a log that is followed is left between two of its parts
                    asked.check()
            output.write(form.end(sums))
        except KeyboardInterrupt:
            sums.interrupted = True
            if log is not None:
                log.save()  # before the end of the text is learned from
            scorer.end()
            output.write(form.end(sums))
            output.say(str(sums))
            raise
        except (OSError, TextError):  # of stdout, or of the text: what was learned is saved
            scorer.end()
            raise
    if not noted:
        _note_unknown(scorer.unknown_tokens, sums.tokens, output)
    if not share_noted:
        _note_share(config, sums, output)
    output.say(str(sums))
    return ALERTED if arguments.exit_code and sums.alerts else 0


def _note_unknown(unknown: int, tokens: int, output: Output) -> bool:
    """Say that most of the text is unknown to the model; whether that was said."""
    if 2 * unknown <= tokens:
        return False
    output.say(
        f"pantoum: note: {unknown:,} of {tokens:,} tokens are unknown to the model, so the scores say little "
        "about this text; is it the right model, and is the text in the same language and encoding?"
    )
    return True


def _note_share(config: ScoreConfig, sums: ScoreSums, output: Output) -> bool:
    """Say that far more units are marked than ``auto:P%`` asked for; whether that was said. Ten times the
    share is far; a share that is large itself has room for half of the rest."""
    share = None if config.alert is None else Alert.parse(config.alert).share
    if share is None or sums.alerts < 10 or sums.alerts <= min(10 * share, (1 + share) / 2) * sums.units:
        return False
    advice = "--alert-text needs ordinary lines that are more like this text"
    if config.alert_text is None or not (config.mask or config.ignore):
        advice = (
            "for another day's log give --mask, which ignores dates and numbers, "
            "and --alert-text FILE, ordinary lines that the model was not trained on"
        )
    output.say(
        f"pantoum: note: {sums.alerts:,} of {sums.units:,} {sums.by}s are marked, and --alert {config.alert} "
        f"asked for {100 * share:g}%: the threshold does not fit this text; {advice}"
    )
    return True


def _score_choices(arguments: argparse.Namespace, output: Output) -> None:
    """How probable each of given continuations of a text is, the most probable one first."""
    typed = given(arguments, ScoreConfig)
    for name in typed.keys() - FOR_CHOICES:
        rule = "has no effect on choices, whose probabilities are those of whole texts"
        require(False, name, typed[name], rule, "leave it or --choices out")
    rule, advice = f"cannot show choices, which {', '.join(CHOICE_FORMATS)} can", "give another --format"
    require(arguments.format in CHOICE_FORMATS, "format", arguments.format, rule, advice)
    from pantoum import load, texts

    config = ScoreConfig(**typed)
    choices = texts.lines(arguments.choices, "choices")
    before = "".join(_text_of(part) for part in texts.parts(arguments.text, config.encoding))
    before = before.removesuffix("\n").removesuffix("\r")
    found = load(arguments.model).choices(before, choices, cache=config.cache)
    found.sort(key=lambda choice: -choice.log_probability)
    if arguments.format == "json":
        output.json({"choices": [choice._asdict() for choice in found]})
        return
    rows = [("probability", "per token", "nats", "tokens", "text")]
    rows += [
        (
            f"{c.probability:.4f}",
            f"{c.probability_per_token:.4f}",
            f"{-c.log_probability:.3f}",
            str(c.tokens),
            c.text.translate(ESCAPES),
        )
        for c in found
    ]
    if arguments.format == "tsv":
        output.write("".join("\t".join(row) + "\n" for row in rows))
        return
    output.write(
        "".join(f"{p:>11}  {q:>9}  {nats:>9}  {size:>6}  {text}\n" for p, q, nats, size, text in rows)
    )


def _text_of(part: str | bytes) -> str:
    return part if isinstance(part, str) else part.decode("utf-8", "surrogateescape")
