"""``report.html``: one run as one page.

A pure function of a ``Story`` (records, settings and validation figures of a run): the same story, the same
bytes. The page is one file that loads nothing, and is complete without its script. From the top: what was
trained and how well, beside ``xz`` and ``bz2``; the curves; samples; the beginning of the validation text
coloured by surprisal; settings, command, machine; notes. A section without content is left out. Like a
pantoum, the page ends with the line it began with.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pantoum.config import BUDGETS
from pantoum.config.plain import Plain
from pantoum.report import escape, loss, surprisal, svg
from pantoum.report.escape import markup, tag
from pantoum.report.story import RunHistory, Sample, Story
from pantoum.report.wording import (
    HELD_OUT,
    MISSING,
    clock,
    comparable,
    count,
    figure,
    finite,
    judgement,
    loss_in_words,
    perplexity,
    rate,
    share,
    spoken,
)

MOST_SAMPLES = 6
MOST_ROWS = 24
SHORT, LONG = 260, 1200
"""Characters of a sample that are shown; of the last one."""
MOST_PIECES = 6_000
MOST_TEXTS = 3
MULTIPLES = {
    "accuracy": ("accuracy in training", share),
    "learning_rate": ("learning rate", rate),
    "gradient_norm": ("gradient norm", rate),
    "tokens_per_second": ("tokens per second", count),
}


def render(story: Story) -> str:
    """The page as one self-contained HTML document."""
    value, unit, _ = _main_figure(story)
    line = f"{story.name}: {value} {unit}" if value else story.name
    parts = (
        _headline(story),
        _curves(story),
        _samples(story),
        _passage(story),
        _settings(story),
        _notes(story),
    )
    script = escape.asset("page.js")
    style = svg.STYLE + surprisal.style() + escape.asset("page.css")
    return (
        escape.page_head(line, style, script)
        + tag("main", "\n".join(part for part in parts if part))
        + tag("footer", tag("p", markup(line), class_="line"))
        + f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _section(title: str, body: str, kind: str) -> str:
    return tag("section", f"\n{tag('h2', title)}\n{body}\n", class_=kind)


def _note(words: str) -> str:
    return tag("p", words, class_="note")


def _facts(rows: Iterable[tuple[str, str]], kind: str) -> str:
    """Names and values."""
    each = "".join(tag("div", tag("dt", markup(name)) + tag("dd", markup(value))) for name, value in rows)
    return tag("dl", each, class_=kind) if each else ""


def _main_figure(story: Story) -> tuple[str, str, str]:
    """The main figure, its unit, and what it was measured on."""
    held_out, history = "validation loss, on text it has not read", story.history
    value, unit = loss_in_words(story.evaluation or {})
    if value != MISSING:
        return value, unit, held_out
    if history.best is not None:
        return figure(history.best["valid"]), f"nats per {story.unit}", f"{held_out} ({HELD_OUT})"
    value = figure(history.newest("loss"))
    what = "training loss; no text was held out" if history.ended else "training loss"
    return ("", "", "") if value == MISSING else (value, f"nats per {story.unit}", what)


def _headline(story: Story) -> str:
    """What was trained, for how long, and how well it predicts text it has not read."""
    head = tag("p", _status(story.history), class_="status") + tag("h1", markup(story.name))
    head = tag("header", f"{head}{tag('p', markup(_about(story)), class_='lede')}{_progress(story.history)}")
    value, unit, what = _main_figure(story)
    if not value:
        return head
    main = tag("p", f"{tag('strong', value)} {tag('span', f'{unit}<br>{what}')}", class_="figure")
    best = story.history.best if story.evaluation is None else None
    unknown = story.score("unknown_tokens")
    lacking = f" ({unknown:,.0f} unknown)" if unknown and story.unit == "word" else ""
    rows = [
        ("nats per word", figure(story.score("nats_per_token")) if story.unit == "word" else MISSING),
        (
            f"perplexity per {story.unit}",
            perplexity(story.score("nats_per_token") if best is None else best["valid"]) + lacking,
        ),
        ("bits per byte", figure(story.score("bits_per_byte"))),
        ("accuracy", share(story.score("accuracy"))),
    ]
    figures = main + _facts((row for row in rows if row[1] != MISSING), "more") + _protocol(story)
    return f"{head}\n" + tag(
        "section", tag("div", figures) + _bars(story), class_="headline", aria_label="Result"
    )


def _status(history: RunHistory) -> str:
    last, ended = history.last, history.ended
    words = ended or "running"
    kind = words if words in ("running", "finished", "stopped", "failed") else "ended"
    parts = ["pantoum", tag("b", markup(words), class_=kind)]
    if last:
        parts.append(f"{clock(last.get('seconds'))} used")
    if ended is None and finite(last.get("time_left")) is not None:
        parts.append(f"about {clock(last.get('time_left'))} left")
    if ended is None:
        parts.append(tag("a", "reload while it runs", class_="follow", href="#follow", hidden=""))
    return f" {tag('span', '·')} ".join(parts)


def _progress(history: RunHistory) -> str:
    done = finite(history.last.get("progress"))
    if history.ended is not None or done is None:
        return ""
    percent = 100.0 * min(max(done, 0.0), 1.0)
    return tag(
        "div",
        tag("i", style=f"width:{percent:.1f}%"),
        class_="progress",
        role="progressbar",
        aria_label="Budget used",
        aria_valuemin=0,
        aria_valuemax=100,
        aria_valuenow=f"{percent:.0f}",
    )


def _about(story: Story) -> str:
    """The run in a sentence."""
    last, unit, cell = story.history.last, story.unit, story.cell
    layers, hidden, parameters = map(story.number, ("num_layers", "hidden_size", "parameters"))
    words = "An" if cell[:1] == "L" else "A"
    if story.members > 1:
        words = f"An ensemble of {story.members} members, each a"
    words += f" {cell or 'recurrent language model'}"
    if layers and hidden:
        words += f" of {layers:.0f} layer{'s' if layers > 1 else ''} of {hidden:.0f} units"
    words += f" and {story.tables}" if story.tables else ""
    words += f" with {_whole(parameters)} parameters" if parameters else ""
    tokens, epoch = finite(last.get("tokens")), finite(last.get("epoch"))
    words += f", after {_whole(tokens)} {unit}s of text" if tokens else ""
    words += f" ({epoch:.1f} epochs)" if epoch and epoch >= 0.05 and tokens else ""
    spent = finite(last.get("seconds"))
    return words + ("." if spent is None else f" and {spoken(spent)} of training.")


def _whole(number: float) -> str:
    """A figure and its unit, never broken over two lines."""
    return count(number).replace(" ", "\u00a0")


def protocol_in_words(protocol: str) -> str:
    """What a protocol does, for readers who do not know its name."""
    kind, _, number = protocol.partition(":")
    return {
        "carried": "one pass over the text with the state carried from beginning to end",
        "segments": f"every token scored once, in up to {number} segments, each warmed up by the 256 tokens "
        "before it",
        "windows": f"windows of {number} tokens, each from a zero state",
    }.get(kind, "")


def _protocol(story: Story) -> str:
    if story.evaluation is None:
        return ""
    protocol = str(story.evaluation.get("protocol", ""))
    tokens, unknown = story.score("tokens"), story.score("unknown_tokens")
    text = tag("code", markup(protocol)) if protocol else "Held out"
    text += f" over {tokens:,.0f} {story.unit}s" if tokens else ""
    words = protocol_in_words(protocol)
    text += f": {markup(words)}." if words else "."
    if unknown:
        why = f"{unknown:,.0f} of them are unknown to the model, so its figures cannot be compared."
        text += f" {tag('b', why)}"
    return _note(text)


def _bars(story: Story) -> str:
    """Bits per byte of the model, ``bz2`` and ``xz`` on the same validation text, if it is long enough."""
    own, bz2, xz = (story.score(f"{name}bits_per_byte") for name in ("", "bz2_", "xz_"))
    size = story.score("bytes")
    rows = {name: bits for name, bits in (("this model", own), ("bz2", bz2), ("xz", xz)) if bits is not None}
    if own is None or len(rows) < 2 or not comparable(size):
        return ""
    bars = "".join(
        tag(
            "div",
            tag("dt", name)
            + tag(
                "dd",
                tag("i", style=f"width:{100 * bits / max(rows.values()):.1f}%") + tag("b", figure(bits, 2)),
            ),
            class_="own" if name == "this model" else "other",
        )
        for name, bits in rows.items()
    )
    title = f"Bits per byte of the validation text {tag('span', 'shorter is better')}"
    verdict = "" if bz2 is None or xz is None else judgement(own, xz, bz2, size) + ". "
    words = (
        "The compressors see the validation text alone, at their strongest setting; the model has read the "
        "training text first."
    )
    body = tag("figcaption", title) + tag("dl", bars) + _note(verdict[:1].upper() + verdict[1:] + words)
    return tag("figure", body, class_="bars")


def _curves(story: Story) -> str:
    """Loss by tokens and by time, the small multiples, and the validation figures as a table."""
    history = story.history
    if not history.records:
        return ""
    pictures = [
        tag("figure", svg.curve(view(history, story.references, story.unit), history.notes))
        for view in (loss.by_tokens, loss.by_time)
    ]
    words = (
        "Each point of the training curve is the mean of the reports in one of 120 equal parts of the axis; "
        "the band spans their lowest and highest value. Each validation point is an evaluation; the filled "
        f"one is the best, whose weights are saved. Its protocol is {HELD_OUT}. "
    )
    if history.last.get("sampled") is True:
        words += (
            "In training each target is compared with a sample of the vocabulary, so training loss and "
            "accuracy belong to an easier task and cannot be compared with the validation loss, "
            "which is exact. "
        )
    part, whole = story.number("monitored_tokens"), story.score("tokens")
    if part and whole and history.best is not None and part - 1 < whole:
        words += (
            f"To save time, the validation points are measured on {part - 1:,.0f} of {whole:,.0f} "
            f"{story.unit}s, spread over the validation text (best: {figure(history.best['valid'])}); the "
            "figure at the top of the page is measured on all of them "
            f"({figure(story.score('nats_per_token'))} nats per {story.unit})."
        )
    body = tag("div", "".join(pictures), class_="pair") + _note(words)
    return _section(
        "How it learned", body + _multiples(history) + _phases(history) + _table(history), "learned"
    )


def _multiples(history: RunHistory) -> str:
    cards = ""
    for field, (name, spell) in MULTIPLES.items():
        # A rate of zero: nothing was trained since the record before.
        points = [p for p in history.points(field, "seconds") if p[1] or field != "tokens_per_second"]
        if len(points) > 1:
            newest = spell(points[-1][1])
            picture = svg.small(points, f"{name}: from {spell(points[0][1])} to {newest}")
            cards += tag("figure", picture + tag("figcaption", f"{name} {tag('b', newest)}"))
    return tag("div", cards, class_="multiples") if cards else ""


def _phases(history: RunHistory) -> str:
    """The share of each phase in the time, as one bar."""
    phases = {name: seconds for name, seconds in history.phases.items() if seconds > 0.0}
    whole = sum(phases.values())
    parts, keys = "", ""
    for i, (name, seconds) in enumerate(phases.items()):
        parts += tag("i", class_=f"p{i}", style=f"width:{100 * seconds / whole:.2f}%")
        words = f"{markup(name)} {tag('b', share(seconds / whole))}"
        keys += tag("li", f"{tag('i', class_=f'p{i}')}{words}")
    bar = tag("div", parts, aria_hidden="true")
    title = tag("figcaption", "Where the time went")
    return tag("figure", f"{title}{bar}{tag('ul', keys)}", class_="phases") if phases else ""


def _table(history: RunHistory) -> str:
    rows = [record for record in history.records if finite(record.get("valid")) is not None]
    if not rows:
        return ""
    shown = rows[:: -(-len(rows) // MOST_ROWS)]
    shown += [] if shown[-1] is rows[-1] else [rows[-1]]
    body = ""
    for row in shown:
        cells = (
            f"{finite(row.get('step')) or 0:,.0f}",
            count(row.get("tokens")),
            clock(row.get("seconds")),
            figure(row.get("loss")),
            figure(row.get("valid")),
        )
        body += tag("tr", "".join(map(_cell, cells)), class_="best" if row is history.best else None)
    heads = ("step", "tokens", "time", "training", "validation")
    head = tag("thead", tag("tr", "".join(tag("th", name, scope="col") for name in heads)))
    table = tag("div", tag("table", head + tag("tbody", body)), class_="scroll")
    return tag("details", tag("summary", "The curves as a table") + table)


def _cell(words: str) -> str:
    return tag("td", words)


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` items, with the first and the last, denser at the beginning where more happens."""
    if len(items) <= most:
        return list(items)
    places = {round((len(items)) ** (i / (most - 1))) - 1 for i in range(most)}
    return [items[i] for i in sorted(places)]


