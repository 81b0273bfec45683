"""The body of the page, one function per section; a section without content is empty."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pantoum.config import BUDGETS
from pantoum.config.plain import Plain
from pantoum.report import loss, surprisal
from pantoum.report.curves import curve, small
from pantoum.report.escape import markup
from pantoum.report.run_history import Record, RunHistory, Sample
from pantoum.report.story import Story
from pantoum.report.wording import clock, count, figure, finite, rate, share

__all__ = ["curves", "notes", "passage", "samples", "settings"]

MOST_SAMPLES = 6
MOST_ROWS = 24
SHORT, LONG = 260, 1200
MOST_PIECES = 6_000
MOST_TEXTS = 3


def _section(title: str, body: str, kind: str) -> str:
    return f'<section class="{kind}">\n<h2>{title}</h2>\n{body}\n</section>'


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` items, with the first and the last, denser at the beginning where more happens."""
    if len(items) <= most:
        return list(items)
    places = {round((len(items)) ** (i / (most - 1))) - 1 for i in range(most)}
    return [items[i] for i in sorted(places)]


def curves(story: Story) -> str:
    """Loss by tokens and by time, the small multiples, and the validation figures as a table."""
    history = story.history
    if not history.records:
        return ""
    pictures = [
        curve(view(history, story.references, story.unit), history.notes)
        for view in (loss.by_tokens, loss.by_time)
    ]
    body = (
        f'<div class="pair">\n<figure>{pictures[0]}</figure>\n<figure>{pictures[1]}</figure>\n</div>\n'
        '<p class="note">Each point of the training curve is the mean of the reports in one of 120 equal '
        "parts of the axis; the band spans their lowest and highest value. Each validation point is an "
        f"evaluation; the filled one is the best, whose weights are saved. "
        f"{_sampled(history)}{_monitored(story)}</p>\n"
        f"{_multiples(history)}{_phases(history)}{_table(history)}"
    )
    return _section("How it learned", body, "learned")


def _sampled(history: RunHistory) -> str:
    """What the training loss of a large vocabulary is."""
    if history.last.get("sampled") is not True:
        return ""
    return (
        "In training each target is compared with a sample of the vocabulary, so training loss and accuracy "
        "are those of an easier question and do not compare with the validation loss, which is exact. "
    )


def _monitored(story: Story) -> str:
    """Why the curve and the main figure differ: the curve is measured on a part of the validation text."""
    part, whole, best = finite(story.get("monitored_tokens")), story.score("tokens"), story.history.best
    if not part or not whole or best is None or part - 1 >= whole:
        return ""
    return (
        f"To save time, the validation points are measured on the first {part - 1:,.0f} of {whole:,.0f} "
        f"{story.unit}s of the validation text (best: {figure(best['valid'])}); the figure at the top of the "
        f"page is measured on all of them ({figure(story.score('nats_per_token'))} nats per {story.unit})."
    )


def _multiples(history: RunHistory) -> str:
    cards = []
    for field, name, spell in (
        ("accuracy", "accuracy in training", share),
        ("learning_rate", "learning rate", rate),
        ("gradient_norm", "gradient norm", rate),
        ("tokens_per_second", "tokens per second", count),
    ):
        # A rate of zero: nothing was trained since the record before.
        points = [p for p in history.points(field, "seconds") if p[1] or field != "tokens_per_second"]
        if len(points) > 1:
            newest = spell(points[-1][1])
            words = f"{name}: from {spell(points[0][1])} to {newest}"
            cards.append(
                f"<figure>{small(points, words)}<figcaption>{name} <b>{newest}</b></figcaption></figure>"
            )
    return f'<div class="multiples">{"".join(cards)}</div>\n' if cards else ""


def _phases(history: RunHistory) -> str:
    """The share of each phase in the time, as one bar."""
    phases = {name: seconds for name, seconds in history.phases.items() if seconds > 0.0}
    whole = sum(phases.values())
    if whole <= 0.0:
        return ""
    parts = "".join(
        f'<i class="p{i}" style="width:{100 * seconds / whole:.2f}%"></i>'
        for i, seconds in enumerate(phases.values())
    )
    keys = "".join(
        f'<li><i class="p{i}"></i>{markup(name)} <b>{share(seconds / whole)}</b></li>'
        for i, (name, seconds) in enumerate(phases.items())
    )
    return (
        f'<figure class="phases"><figcaption>Where the time went</figcaption>'
        f'<div aria-hidden="true">{parts}</div><ul>{keys}</ul></figure>\n'
    )


