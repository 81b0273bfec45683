"""Ctrl-C at any moment is one line and the code 130: never a traceback, never called a bug."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.cli import info
from pantoum.cli.output import Output

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """A job in the background of a shell ignores SIGINT, and the tests may be one: here nobody does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@posix
@pytest.mark.parametrize("error", [ImportError("numpy"), SystemError("odd"), RuntimeError("half imported")])
def test_an_error_that_ctrl_c_caused_is_no_bug(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def interrupted(arguments: argparse.Namespace, output: Output) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise error from None

    monkeypatch.setattr(info, "run", interrupted)
    before = signal.getsignal(signal.SIGINT)
    done = run("info", "x")
    assert (done.code, done.err) == (130, "pantoum info: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is before


@posix
def test_ctrl_c_where_python_cannot_pass_it_on_comes_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Last:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    def interrupted(arguments: argparse.Namespace, output: Output) -> None:
        Last()
        time.sleep(60)

    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    before = sys.unraisablehook
    monkeypatch.setattr(info, "run", interrupted)
    done = run("info", "x")
    assert (done.code, done.err, reported) == (130, "pantoum info: interrupted\n", [])
    assert sys.unraisablehook is before


def test_what_else_python_cannot_pass_on_is_still_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Last:
        def __del__(self) -> None:
            raise ValueError("odd")

    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: reported.append(str(told.exc_value)))
    monkeypatch.setattr(info, "run", lambda arguments, output: Last() and None)
    assert (run("info", "x").code, reported) == (0, ["odd"])


def test_an_error_without_ctrl_c_is_still_called_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: argparse.Namespace, output: Output) -> None:
        raise ImportError("numpy")

    monkeypatch.setattr(info, "run", broken)
    assert "a bug in pantoum" in run("info", "x").err


def test_ctrl_c_while_the_command_line_is_imported_is_one_line() -> None:
    script = (
        "import builtins, sys\n"
        "real = builtins.__import__\n"
        "def imported(name, *rest):\n"
        "    if name == 'argparse': raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "from pantoum.__main__ import entry\n"
        "assert 'pantoum.config' not in sys.modules and 'argparse' not in sys.modules\n"
        "builtins.__import__ = imported\n"
        "entry()\n"
    )
    # Without ``site`` nothing imports argparse first; nor is an installed pantoum found without its path.
    environment = {**os.environ, "PYTHONPATH": str(Path(pantoum.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "pantoum: interrupted\n")


IMPORTS = """
import os, runpy, sys, _signal

class Finder:
    \"\"\"Notes what is imported; Ctrl-C is typed when a name is looked for.\"\"\"
    def __init__(self, name):
        self.name, self.found = name, []
    def find_spec(self, name, path=None, target=None):
        self.found.append(name)
        if name == self.name:
            _signal.raise_signal(_signal.SIGINT)

def interrupted(name):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        finder = Finder(name)
        sys.meta_path.insert(0, finder)
        try:
            if how == "-m":
                runpy.run_module("pantoum", run_name="__main__", alter_sys=True)
            from pantoum.__main__ import entry
            entry()
        except SystemExit as end:
            if name is None:
                os.write(2, " ".join(finder.found).encode())
            os._exit(end.code or 0)
        finally:
            os._exit(99)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said

how, every, sys.argv = sys.argv[1], int(sys.argv[2]), ["pantoum", *sys.argv[3:]]
names = interrupted(None)[1].split()
assert "pantoum.__main__" in names and "numpy" in names
names = names[names.index("pantoum.__main__") + 1 :]  # from the first of ours on
for name in names[::every]:
    code, said = interrupted(name)
    if code != 130 or said not in ("pantoum: interrupted\\n", "pantoum info: interrupted\\n"):
        print(name, code, said)
"""


@posix
@pytest.mark.parametrize("how", ["pantoum", "-m"])
@pytest.mark.parametrize("every", [149, pytest.param(3, marks=pytest.mark.slow)])
def test_ctrl_c_while_any_module_is_imported_is_one_line(trained: Path, every: int, how: str) -> None:
    command = [sys.executable, "-c", IMPORTS, how, str(every), "info", str(trained)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr + done.stdout


def test_before_ctrl_c_is_heard_two_modules_are_imported() -> None:
    script = "import sys; before = set(sys.modules); import pantoum.__main__; "
    script += "print(*sorted(set(sys.modules) - before))"
    environment = {**os.environ, "PYTHONPATH": str(Path(pantoum.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout == "pantoum pantoum.__main__\n", done.stderr


@posix
def test_ctrl_c_while_the_interpreter_ends_is_silent(trained: Path) -> None:
    late = "import atexit, signal; atexit.register(signal.raise_signal, signal.SIGINT); "
    late += "from pantoum.__main__ import entry; entry()"
    done = subprocess.run(
        [sys.executable, "-c", late, "info", str(trained)], capture_output=True, timeout=300
    )
    assert done.stdout and (done.returncode, done.stderr) == (-signal.SIGINT, b"")


@posix
@pytest.mark.slow
def test_ctrl_c_at_random_moments_ends_with_a_line(trained: Path, text: Path) -> None:
    began = "import sys; from pantoum.__main__ import entry; "
    began += "print(end='.', file=sys.stderr, flush=True); entry()"
    draw = random.Random(4)
    for number in range(60):
        words = [
            ["info", trained],
            ["generate", trained],
            ["score", trained, text],
            ["evaluate", trained, text],
        ]
        command = [sys.executable, "-c", began, *map(str, words[number % 4])]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None and process.stderr.read(1) == b"."
        time.sleep(draw.uniform(0.002, 0.5))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
        assert b"Traceback" not in said and b"a bug in pantoum" not in said, (number, said.decode())
        assert process.returncode in (0, 130, -signal.SIGINT)
