"""`pantoum watch`: a run from another terminal, its newest record as JSON, one line where it is no run."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.formats import metrics_file
from pantoum.formats.run_lock import RunLock


def record(step: int, ended: str | None = None) -> dict[str, Any]:
    figures = dict.fromkeys(("accuracy", "gradient_norm", "learning_rate", "epoch", "progress"), 0.5)
    losses = {"loss": 3.0 / step, "valid": 3.5 / step, "tokens_per_second": 10.0, "sample": "A line."}
    return {"step": step, "tokens": 10 * step, "seconds": 1.0 * step, **figures, **losses, "ended": ended}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "book"
    path.mkdir()
    for step in range(1, 9):
        metrics_file.append(path / "metrics.jsonl", record(step))
    return path


def test_a_finished_run_is_told_line_by_line(run: Callable[..., Any], folder: Path) -> None:
    metrics_file.append(folder / "metrics.jsonl", record(9, "finished"))
    done = run("watch", folder)
    assert done.code == 0 and done.err == ""
    assert done.out.count("step ") == 9 and done.out.endswith("finished\n")


def test_the_newest_record_as_json(run: Callable[..., Any], folder: Path) -> None:
    done = run("watch", folder, "--json")
    assert done.code == 0 and json.loads(done.out)["step"] == 8


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_is_no_run_is_one_line(run: Any, tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run("watch", tmp_path / "nothing", *options)
    assert done.code == 1 and done.out == "" and len(done.lines) == 1
    assert "nothing" in done.err and "give the folder of a run" in done.err


def listen(terminal: int, until: Callable[[bytes], bool], seconds: float = 120.0) -> bytes:
    """What a terminal is told, until that is enough, or nobody talks any more."""
    said, end = b"", time.monotonic() + seconds
    while not until(said) and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                more = os.read(terminal, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not more:
                break
            said += more
    return said


def hears_ctrl_c() -> None:
    """A suite that was begun in the background ignores SIGINT, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_leaves_and_gives_the_terminal_back(folder: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    size = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-m", "pantoum", "watch", str(folder)]
    with RunLock(folder), (tmp_path / "stderr").open("wb") as stderr:
        child = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=stderr,
            env={**os.environ, **size},
            preexec_fn=hears_ctrl_c,
        )
        os.close(theirs)
        try:
            said = listen(ours, lambda so_far: b"step" in so_far)
            child.send_signal(signal.SIGINT)
            said += listen(ours, lambda _: False)
            code = child.wait(120)
        finally:
            child.kill()
            child.wait()
            os.close(ours)
    assert (code, (tmp_path / "stderr").read_bytes()) == (130, b"pantoum watch: interrupted\n")
    assert said.startswith(b"\x1b[?1049h") and said.count(b"\x1b[?1049l") == 1
    assert b"\x1b[?25h" in said and b"validation" in said.split(b"\x1b[?1049l")[1]
