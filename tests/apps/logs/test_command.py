"""``score --follow``: each line is answered once, whatever becomes of the log and of the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.apps.logs.followed_log import read_state, write_state
from pantoum.config import ScoreConfig
from pantoum.errors import StateError

pytestmark = pytest.mark.usefixtures("hang_up")

Run = Callable[..., Any]
LINES = [f"The cat number {n} sat on the mat, and dog {n * 7 % 10} ran at 10.0.0.{n}.\n" for n in range(40)]


class Monitor:
    """A command that follows a log, and its answers."""

    def __init__(self, *command: object) -> None:
        words = [sys.executable, "-m", "pantoum", "score", *map(str, command), "--format", "jsonl"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            words,
            stdout=pipe,
            stderr=pipe,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        )

    def rows(self, count: int) -> list[dict[str, Any]]:
        """The next answers, as soon as they are there."""
        assert self.process.stdout is not None
        return [json.loads(self.process.stdout.readline()) for _ in range(count)]

    def end(self, number: int = signal.SIGTERM) -> list[dict[str, Any]]:
        """What it answers when it ends."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == (-9 if number == signal.SIGKILL else 128 + number), err
        return [json.loads(row) for row in out.splitlines()]


@pytest.fixture
def start() -> Iterator[Callable[..., Monitor]]:
    monitors: list[Monitor] = []

    def started(*command: object) -> Monitor:
        monitors.append(Monitor(*command))
        return monitors[-1]

    yield started
    for monitor in monitors:
        monitor.process.kill()
        monitor.process.communicate()


def expected(trained: Path, lines: list[str], **settings: Any) -> list[float]:
    """The nats of the lines of one text that is read in one go."""
    return [score.nats for score in pantoum.load(trained).score("".join(lines), **settings)]


@pytest.mark.parametrize("more", [[], ["--adapt"]])
def test_a_restart_answers_each_line_once_as_if_there_had_been_none(
    trained: Path, tmp_path: Path, start: Callable[..., Monitor], more: list[str]
) -> None:
    log, old, state = tmp_path / "app.log", tmp_path / "app.log.1", tmp_path / "app.state"
    log.write_text("".join(LINES[:10]))
    command = (trained, "--follow", log, "--state-file", state, *more)
    monitor = start(*command)
    rows = monitor.rows(10)
    with log.open("a") as file:
        file.write("".join(LINES[10:15]) + LINES[15][:9])
    rows += monitor.rows(5)
    assert monitor.end() == []
    with log.open("a") as file:
        file.write(LINES[15][9:] + "".join(LINES[16:20]))
    log.rename(old)
    log.write_text("".join(LINES[20:30]))
    second = start(*command)
    rows += second.rows(15)
    log.write_text("".join(LINES[30:35]))  # cut
    rows += second.rows(5)
    assert second.end() == []
    assert [row["text"] + "\n" for row in rows] == LINES[:35]
    assert [row["line"] for row in rows] == [*range(1, 21), *range(1, 11), *range(1, 6)]
    assert [row["nats"] for row in rows] == expected(trained, LINES[:35], adapt=bool(more))


def test_a_killed_monitor_goes_on_behind_what_it_had_saved(
    trained: Path, tmp_path: Path, start: Callable[..., Monitor]
) -> None:
    log, state = tmp_path / "app.log", tmp_path / "app.state"
    log.write_text("".join(LINES[:10]))
    monitor = start(trained, "--follow", log, "--state-file", state)
    rows = monitor.rows(10)
    while not state.exists():
        assert monitor.process.poll() is None
    assert monitor.end(signal.SIGKILL) == []
    with log.open("a") as file:
        file.write("".join(LINES[10:20]))
    rows += start(trained, "--follow", log, "--state-file", state).rows(10)
    assert [row["text"] + "\n" for row in rows] == LINES[:20]
    assert [row["nats"] for row in rows] == expected(trained, LINES[:20])


def test_a_monitor_that_adapts_saves_its_model_when_it_is_ended(
    trained: Path, tmp_path: Path, start: Callable[..., Monitor]
) -> None:
    log, kept = tmp_path / "app.log", tmp_path / "kept.safetensors"
    log.write_text("".join(LINES))
    monitor = start(trained, "--follow", log, "--adapt", "--model-out", kept)
    monitor.rows(40)
    assert monitor.end(signal.SIGHUP) == [] and pantoum.load(kept).card["adapted"]


def test_what_does_not_go_with_following_is_refused(
    run: Run, trained: Path, text: Path, tmp_path: Path
) -> None:
    state = ("--state-file", tmp_path / "s")
    for words, named in (
        ((text, *state), "--state-file"),
        (("-", "--follow"), "TEXT is"),
        ((text, "--follow", "--streams", 4), "--streams"),
        ((text, "--follow", "--encoding", "latin-1"), "--encoding"),
        ((text, "--follow", "--json", *state), "--format"),
        ((text, "--follow", "--state-file", text), "--state-file"),
    ):
        done = run("score", trained, *words)
        assert done.code == 1 and named in done.err, done.err
    missing = run("score", trained, tmp_path / "missing.log", "--follow")
    assert missing.code == 1 and "no such file" in missing.err


def test_a_state_that_is_damaged_or_of_something_else_is_refused(trained: Path, tmp_path: Path) -> None:
    model, path = pantoum.load(trained), tmp_path / "s"
    scorer = model.scorer(ScoreConfig())
    list(scorer.feed("The cat\nand"))
    assert write_state(scorer, path, {"by": "line"}, {}) and scorer.waiting_text == "and"
    assert read_state(model.scorer(ScoreConfig()), path, {"by": "line"}) == ({}, 0)
    with pytest.raises(StateError, match="another by"):
        read_state(scorer, path, {"by": "word"})
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 50).astype(int).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StateError, match="cannot use"):
            read_state(scorer, path, {"by": "line"})
    os.truncate(path, 100)
    with pytest.raises(StateError, match="cannot use"):
        read_state(scorer, path, {"by": "line"})


@pytest.mark.parametrize("settings", [{"by": "word"}, {"mask": True}, {"adapt": True, "ignore": ("cat",)}])
def test_a_scorer_goes_on_from_its_state_at_any_place(
    trained: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    model, text, config = pantoum.load(trained), "".join(LINES), ScoreConfig(**settings)
    whole = list(model.scorer(config).read([text]))
    found, scorer = [], model.scorer(config)
    for start in range(0, len(text), 331):
        found += [score for scores in scorer.feed(text[start : start + 331]) for score in scores]
        write_state(scorer, tmp_path / "s", {}, {})
        scorer = model.scorer(config)
        read_state(scorer, tmp_path / "s", {})
    assert found + [score for scores in scorer.finish() for score in scores] == whole
