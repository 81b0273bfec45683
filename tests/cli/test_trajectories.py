"""Drawn commands, options, values and files: whatever is typed, no command calls itself a bug.

Options come from the parser itself, so that a new one is drawn as well. Each command runs in this process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pantoum
from pantoum.apps.logs import follow
from pantoum.cli.main import main, make_parser

ODD = os.fsdecode(b"caf\xe9.txt")
FILES = (
    *(
        "text.txt",
        "empty.txt",
        "one.txt",
        "latin1.txt",
        "nul.txt",
        "long.txt",
        ODD,
        "missing",
        "folder",
        "-",
        "",
    ),
    *("run", "run/model.safetensors", "cut.safetensors", "flipped.safetensors", "run/config.json"),
    *("a.state", "cut.state", "run/checkpoints", "run/data", "prepared", "no/such/folder/file", "new"),
    *("run/metrics.jsonl", "loop", "x" * 300, "/dev/null", "/", "."),
)
VALUES = (
    *("0", "1", "2", "-1", "3", "0.5", "-0.5", "1e308", "1e-320", "nan", "inf", "3000000000", "9" * 30),
    *(
        "auto",
        "none",
        "",
        "x",
        "\udce9",
        "2,3",
        "3,2",
        "lines",
        "words",
        "bytes",
        "bpe:300",
        "gru",
        "int8",
        "torch",
    ),
    *(
        "auto:1%",
        "auto:0%",
        "9.5",
        "carried",
        "segments:4",
        "windows:0",
        "token",
        "json",
        "é\u0301",
        "\x1b[2J",
    ),
)
FEW = {
    "train": ["--steps", "1", "--hidden-size", "8", "--num-layers", "1", "--members", "1"],
    "generate": ["--length", "3", "--count", "2"],
}
"""Options that keep a command short; they come last, so that they count."""
COMMANDS = ("train", "generate", "evaluate", "score", "export", "prepare", "watch", "compare", "info")


def parsers() -> dict[str, argparse.ArgumentParser]:
    (commands,) = (a for a in make_parser()._actions if a.dest == "command")
    choices: Any = commands.choices
    return {name: choices[name].filled() for name in COMMANDS}


OPTIONS = {
    name: [a for a in parser._actions if a.option_strings and a.dest not in ("help", "version", "threads")]
    for name, parser in parsers().items()
}


@st.composite
def commands(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(COMMANDS))
    words = draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=3))
    if draw(st.booleans()):  # else hardly any command would come to its work
        words[0] = "text.txt" if name in ("train", "prepare") else "run"
        words[1:] = ["text.txt"] if name in ("evaluate", "score") else []
    for action in draw(st.lists(st.sampled_from(OPTIONS[name]), max_size=4)):
        words.append(action.option_strings[0])
        if action.nargs != 0:
            words.append(draw(st.sampled_from(FILES) | st.sampled_from(VALUES)))
    return [name, *words, *FEW.get(name, [])]


@pytest.fixture(scope="module")
def made(trained: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    shutil.copytree(trained, folder / "run")
    model = (trained / "model.safetensors").read_bytes()
    for name, data in (
        ("text.txt", text.read_bytes()[:3000]),
        ("empty.txt", b""),
        ("one.txt", b"a"),
        ("latin1.txt", b"caf\xe9 au lait " * 100),
        ("nul.txt", b"a\0b\n" * 100),
        ("long.txt", b"ab" * 3000),
        (ODD, text.read_bytes()[:1000]),
        ("cut.safetensors", model[:-50]),
        ("flipped.safetensors", model[:-9] + bytes([model[-9] ^ 1]) + model[-8:]),
        ("cut.state", bytes(pantoum.load(trained).session().state)[:-3]),
    ):
        (folder / name).write_bytes(data)
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to("loop")
    pantoum.load(trained).session().state.write(folder / "a.state")
    pantoum.prepare(text, folder / "prepared")
    return folder


@pytest.fixture(autouse=True)
def nothing_more_is_written(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``--follow`` would wait for ever: whoever typed it types Ctrl-C at the end of the log. A job in the
    background of a shell ignores that, and the tests may be one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    typed = SimpleNamespace(sleep=lambda seconds: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(follow, "time", typed)
    yield
    signal.signal(signal.SIGINT, before)


def ran(words: list[str], stdin: bytes) -> tuple[int, str]:
    """The code and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("default")
            code = main(words)
    finally:
        sys.stdin = before
    return code, err.getvalue()


def check(made: Path, tmp_path: Path, trajectory: list[list[str]], stdin: bytes) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    shutil.copytree(made, tmp_path, symlinks=True)
    with contextlib.chdir(tmp_path) if sys.version_info >= (3, 11) else pytest.MonkeyPatch.context() as patch:
        if patch is not None:
            patch.chdir(tmp_path)
        for words in trajectory:
            code, said = ran(words, stdin)
            assert "a bug in pantoum" not in said and "Traceback" not in said, (words, said)
            assert code in ((0, 1, 2, 3, 130) if "--follow" in words else (0, 1, 2, 3)), (words, said)
            assert code in (0, 3) or said.strip(), words


STDIN = st.sampled_from([b"", b"The cat sat.\n" * 9, b"\xff\xfe\0", b"a"])
RULES = {"suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=25, derandomize=True, **RULES)
@given(trajectory=st.lists(commands(), min_size=1, max_size=3), stdin=STDIN)
def test_no_drawn_command_calls_itself_a_bug(
    made: Path, tmp_path: Path, trajectory: list[list[str]], stdin: bytes
) -> None:
    check(made, tmp_path, trajectory, stdin)


@pytest.mark.slow
@settings(max_examples=250, **RULES)
@given(trajectory=st.lists(commands(), min_size=1, max_size=4), stdin=STDIN)
def test_no_drawn_command_of_many_calls_itself_a_bug(
    made: Path, tmp_path: Path, trajectory: list[list[str]], stdin: bytes
) -> None:
    check(made, tmp_path, trajectory, stdin)