def _samples(story: Story) -> str:
    """What the model wrote during training, from the first sample to the newest."""
    chosen = spread(story.history.samples, MOST_SAMPLES)
    rows = "\n".join(_sample(each, story.unit, LONG if each is chosen[-1] else SHORT) for each in chosen)
    list_ = tag("ol", rows, class_="samples")
    return _section("What it wrote during training", list_, "wrote") if chosen else ""


def _sample(sample: Sample, unit: str, most: int) -> str:
    text = sample.text.strip("\r\n") or sample.text
    cut = text if len(text) <= most else text[:most].rstrip() + " …"
    where = f"{tag('b', count(sample.tokens))} {unit}s" if sample.tokens is not None else ""
    facts = [clock(sample.seconds)] if sample.seconds is not None else []
    facts += [f"loss {figure(sample.loss)}"] if sample.loss is not None else []
    when = tag("p", where + tag("span", " · ".join(facts)), class_="when")
    kind = "code" if reads_as_code(text) else "prose"
    return tag("li", when + tag("blockquote", markup(cut), class_=kind))


def reads_as_code(text: str) -> bool:
    """Whether a text is shown in a fixed-width font: it has many signs or indented lines, as code has."""
    lines = [line for line in text.splitlines() if line.strip()]
    indented = sum(line.startswith(("  ", "\t")) for line in lines)
    signs = sum(text.count(sign) for sign in "{}()[]=_;<>#")
    return signs > 0.03 * len(text) or (len(lines) > 2 and indented > 0.3 * len(lines))


