"""The live view of a run in a terminal, and ``pantoum watch``: a run as it looks from another terminal.

``frame`` draws one moment: a pure function from a ``Scene`` and a size to lines of text. From the top: name
and state, the budget as a bar, the loss curve, the figures, where the time goes, the newest sample as it
streams in, the newest notes. What has no room is left out, the least needed first. What a model wrote is
shown, never obeyed.

``LiveView`` is a context manager and an ``on_report``. Inside, it owns the screen (``rich.live``) and looks
at the terminal's size each time. What others write to stderr meanwhile is shown among the notes, and printed
afterwards. When the view ends, for whatever reason, the old screen returns with the last frame below it.
Ctrl-Z gives the screen back too, until the run continues.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from rich.cells import chop_cells
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from pantoum.config.plain import Plain
from pantoum.report import loss
from pantoum.report.escape import visible
from pantoum.report.plot import plot
from pantoum.report.record import Report
from pantoum.report.story import RunHistory, follow, read
from pantoum.report.terminal import Progress, watched
from pantoum.report.wording import HELD_OUT, MISSING, clock, count, figure, finite, perplexity, rate, share

# Middle tones, legible on dark and on light terminals alike; without colour the lines still differ.
STYLES = {"axis": "dim", "training": "#4078c0", "validation": "bold #c45a2a", "": ""}
LEAST_CURVE, MOST_CURVE = 6, 18
ENOUGH = 14
"""Lines for curve and sample below which figures give way."""
MOST_NOTES = 3
LAST_FRAME = 36
REFRESH = 8
"""Frames per second."""
SLOWEST, LONGEST = 45.0, 8.0
"""A sample streams in at this many characters per second, or faster where it would take longer than this."""
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l\x1b[2J", b"\x1b[?1049l\x1b[?25h\x1b[0m"
GONE = "no longer running"


@dataclass(frozen=True)
class Scene:
    """What there is to be seen at one moment."""

    name: str
    history: RunHistory = field(default_factory=RunHistory)
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


def frame(scene: Scene, width: int, height: int) -> RenderableType:
    """The scene in at most ``height`` lines of at most ``width`` cells."""
    history = scene.history
    head: list[RenderableType] = [_title(scene), _budget(history, width)]
    notes, writing = _notes(scene), _sample(scene, width)
    groups = [flowed for group in _figures(scene) if (flowed := _flowed(group, width))]
    # The picture goes before the lesser figures.
    while sum(map(len, groups)) > 1 and height - len(head) - sum(map(len, groups)) - len(notes) < ENOUGH:
        groups = groups[:-1] if len(groups) > 1 else [groups[0][:1]]
    facts = [line for group in groups for line in group]
    room = height - len(head) - len(facts) - len(notes) - 1
    if room < 0:
        return Group(*[*head, *facts, *notes][:height])
    curve: tuple[Text, ...] = ()
    tall = min(max(int(0.6 * room), min(LEAST_CURVE, room - 1)) if writing else room - 1, MOST_CURVE)
    if tall >= LEAST_CURVE:
        curve = (Text(), *_curve(history, scene.unit, width, tall))
        room -= len(curve)
    lines: list[RenderableType] = [*head, *curve, Text(), *facts]
    if writing and room >= 4:
        tokens = history.samples[-1].tokens
        after = f" after {count(tokens)} {scene.unit}s" if tokens is not None else ""
        rule = Rule(Text(f"the model writes{after}"), align="left", style="dim")
        lines += [Text(), rule, *writing[-(room - 3) :], Text()]
    return Group(*lines, *notes)


@lru_cache(maxsize=4)
def _curve(history: RunHistory, unit: str, width: int, height: int) -> tuple[Text, ...]:
    """The loss curve by time; drawn once for each history and size, however often it is shown."""
    rows = plot(loss.by_time(history, unit=unit), width, height)
    return tuple(_line(*((text, STYLES[kind]) for text, kind in row)) for row in rows)


def _line(*parts: str | Text | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _title(scene: Scene) -> RenderableType:
    name = visible(scene.name).replace("\n", " ")
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True, ratio=1)
    row.add_column(no_wrap=True, justify="right")
    ended = scene.state or scene.history.ended
    row.add_row(
        _line((name, "bold"), "  ", (scene.about, "dim")), Text(ended or "training", "bold" * bool(ended))
    )
    return row


def _budget(history: RunHistory, width: int) -> RenderableType:
    last, done = history.last, finite(history.last.get("progress"))
    left = None if history.ended else finite(last.get("time_left"))
    words = [f"{clock(last.get('seconds'))} used" if last else "waiting for the first report"]
    words += [f"{clock(left)} left"] if left is not None else []
    if done is None:
        return _line("  ".join(words))
    done = min(max(done, 0.0), 1.0)
    text = "  ".join([f"{100 * done:.0f} %", *words])
    if width - len(text) < 10:
        return _line(text)
    bar = ProgressBar(
        total=1.0, completed=done, style="dim", complete_style="#c45a2a", finished_style="#c45a2a"
    )
    row = Table.grid(expand=True, padding=(0, 2, 0, 0), pad_edge=False)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True)
    row.add_row(bar, text)
    return row


def _figures(scene: Scene) -> list[list[tuple[str, str, str]]]:
    """Groups of figures, most needed first: the name of each, its value and its style."""
    history, last, best = scene.history, scene.history.last, scene.history.best
    if not last:
        return []
    lately, tokens = finite(last.get("tokens_per_second")), finite(last.get("tokens"))
    training, whole = history.phases.get("training"), sum(history.phases.values())
    # Where no step was made since the last record: the speed of the whole run.
    speed = lately if lately or not training or not tokens else tokens / training
    best_words = MISSING if best is None else f"{figure(best['valid'])} at {count(best.get('tokens'))}"
    words = best is not None and scene.unit == "word"
    return [
        [
            (
                f"training{', sampled' * (last.get('sampled') is True)}",
                figure(history.newest("loss")),
                "training",
            ),
            (f"validation ({HELD_OUT})", figure(history.newest("valid")), "validation"),
            ("best", best_words, ""),
            (
                "perplexity with unknown words",
                perplexity(best["valid"]) if words and best is not None else MISSING,
                "",
            ),
            ("accuracy", share(last.get("accuracy")), ""),
        ],
        [
            ("tokens/s", count(speed), ""),
            ("step", f"{finite(last.get('step')) or 0:,.0f}", ""),
            ("tokens", count(tokens), ""),
            ("epochs", figure(last.get("epoch"), 2), ""),
            ("rate", rate(last.get("learning_rate")), ""),
            ("gradient", rate(last.get("gradient_norm")), ""),
        ],
        [(name, share(seconds / whole), "") for name, seconds in history.phases.items() if seconds > 0.0],
    ]


def _flowed(group: list[tuple[str, str, str]], width: int) -> list[Text]:
    """Figures, as many to a line as fit, missing ones left out."""
    lines: list[Text] = []
    for name, value, kind in group:
        if value == MISSING:
            continue
        item = _line((name, STYLES[kind] or "dim"), " ", (value, "bold"))
        if lines and lines[-1].cell_len + 3 + item.cell_len <= width:
            lines[-1] = _line(lines[-1], "   ", item)
        else:
            lines.append(item)
    return lines


def _sample(scene: Scene, width: int) -> list[Text]:
    if not scene.history.samples:
        return []
    text = re.sub(r"\n\s*\n", "\n", scene.history.samples[-1].text).lstrip("\r\n")
    streaming = scene.shown is not None and scene.shown < len(text)
    text = visible(text[: scene.shown]).expandtabs(4) + "▌" * streaming
    return [_line(part) for each in text.split("\n") for part in (chop_cells(each, width) or [""])]


def _notes(scene: Scene) -> list[Text]:
    texts = [*(note.text for note in scene.history.notes), *scene.messages][-MOST_NOTES:]
    return [_line(("! ", "bold"), visible(text).replace("\n", " ")) for text in texts]


def possible(console: Console) -> bool:
    """Whether a person looks at this console and braille can be drawn on it."""
    return (
        console.is_terminal
        and watched(console.file)  # rich takes a file for a terminal, too, where FORCE_COLOR is set
        and not console.is_dumb_terminal
        and not console.legacy_windows
        and (console.encoding or "").lower().startswith("utf")
        and console.width >= 20
        and console.height >= 5
    )


class _Heard(io.TextIOBase):
    """A stand-in for stderr: each line that is written to it is heard."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard, self._rest = heard, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for each in lines:
            self._heard(each)
        return len(text)


