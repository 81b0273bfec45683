"""The head of the page: what was trained, for how long, and how well it predicts text it has not read."""

from __future__ import annotations

from pantoum.report.escape import markup
from pantoum.report.story import Story
from pantoum.report.summary import comparable, judgement
from pantoum.report.wording import (
    MISSING,
    clock,
    count,
    figure,
    finite,
    loss_in_words,
    perplexity,
    share,
    spoken,
)

__all__ = ["first_line", "section"]

STATUS = {None: "running", "finished": "finished", "stopped": "stopped", "failed": "failed"}


def protocol_in_words(protocol: str) -> str:
    """What a protocol does, for readers who do not know its name."""
    kind, _, number = protocol.partition(":")
    return {
        "carried": "one pass over the text with the state carried from beginning to end",
        "segments": f"every token scored once, in up to {number} segments, "
        "each warmed up by the 256 tokens before it",
        "windows": f"windows of {number} tokens, each from a zero state",
    }.get(kind, "")


def section(story: Story) -> str:
    """Title, status, validation figures, and bars beside ``xz`` and ``bz2``."""
    head = (
        f'<header>\n<p class="status">{_status(story)}</p>\n<h1>{markup(story.name)}</h1>\n'
        f'<p class="lede">{_lede(story)}</p>\n{_progress(story)}</header>'
    )
    if not _main_figure(story)[0]:
        return head
    return (
        f'{head}\n<section class="headline" aria-label="Result">\n'
        f"<div>{_figures(story)}</div>\n{_bars(story)}</section>"
    )


def first_line(story: Story) -> str:
    """The first and last line of the page: the name and the main figure."""
    value, unit, _ = _main_figure(story)
    return f"{markup(story.name)}: {value} {unit}" if value else markup(story.name)


def _status(story: Story) -> str:
    last = story.history.last
    ended = story.ended
    parts = [
        "pantoum",
        f'<b class="{STATUS.get(ended, "ended")}">{markup(STATUS.get(ended, str(ended)))}</b>',
    ]
    if len(story.history):
        parts.append(f"{clock(last.get('seconds'))} used")
    if ended is None and finite(last.get("time_left")) is not None:
        parts.append(f"about {clock(last.get('time_left'))} left")
    if ended is None:
        parts.append('<a class="follow" href="#follow" hidden>reload as it goes on</a>')
    return " <span>·</span> ".join(parts)


def _progress(story: Story) -> str:
    done = finite(story.history.last.get("progress"))
    if story.ended is not None or done is None:
        return ""
    percent = 100.0 * min(max(done, 0.0), 1.0)
    return (
        f'<div class="progress" role="progressbar" aria-label="Budget used" '
        f'aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent:.0f}"><i style="width:{percent:.1f}%"></i></div>\n'
    )


def _lede(story: Story) -> str:
    cell = story.cell
    layers, hidden = finite(story.get("num_layers")), finite(story.get("hidden_size"))
    shape = ""
    if layers and hidden:
        shape = f" of {layers:.0f} layer{'s' if layers > 1 else ''} of {hidden:.0f} units"
    shape += f" and {story.tables}" if story.tables else ""
    parameters = finite(story.get("parameters"))
    many = f" with {_whole(count(parameters))} parameters" if parameters else ""
    last, unit = story.history.last, story.unit
    tokens = finite(last.get("tokens"))
    read = f", after {_whole(count(tokens))} {unit}s of text" if tokens else ""
    epoch = finite(last.get("epoch"))
    epochs = f" ({epoch:.1f} epochs)" if epoch and epoch >= 0.05 and tokens else ""
    time = f" and {spoken(last.get('seconds'))} of training" if finite(last.get("seconds")) else ""
    article = "An" if cell[:1] == "L" else "A"
    if story.members > 1:
        article = f"An ensemble of {story.members} members, each a"
    return markup(f"{article} {cell or 'recurrent language model'}{shape}{many}{read}{epochs}{time}.")


def _whole(words: str) -> str:
    """A figure and its unit, never broken over two lines."""
    return words.replace(" ", "\u00a0")


def _main_figure(story: Story) -> tuple[str, str, str]:
    """The main figure, its unit, and what it was measured on."""
    value, unit = loss_in_words(story.evaluation or {})
    if value != MISSING:
        return value, unit, "validation loss, on text it has not read"
    best = story.history.best
    if best is not None:
        return figure(best["valid"]), f"nats per {story.unit}", "validation loss, on text it has not read"
    if story.history.newest("loss") is not None:
        what = "in training; no text was held out" if story.ended else "in training"
        return figure(story.history.newest("loss")), f"nats per {story.unit}", what
    return "", "", ""


def _figures(story: Story) -> str:
    value, unit, what = _main_figure(story)
    words = story.unit == "word"
    best = story.history.best if story.evaluation is None else None
    nats = best["valid"] if best is not None else story.score("nats_per_token")
    rows = [
        ("nats per word", figure(story.score("nats_per_token")) if words else MISSING),
        (f"perplexity per {story.unit}", perplexity(nats)),
        ("bits per byte", figure(story.score("bits_per_byte"))),
        ("accuracy", share(story.score("accuracy"))),
    ]
    shown = [f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in rows if text != MISSING]
    more = f'<dl class="more">{"".join(shown)}</dl>' if shown else ""
    return (
        f'<p class="figure"><strong>{value}</strong> <span>{unit}<br>{what}</span></p>\n{more}\n'
        f"{_protocol(story)}"
    )


def _protocol(story: Story) -> str:
    if story.evaluation is None:
        return ""
    protocol = str(story.evaluation.get("protocol", ""))
    tokens, unknown = story.score("tokens"), story.score("unknown_tokens")
    text = f"<code>{markup(protocol)}</code>" if protocol else "Held out"
    if tokens:
        text += f" over {tokens:,.0f} {story.unit}s"
    words = protocol_in_words(protocol)
    text += f": {words}." if words else "."
    if unknown:
        text += f" <b>{unknown:,.0f} of them are unknown to the model, so its figures do not compare.</b>"
    return f'<p class="note">{text}</p>'


def _capital(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}. " if sentence else ""


def _bars(story: Story) -> str:
    """Bits per byte of the model, ``bz2`` and ``xz`` on the same validation text, if it is long enough."""
    own = story.score("bits_per_byte")
    others = [(name, story.score(f"{name}_bits_per_byte")) for name in ("bz2", "xz")]
    rows = [(name, bits) for name, bits in (("this model", own), *others) if bits is not None and bits > 0]
    size = story.score("bytes")
    if own is None or len(rows) < 2 or not comparable(size):
        return ""
    most = max(bits for _, bits in rows)
    shown = "".join(
        f'<div class="{"own" if name == "this model" else "other"}"><dt>{name}</dt>'
        f'<dd><i style="width:{100 * bits / most:.1f}%"></i><b>{figure(bits, 2)}</b></dd></div>'
        for name, bits in rows
    )
    return (
        '<figure class="bars"><figcaption>Bits per byte of the validation text <span>shorter is better</span>'
        f"</figcaption>\n<dl>{shown}</dl>\n"
        f'<p class="note">{_capital(judgement(own, rows[2][1], rows[1][1], size) if len(rows) == 3 else "")}'
        "The compressors see the validation text alone, at their strongest setting; the model has read the "
        "training text before.</p></figure>\n"
    )