def _passage(story: Story) -> str:
    """The beginning of the validation text, each token tinted by its surprisal."""
    if story.passage is None or not story.passage[0]:
        return ""
    pieces, nats = story.passage[0][:MOST_PIECES], story.passage[1][:MOST_PIECES]
    words = "The stronger the colour of a token, the less the model expected it after the text before it. "
    body = _note(words + "Point at a token to read its surprisal.") + surprisal.fragment(pieces, nats)
    return _section("Text that it had not read", body, "unread")


def _settings(story: Story) -> str:
    """The command, what was chosen and why, the machine, and the rest of ``config.json``."""
    rest = {name: value for name, value in story.config.items() if not _says_nothing(value)}
    parts = []
    commands = [rest.pop("command", None), *(rest.pop("resumed_by", None) or [])]
    if words := "\n".join(_command(each) for each in commands if each):
        parts.append(
            tag("pre", tag("code", markup(words)), class_="command", tabindex=0, aria_label="Command line")
        )
    rest.pop("text", None)  # fingerprints, for `compare`
    asked = {
        name: value for name, value in _flat(rest.pop("settings", {})).items() if not _says_nothing(value)
    }
    if "budget" in rest:  # the one in force; the settings know the first
        asked = {name: value for name, value in asked.items() if name not in BUDGETS}
    made = {**asked, **_flat(rest.pop("chosen", {}))}  # "none" among what was chosen means off
    reasons = rest.pop("reasons", ())
    texts = rest.get("texts")
    if isinstance(texts, list) and len(texts) > MOST_TEXTS:
        names = ", ".join(PurePath(str(text)).name for text in texts[:MOST_TEXTS])
        rest["texts"] = f"{names} and {len(texts) - MOST_TEXTS:,} more"
    parts.append(_titled("Settings", made))
    if isinstance(reasons, (list, tuple)) and reasons:
        each = "".join(tag("li", markup(str(reason))) for reason in reasons)
        parts.append(tag("h3", "Why these") + tag("ul", each, class_="reasons"))
    whole = {name: value for name, value in rest.items() if isinstance(value, Mapping)}
    loose = {name: value for name, value in rest.items() if name not in whole and name not in made}
    parts.append(_titled("The run", loose))
    parts += [_titled(name.replace("_", " ").capitalize(), part) for name, part in whole.items()]
    body = "\n".join(part for part in parts if part)
    return _section("How to repeat the run", body, "made") if body else ""


