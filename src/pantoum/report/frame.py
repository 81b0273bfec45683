"""One frame of the live view: a pure function from a ``Scene`` and a size to lines of text.

From the top: name and state, the budget as a bar, the loss curve, the figures, where the time goes, the
newest sample as it streams in, the newest notes. What has no room is left out, the least needed first, so
that a frame never has more lines than asked, nor wider ones. What a model wrote is shown, never obeyed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, chop_cells
from rich.text import Text

from pantoum.report import loss
from pantoum.report.escape import visible
from pantoum.report.plot import plot
from pantoum.report.run_history import RunHistory
from pantoum.report.wording import MISSING, clock, count, figure, finite, perplexity, rate, share

__all__ = ["STYLES", "Scene", "frame"]

# Middle tones, legible on dark and on light terminals alike; without colour the lines still differ.
STYLES = {"axis": "dim", "training": "#4078c0", "validation": "bold #c45a2a", "reference": "dim", "": ""}
LEAST_CURVE, MOST_CURVE = 6, 18
ENOUGH = 14
"""Lines for curve and sample below which figures give way."""
MOST_NOTES = 3
SENTENCES = {None: "training", "finished": "finished", "stopped": "stopped", "failed": "failed"}


@dataclass(frozen=True)
class Scene:
    """What there is to be seen at one moment."""

    name: str
    history: RunHistory
    about: str = ""
    """A few words on what is trained."""
    unit: str = "token"
    """What a token of this run is."""
    shown: int | None = None
    """How many characters of the newest sample have streamed in; ``None``: all."""
    messages: tuple[str, ...] = ()
    """What was said on stderr meanwhile."""
    state: str | None = None
    """A word for the state where the records do not tell it."""


def frame(scene: Scene, width: int, height: int) -> list[Text]:
    """At most ``height`` lines of at most ``width`` cells."""
    head = [_title(scene, width), _budget(scene, width)]
    groups, notes, writing = _figures(scene, width), _notes(scene, width), _sample(scene, width)
    # The picture goes before the lesser figures.
    while sum(map(len, groups)) > 1 and height - len(head) - sum(map(len, groups)) - len(notes) < ENOUGH:
        groups = groups[:-1] if len(groups) > 1 else [groups[0][:1]]
    facts = [line for group in groups for line in group]
    room = height - len(head) - len(facts) - len(notes) - 1
    if room < 0:
        return [*head, *facts, *notes][:height]
    curve: tuple[Text, ...] = ()
    tall = min(max(int(0.6 * room), min(LEAST_CURVE, room - 1)) if writing else room - 1, MOST_CURVE)
    if tall >= LEAST_CURVE:
        curve = (Text(), *_curve(scene.history, scene.unit, width, tall))
        room -= len(curve)
    lines = [*head, *curve, Text(), *facts]
    if writing and room >= 4:
        lines += [Text(), _rule(scene, width), *writing[-(room - 3) :], Text()]
    return [*lines, *notes]


@lru_cache(maxsize=4)
def _curve(history: RunHistory, unit: str, width: int, height: int) -> tuple[Text, ...]:
    """The loss curve by time; drawn once for each history and size, however often it is shown."""
    rows = plot(loss.by_time(history, unit=unit), width, height)
    return tuple(_fit(Text.assemble(*((text, STYLES[kind]) for text, kind in row)), width) for row in rows)


def _fit(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="crop")
    return line


def _title(scene: Scene, width: int) -> Text:
    state = scene.state or SENTENCES.get(scene.history.ended, str(scene.history.ended))
    left = Text.assemble((visible(scene.name).replace("\n", " "), "bold"), "  ", (scene.about, "dim"))
    right = Text(state, "bold" if scene.history.ended or scene.state else "")
    space = width - left.cell_len - right.cell_len
    if space < 2:
        left.truncate(max(width - right.cell_len - 2, 0), overflow="ellipsis")
        space = width - left.cell_len - right.cell_len
    return _fit(Text.assemble(left, " " * max(space, 0), right), width)


def _budget(scene: Scene, width: int) -> Text:
    last = scene.history.last
    done = finite(last.get("progress"))
    used = f"{clock(last.get('seconds'))} used" if last else "waiting for the first report"
    left = finite(last.get("time_left"))
    words = [used] if left is None or scene.history.ended else [used, f"{clock(left)} left"]
    if done is not None:
        words.insert(0, f"{100 * min(max(done, 0.0), 1.0):.0f} %")
    text = "  " + "  ".join(words)
    room = width - len(text)
    if done is None or room < 8:
        return _fit(Text(text.strip()), width)
    full = round(min(max(done, 0.0), 1.0) * room)
    return _fit(Text.assemble(("━" * full, "#c45a2a"), ("─" * (room - full), "dim"), text), width)


def _figures(scene: Scene, width: int) -> list[list[Text]]:
    """The figures in groups, most needed first, as many to a line as fit, missing ones left out."""
    history, last = scene.history, scene.history.last
    best = history.best
    at = f" at {count(best.get('tokens'))}" if best is not None else ""
    groups = [
        [
            (
                "training, sampled" if last.get("sampled") is True else "training",
                figure(history.newest("loss")),
                "training",
            ),
            ("validation", figure(history.newest("valid")), "validation"),
            ("best", figure(best["valid"]) + at if best is not None else MISSING, ""),
            ("perplexity", _perplexity(scene), ""),
            ("accuracy", share(last.get("accuracy")), ""),
        ],
        [
            ("tokens/s", count(_speed(history)), ""),
            ("step", f"{finite(last.get('step')) or 0:,.0f}", ""),
            ("tokens", count(last.get("tokens")), ""),
            ("epochs", figure(last.get("epoch"), 2), ""),
            ("rate", rate(last.get("learning_rate")), ""),
            ("gradient", rate(last.get("gradient_norm")), ""),
        ],
        _shares(history),
    ]
    found: list[list[Text]] = []
    for group in groups if last else ():
        lines: list[Text] = []
        line = Text()
        for name, value, kind in group:
            if value == MISSING:
                continue
            item = Text.assemble((name, STYLES[kind] or "dim"), " ", (value, "bold"))
            if line and line.cell_len + 3 + item.cell_len > width:
                lines.append(_fit(line, width))
                line = Text()
            line = Text.assemble(line, "   " if line else "", item)
        if line:
            lines.append(_fit(line, width))
        if lines:
            found.append(lines)
    return found


def _perplexity(scene: Scene) -> str:
    """The best validation perplexity per word, of a model of words."""
    best = scene.history.best
    return MISSING if best is None or scene.unit != "word" else perplexity(best["valid"])


def _speed(history: RunHistory) -> float | None:
    """Training speed in tokens per second since the last record, or of the whole run if there was no step."""
    lately, tokens = finite(history.last.get("tokens_per_second")), finite(history.last.get("tokens"))
    training = history.phases.get("training")
    return lately if lately or not training or not tokens else tokens / training


def _shares(history: RunHistory) -> list[tuple[str, str, str]]:
    phases = history.phases
    whole = sum(phases.values())
    if whole <= 0.0:
        return []
    return [(name, share(seconds / whole), "") for name, seconds in phases.items() if seconds > 0.0]


def _sample(scene: Scene, width: int) -> list[Text]:
    samples = scene.history.samples
    if not samples:
        return []
    text = samples[-1].text.lstrip("\r\n")
    streaming = scene.shown is not None and scene.shown < len(text)
    text = visible(text[: scene.shown]).expandtabs(4) + ("▌" if streaming else "")
    lines = [part for line in text.split("\n") for part in (chop_cells(line, width) or [""])]
    return [_fit(Text(line), width) for line in lines]


def _rule(scene: Scene, width: int) -> Text:
    sample = scene.history.samples[-1]
    after = f" after {count(sample.tokens)} {scene.unit}s" if sample.tokens is not None else ""
    words = f"── it writes{after} "
    return _fit(Text(words + "─" * max(width - cell_len(words), 0), "dim"), width)


def _notes(scene: Scene, width: int) -> list[Text]:
    texts = [note.text for note in scene.history.notes] + list(scene.messages)
    shown = [visible(text).replace("\n", " ") for text in texts[-MOST_NOTES:]]
    lines = [Text.assemble(("! ", "bold"), text) for text in shown]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines
