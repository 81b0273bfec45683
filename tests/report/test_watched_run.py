"""Watching a run from another terminal: live on a screen, lines elsewhere, to its end."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.errors import RunError
from pantoum.formats import metrics_file
from pantoum.formats.run_lock import RunLock
from pantoum.report.watched_run import latest, watch

Make = Callable[..., list[dict[str, Any]]]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path, make_records: Make) -> Path:
    path = tmp_path / "book"
    path.mkdir()
    for each in make_records(20, notes=["a note\x1b[2J"]):
        metrics_file.append(path / "metrics.jsonl", each)
    return path


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


def test_a_finished_run_elsewhere_is_lines(folder: Path) -> None:
    stream = io.StringIO()
    assert watch(folder, stream) == "finished"
    lines = stream.getvalue().splitlines()
    assert len(lines) == 41 and lines[-1] == "finished"
    assert "step 20" in lines[-3] and "validation" in lines[-3] and lines[-2].strip() == "note: a note␛[2J"


def test_a_finished_run_on_a_terminal_is_one_frame_that_stays(folder: Path) -> None:
    stream = Terminal()
    assert watch(folder, stream) == "finished"
    assert "\x1b[?1049h" not in stream.getvalue()
    assert "validation" in stream.getvalue() and "finished" in stream.getvalue()


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_running_run_is_followed_to_its_end(
    folder: Path, make_records: Make, kind: type[io.StringIO]
) -> None:
    metrics_file.truncate_after(folder / "metrics.jsonl", 10)
    stream, lock = kind(), RunLock(folder)
    lock.acquire()

    def sleep(seconds: float) -> None:
        for each in make_records(20)[10:]:
            metrics_file.append(folder / "metrics.jsonl", each)
        lock.release()

    assert watch(folder, stream, sleep=sleep) == "finished"
    said = stream.getvalue()
    assert "step 20" in said.split("\x1b[?1049l")[-1]


def test_a_killed_run_is_said_to_be_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.report.run_files.PATIENCE", 0.0)
    metrics_file.truncate_after(folder / "metrics.jsonl", 10)
    screen, stream = Terminal(), io.StringIO()
    assert watch(folder, screen, sleep=lambda _: None) == "no longer running"
    assert "no longer running" in screen.getvalue().split("\x1b[?1049l")[-1]
    assert watch(folder, stream, sleep=lambda _: None) == "no longer running"
    assert stream.getvalue().endswith("no longer running\n")


def test_a_foreign_record_is_passed_over(folder: Path) -> None:
    metrics_file.append(folder / "metrics.jsonl", {"step": "x", "ended": "finished"})
    stream = io.StringIO()
    watch(folder, stream)
    assert stream.getvalue().count("step") == 20


def test_the_latest_record(folder: Path, tmp_path: Path) -> None:
    assert latest(folder)["step"] == 20
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match="no record yet"):
        latest(tmp_path)