def _command(words: object) -> str:
    return shlex.join(map(str, words)) if isinstance(words, list) else str(words)


def _flat(part: object) -> dict[str, Plain]:
    """A mapping with the values of its mappings lifted into it; empty for anything else."""
    flat: dict[str, Plain] = {}
    for name, value in part.items() if isinstance(part, Mapping) else ():
        flat.update(value if isinstance(value, Mapping) else {name: value})
    return flat


def _says_nothing(value: object) -> bool:
    return value is None or value == "auto" or value == {} or value == []


def _titled(title: str, part: Mapping[str, Plain]) -> str:
    rows = ((str(name).replace("_", " "), _value(value)) for name, value in part.items())
    return tag("h3", markup(title)) + _facts(rows, "facts") if part else ""


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(each) for each in value)
    return str(value)


def _notes(story: Story) -> str:
    """Notes: rollbacks, a full disk, a text smaller than the batch."""
    rows = ""
    for note in story.history.notes:
        step = "" if note.step is None else f"step {note.step:,.0f}"
        at = "" if note.seconds is None else clock(note.seconds)
        rows += tag("li", tag("p", at + tag("span", step), class_="when") + tag("p", markup(note.text)))
    return _section("What happened", tag("ol", rows, class_="notes"), "happened") if rows else ""
