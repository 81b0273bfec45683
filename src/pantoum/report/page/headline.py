"""The head of the page: what was trained, how far it is, how well it predicts a text that it has not read."""

from __future__ import annotations

from pantoum.report.escape import markup
from pantoum.report.story import Story
from pantoum.report.wording import clock, count, figure, finite, share, spoken

__all__ = ["first_line", "section"]

STATUS = {None: "running", "finished": "finished", "stopped": "stopped", "failed": "failed"}


def protocol_in_words(protocol: str) -> str:
    """What a protocol does, for a reader who does not know its name."""
    kind, _, number = protocol.partition(":")
    return {
        "carried": "one pass over the text, the state carried from beginning to end",
        "segments": f"every token scored once, in up to {number} spans, "
        "each warmed by the 256 tokens before it",
        "windows": f"windows of {number} tokens, each read from an empty state",
    }.get(kind, "")


def section(story: Story) -> str:
    """Title, status, the held-out figures and the bars beside ``xz`` and ``bz2``."""
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
    """The page's first and last line: the name and the one figure."""
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
    if story.members > 1:
        shape += f", {story.members} of them side by side and kept as one,"
    parameters = finite(story.get("parameters"))
    many = f" with {_whole(count(parameters))} parameters" if parameters else ""
    last, unit = story.history.last, story.unit
    tokens = finite(last.get("tokens"))
    read = f", after {_whole(count(tokens))} {unit}s of text" if tokens else ""
    epoch = finite(last.get("epoch"))
    passes = f" ({epoch:.1f} passes)" if epoch and epoch >= 0.05 and tokens else ""
    time = f" and {spoken(last.get('seconds'))} of training" if finite(last.get("seconds")) else ""
    return markup(
        f"{'An' if cell[:1] == 'L' else 'A'} {cell or 'recurrent language model'}"
        f"{shape}{many}{read}{passes}{time}."
    )


def _whole(words: str) -> str:
    """A figure whose unit does not go to the next line."""
    return words.replace(" ", "\u00a0")


def _main_figure(story: Story) -> tuple[str, str, str]:
    """The one figure, its unit, and what it is: held out where it can be."""
    nats = story.score("nats_per_character")
    if nats is not None:
        return figure(nats), "nats a character", "on text it has not read"
    best = story.history.best
    if best is not None:
        return figure(best["valid"]), f"nats a {story.unit}", "on text it has not read"
    if story.history.newest("loss") is not None:
        what = "in training; no text was held out" if story.ended else "in training"
        return figure(story.history.newest("loss")), f"nats a {story.unit}", what
    return "", "", ""


def _figures(story: Story) -> str:
    value, unit, what = _main_figure(story)
    rows = [
        ("bits a byte", figure(story.score("bits_per_byte"))),
        (f"perplexity a {story.unit}", figure(story.score("perplexity"), 2)),
        ("accuracy", share(story.score("accuracy"))),
    ]
    shown = [f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in rows if text != "—"]
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
        text += f" <b>{unknown:,.0f} of them are unknown to the model: its figures do not compare.</b>"
    return f'<p class="note">{text}</p>'


def _bars(story: Story) -> str:
    """Bits a byte of the model, ``bz2`` and ``xz`` on the same held-out text."""
    own = story.score("bits_per_byte")
    others = [(name, story.score(f"{name}_bits_per_byte")) for name in ("bz2", "xz")]
    rows = [(name, bits) for name, bits in (("this model", own), *others) if bits is not None and bits > 0]
    if own is None or len(rows) < 2:
        return ""
    most = max(bits for _, bits in rows)
    shown = "".join(
        f'<div class="{"own" if name == "this model" else "other"}"><dt>{name}</dt>'
        f'<dd><i style="width:{100 * bits / most:.1f}%"></i><b>{figure(bits, 2)}</b></dd></div>'
        for name, bits in rows
    )
    return (
        '<figure class="bars"><figcaption>Bits a byte of the held-out text <span>shorter is better</span>'
        f"</figcaption>\n<dl>{shown}</dl>\n"
        '<p class="note">The compressors get the held-out text alone, at their strongest setting; '
        "the model has read the training text before.</p></figure>\n"
    )