def _table(history: RunHistory) -> str:
    rows: list[Record] = [r for r in history.records if finite(r.get("valid")) is not None]
    if not rows:
        return ""
    best = history.best
    shown = rows[:: -(-len(rows) // MOST_ROWS)]
    shown = shown if shown[-1] is rows[-1] else [*shown, rows[-1]]
    lines = []
    for row in shown:
        kind = ' class="best"' if row is best else ""
        cells = (
            f"{finite(row.get('step')) or 0:,.0f}",
            count(row.get("tokens")),
            clock(row.get("seconds")),
            figure(row.get("loss")),
            figure(row.get("valid")),
        )
        lines.append(f"<tr{kind}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return (
        '<details><summary>The curves as a table</summary><div class="scroll"><table><thead><tr>'
        '<th scope="col">step<th scope="col">tokens<th scope="col">time<th scope="col">training'
        '<th scope="col">validation</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></details>"
    )


def samples(story: Story) -> str:
    """What the model wrote during training, from the first sample to the newest."""
    chosen = spread(story.history.samples, MOST_SAMPLES)
    if not chosen:
        return ""
    last = chosen[-1]
    rows = "\n".join(_sample(each, story.unit, LONG if each is last else SHORT) for each in chosen)
    return _section("What it wrote on the way", f'<ol class="samples">\n{rows}\n</ol>', "wrote")


def _sample(sample: Sample, unit: str, most: int) -> str:
    text = sample.text.strip("\r\n") or sample.text
    cut = text if len(text) <= most else text[:most].rstrip() + " …"
    where = f"<b>{count(sample.tokens)}</b> {unit}s" if sample.tokens is not None else ""
    facts = [
        text
        for text in (
            clock(sample.seconds) if sample.seconds is not None else "",
            f"loss {figure(sample.loss)}" if sample.loss is not None else "",
        )
        if text
    ]
    kind = "code" if reads_as_code(text) else "prose"
    return (
        f'<li><p class="when">{where}<span>{" · ".join(facts)}</span></p>'
        f'<blockquote class="{kind}">{markup(cut)}</blockquote></li>'
    )


def reads_as_code(text: str) -> bool:
    """Whether a text is shown in a fixed-width font: it has many signs or indented lines, as code has."""
    lines = [line for line in text.splitlines() if line.strip()]
    indented = sum(line.startswith(("  ", "\t")) for line in lines)
    signs = sum(text.count(sign) for sign in "{}()[]=_;<>#")
    return signs > 0.03 * len(text) or (len(lines) > 2 and indented > 0.3 * len(lines))


def passage(story: Story) -> str:
    """The beginning of the validation text, each token tinted by its surprisal."""
    if story.passage is None or not story.passage[0]:
        return ""
    pieces, nats = story.passage[0][:MOST_PIECES], story.passage[1][:MOST_PIECES]
    body = (
        '<p class="note">The stronger the colour of a token, the less the model expected it after the text '
        f"before it. Point at a token to read its surprisal.</p>\n{surprisal.fragment(pieces, nats)}"
    )
    return _section("A page it had not read", body, "unread")


def settings(story: Story) -> str:
    """The command, what was chosen and why, the machine, and the rest of ``config.json``."""
    rest = {name: value for name, value in story.config.items() if not _says_nothing(value)}
    parts = []
    if words := _commands(rest.pop("command", None), rest.pop("resumed_by", None)):
        parts.append(
            f'<pre class="command" tabindex="0" aria-label="Command line"><code>{markup(words)}</code></pre>'
        )
    rest.pop("text", None)  # fingerprints, for `compare`
    # A setting that was not given is left out; "none" among what was chosen means off.
    settings = _flat(rest.pop("settings", {})).items()
    asked = {name: value for name, value in settings if not _says_nothing(value)}
    if "budget" in rest:  # the one in force; the settings know the first
        asked = {name: value for name, value in asked.items() if name not in BUDGETS}
    made = {**asked, **_flat(rest.pop("chosen", {}))}
    reasons = rest.pop("reasons", ())
    if "texts" in rest:
        rest["texts"] = _few(rest["texts"])
    parts.append(_facts("Settings", made))
    if isinstance(reasons, (list, tuple)) and reasons:
        parts.append(
            '<h3>Why these</h3>\n<ul class="reasons">'
            f"{''.join(f'<li>{markup(str(reason))}</li>' for reason in reasons)}</ul>"
        )
    loose = {
        name: value for name, value in rest.items() if not isinstance(value, Mapping) and name not in made
    }
    parts.append(_facts("The run", loose))
    parts += [_facts(_title(name), part) for name, part in rest.items() if isinstance(part, Mapping)]
    body = "\n".join(part for part in parts if part)
    return _section("How to make it again", body, "made") if body else ""


def _commands(first: object, later: object) -> str:
    """The command that began the run, and those that gave it another budget, one per line."""
    given = [first, *(later if isinstance(later, list) else [])]
    return "\n".join(
        shlex.join(map(str, each)) if isinstance(each, list) else str(each) for each in given if each
    )


def _few(texts: object) -> object:
    """The texts; of many only the first names."""
    if not isinstance(texts, (list, tuple)) or len(texts) <= MOST_TEXTS:
        return texts
    names = [PurePath(str(text)).name for text in texts[:MOST_TEXTS]]
    return f"{', '.join(names)} and {len(texts) - len(names):,} more"


def _flat(part: object) -> dict[str, Plain]:
    """A mapping with the values of its mappings lifted into it; empty for anything else."""
    found: dict[str, Plain] = {}
    for name, value in part.items() if isinstance(part, Mapping) else ():
        found.update(value if isinstance(value, Mapping) else {name: value})
    return found


def _says_nothing(value: object) -> bool:
    return value is None or value == "auto" or value == {} or value == []


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _facts(title: str, part: Mapping[str, Plain]) -> str:
    if not part:
        return ""
    rows = "".join(
        f"<div><dt>{markup(str(name).replace('_', ' '))}</dt><dd>{markup(_value(value))}</dd></div>"
        for name, value in part.items()
    )
    return f'<h3>{markup(title)}</h3>\n<dl class="facts">{rows}</dl>'


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(each) for each in value)
    return str(value)


def notes(story: Story) -> str:
    """Notes: rollbacks, a full disk, a text smaller than the batch."""
    rows = []
    for note in story.history.notes:
        step = "" if note.step is None else f"step {note.step:,.0f}"
        at = "" if note.seconds is None else clock(note.seconds)
        rows.append(f'<li><p class="when">{at}<span>{step}</span></p><p>{markup(note.text)}</p></li>')
    return _section("What happened", f'<ol class="notes">{"".join(rows)}</ol>', "happened") if rows else ""
