"""How a command begins and ends: options everywhere, threads, interruptions, closed pipes, bugs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.cli import info
from pantoum.cli.commands import commands as all_commands
from pantoum.cli.main import main
from pantoum.cli.output import Output, abandon_stdout, one_line
from pantoum.config.processors import THREAD_VARIABLES

Run = Callable[..., Any]


@pytest.mark.parametrize("arguments", [["--version"], ["train", "--version"], ["generate", "--version"]])
def test_the_version_is_told_everywhere(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).out == f"pantoum {pantoum.__version__}\n"


@pytest.mark.parametrize("command", [None, *all_commands()])
def test_help_is_on_stdout(run: Run, command: str | None) -> None:
    done = run(*([command] if command else []), "--help")
    assert done.code == 0 and done.err == ""
    assert "--quiet" in done.out and "--threads N" in done.out and "--version" in done.out


def test_threads_are_set_before_numpy_is_imported(trained: Path) -> None:
    script = (
        "import os, sys; from pantoum.cli.main import main; "
        f"main(['--threads', '1', 'info', {str(trained)!r}]); print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.splitlines()[-1] == "1" and done.stderr == ""


def test_threads_that_come_too_late_are_said(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "2")
    done = run("info", trained, "--threads", 2)
    assert done.code == 0 and len(done.lines) == 1 and "has no effect on NumPy" in done.err


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException, command: Any = info) -> None:
    def run(arguments: argparse.Namespace, output: Output) -> None:
        raise error

    monkeypatch.setattr(command, "run", run)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "here"), 1, "'here': No space left on device"),
        (OSError("odd"), 1, "odd"),
        (MemoryError(), 1, "not enough memory"),
        (ZeroDivisionError("a bug"), 1, "a bug in pantoum, please report it: ZeroDivisionError"),
        (pantoum.PantoumError("two\nlines"), 1, "two lines"),
    ],
)
def test_every_end_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    failing(monkeypatch, error)
    done = run("info", "x")
    assert done.code == code and len(done.lines) == 1 and words in done.err and done.out == ""


def test_the_traceback_can_be_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError("a bug"))
    monkeypatch.setenv("PANTOUM_DEBUG", "1")
    assert "Traceback" in run("info", "x").err


def test_a_reader_that_goes_away_ends_it_without_a_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, BrokenPipeError())
    done = run("info", "x")
    assert (done.code, done.err) == (141, "")


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe that is closed early")
def test_head_ends_quietly(trained: Path) -> None:
    command = f"{sys.executable} -m pantoum generate {trained} --seed 1 --length 100000 | head -c 20"
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stderr == "" and done.stdout.endswith("141\n")


def test_settings_errors_name_the_flag(run: Run, text: Path) -> None:
    assert "--hidden-size is 0" in run("train", text, "--hidden-size", 0).err


def test_a_closed_stderr_is_no_error(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["info", str(trained)]) == 0
    assert main(["info", "nothing"]) == 1
    monkeypatch.setattr(sys, "stdout", None)
    abandon_stdout()


@pytest.mark.parametrize("command", ["info {}", "generate {} --seed 1 --json", "watch {}", "compare {} {}"])
def test_an_answer_that_a_closed_stdout_cannot_take_is_an_error(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    done = run(*(word.format(trained) for word in command.split()))
    assert done.code == 1 and done.err.endswith(
        "'stdout': it is closed; redirect stdout to a file, or to /dev/null\n"
    )


def test_a_command_without_an_answer_needs_no_stdout(
    run: Run, trained: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run("score", trained, text, "--alert", 99, "--only-alerts", "--format", "jsonl").code == 0


def test_one_line_shows_what_a_terminal_would_obey() -> None:
    assert one_line(" a\nb\x1b[2J\udce9 \u00e9") == "a b\\x1b[2J\\udce9 \u00e9"


def test_python_dash_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pantoum", "--version"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == f"pantoum {pantoum.__version__}\n"


def test_after_two_dashes_every_word_is_a_file(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x.txt").write_text("The cat sat on the mat.\n" * 40)
    done = run("train", "--steps", 1, "--hidden-size", 8, "--plan", "--", "-x.txt")
    assert done.code == 0 and "1 step" in done.out
    assert run("score", "--", "-none").code == 1
    assert run("train", "-x.txt").code == 2