class _Screen(Live):
    """A screen whose terminal may go away: that is no reason for a run to end."""

    def refresh(self) -> None:
        with suppress(OSError, ValueError):
            super().refresh()


class LiveView:
    """The view of one run: ``with LiveView(Scene("book")) as view: train(..., on_report=view)``."""

    def __init__(
        self, scene: Scene, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # The console keeps the real stream: sys.stderr is ours while the view is open.
        self.console = console or Console(file=sys.stderr)
        self.scene, self.clock = scene, clock
        self._records: list[Mapping[str, Plain]] = []
        self._messages: list[str] = []
        self._sampled = float("-inf")
        self._screen = _Screen(
            self, console=self.console, screen=True, refresh_per_second=REFRESH, redirect_stderr=False,
            redirect_stdout=False,
        )  # fmt: skip
        self._leaving = contextlib.ExitStack()

    def __call__(self, report: Report | Mapping[str, Plain]) -> None:
        """Take in a record."""
        record = report.to_dict() if isinstance(report, Report) else report
        self._records.append(record)
        self.scene = replace(self.scene, history=RunHistory.of(self._records))
        if record.get("sample"):
            self._sampled = self.clock()

    def take(self, history: RunHistory) -> None:
        """Show this history from now on; a sample that was there already does not stream again."""
        if len(history.samples) > len(self.scene.history.samples) > 0:
            self._sampled = self.clock()
        self.scene = replace(self.scene, history=history)

    def now(self) -> Scene:
        """What is to be seen now."""
        samples = self.scene.history.samples
        speed = max(SLOWEST, len(samples[-1].text) / LONGEST) if samples else SLOWEST
        shown = int(min((self.clock() - self._sampled) * speed, 1e6))
        return replace(self.scene, shown=shown, messages=tuple(self._messages))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield frame(self.now(), options.max_width, options.height or console.height)

    def __enter__(self) -> LiveView:
        try:
            heard = _Heard(self._messages.append)
            self._leaving.callback(lambda: heard.write("\n"))  # a last line without an end
            self._leaving.enter_context(contextlib.redirect_stderr(heard))
            self._catch_suspension()
            self._screen.start(refresh=True)
        except BaseException:  # Ctrl-C while the first frame is drawn
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError, ValueError):
            self._screen.stop()
        self._leaving.close()
        with suppress(OSError, ValueError):
            self.print_last()

    def print_last(self) -> None:
        """Print the run as it is now, to stay on the terminal."""
        if self.scene.history.records:
            height = min(self.console.height - 1, LAST_FRAME)
            self.console.print(frame(self.scene, self.console.width, height))
        for message in filter(str.strip, self._messages):
            self.console.print(Text(message), soft_wrap=True)

    def _catch_suspension(self) -> None:
        """Ctrl-Z: give the screen back, stop as asked, take the screen again when the run goes on."""
        ours = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGTSTP")
        if not ours or signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL:
            return

        def tell(command: bytes) -> None:
            with suppress(OSError, ValueError):
                os.write(self.console.file.fileno(), command)

        def suspend(number: int, _: object) -> None:
            with self._screen._lock:
                tell(LEAVE)
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
                signal.signal(number, suspend)
                tell(ENTER)

        signal.signal(signal.SIGTSTP, suspend)
        self._leaving.callback(signal.signal, signal.SIGTSTP, signal.SIG_DFL)


