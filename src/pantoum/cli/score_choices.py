"""``pantoum score MODEL TEXT --choices FILE``: how probable each of given continuations of a text is."""

from __future__ import annotations

import argparse

from pantoum.cli.options import given
from pantoum.cli.output import Output
from pantoum.config import ScoreConfig, require

__all__ = ["score_choices"]

FORMATS = ("text", "tsv", "json")
FOR_CHOICES = {"cache", "encoding"}
"""Settings that mean something here."""


def score_choices(arguments: argparse.Namespace, output: Output) -> None:
    """Print the choices, the most probable one first."""
    typed = given(arguments, ScoreConfig)
    for name in typed.keys() - FOR_CHOICES:
        rule = "has no effect on choices, whose probabilities are those of whole texts"
        require(False, name, typed[name], rule, "leave it or --choices out")
    rule, advice = f"cannot show choices, which {', '.join(FORMATS)} can", "give another --format"
    require(arguments.format in FORMATS, "format", arguments.format, rule, advice)
    from pantoum import console, load

    config = ScoreConfig(**typed)
    choices = console.lines(arguments.choices, "choices")
    before = "".join(_text(part) for part in console.parts(arguments.text, config.encoding))
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
            c.text,
        )
        for c in found
    ]
    if arguments.format == "tsv":
        output.write("".join("\t".join(row) + "\n" for row in rows))
        return
    output.write(
        "".join(f"{p:>11}  {q:>9}  {nats:>9}  {size:>6}  {text}\n" for p, q, nats, size, text in rows)
    )


def _text(part: str | bytes) -> str:
    return part if isinstance(part, str) else part.decode("utf-8", "surrogateescape")