def watch(folder: Path | str, stream: TextIO, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """Show the run on this stream until it ends, live on a terminal, elsewhere a line for every record; the
    word for how it ended. A run that has ended is shown once. The run itself is only read."""
    story = read(folder, validation=False)
    histories = follow(folder, sleep=sleep)
    view = LiveView(
        Scene(story.name, about=story.about, unit=story.unit), console=Console(file=stream, highlight=False)
    )
    history, over = next(histories)
    if not possible(view.console):
        return _in_lines(history, over, histories, stream, Progress(stream, story.unit, every=0.0))
    view.take(history)
    once = over
    with contextlib.nullcontext() if once else view:
        while not over:
            history, over = next(histories)
            view.take(history)
        view.scene = replace(view.scene, state=history.ended or GONE)
    if once:
        view.print_last()
    return history.ended or GONE


def _in_lines(
    history: RunHistory,
    over: bool,
    histories: Iterator[tuple[RunHistory, bool]],
    stream: TextIO,
    progress: Progress,
) -> str:
    """The same without a screen, as the run itself shows its progress where it has none."""
    shown = 0
    while True:
        for record in history.records[min(shown, len(history)) :]:
            lines = list[str]()
            with suppress(TypeError, ValueError):  # it is none of ours
                lines = progress.lines(Report.from_dict(record))
            stream.writelines(f"{text}\n" for text in lines)
        shown, ended = len(history), history.ended or GONE
        stream.write(f"{ended}\n" if over else "")
        stream.flush()
        if over:
            return ended
        history, over = next(histories)
