"""`pantoum completion`: what Tab completes, by the shells that are here; and the man page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.cli.commands import OURS as COMMANDS
from pantoum.cli.completion import SHELLS

Run = Callable[..., Any]
MAN = Path(__file__).parents[2] / "docs" / "pantoum.1"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is missing")


def offered(folder: Path, *words: str) -> list[str]:
    """What is offered for the last of these words, as the scripts of all shells ask for it."""
    typed = " ".join(("pantoum", *words))
    environment = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "fish", "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    environment |= {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(folder / "answer")}
    environment |= {"COMP_LINE": typed, "COMP_POINT": str(len(typed)), **os.environ}
    (folder / "answer").write_text("")
    subprocess.run([sys.executable, "-m", "pantoum"], env=environment, cwd=folder, timeout=60, check=True)
    return (folder / "answer").read_text().split("\n")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["tr"], ["train"]),
        (["train", "--hidden"], ["--hidden-size"]),
        (["train", "book.txt", "--cell", "l"], ["lstm"]),
        (["train", "--cell=l"], ["--cell=lstm"]),
        (["score", "--format", "t"], ["text", "tsv"]),
        (["train", "bo"], ["book.txt"]),
        (["generate", "book.txt", "--state-in", "bo"], ["book.txt"]),
        (["completion", ""], ["bash", "zsh", "fish", "powershell"]),
    ],
)
def test_what_is_typed_is_completed(tmp_path: Path, typed: list[str], expected: list[str]) -> None:
    (tmp_path / "book.txt").write_text("")
    assert offered(tmp_path, *typed) == expected


def test_every_command_and_option_is_offered(tmp_path: Path) -> None:
    assert {*COMMANDS, "compress", "serve"} <= set(offered(tmp_path, ""))
    options = set(offered(tmp_path, "train", "--"))
    assert {"--minutes", "--quiet", "--kneser-ney", "--no-tied", "--help"} <= options


@needs("bash")
def test_bash_asks_the_command(run: Run, tmp_path: Path) -> None:
    done = run("completion", "bash")
    command = tmp_path / "pantoum"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m pantoum "$@"\n')
    command.chmod(0o755)
    script = f"{done.out}\nCOMP_LINE='pantoum train --cell g'; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9\n"
    script += f"_python_argcomplete {command} g --cell; echo ${{COMPREPLY[@]}}"
    asked = subprocess.run(["bash", "--norc"], input=script, capture_output=True, text=True, timeout=60)
    assert asked.stdout.split() == ["gru", "gru-before"], asked.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_valid(run: Run, shell: str, tmp_path: Path) -> None:
    done = run("completion", shell)
    assert done.code == 0 and done.err == "" and "pantoum" in done.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(done.out)
        checked = subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True, timeout=60)
        assert (checked.returncode, checked.stderr) == (0, b"")


def test_tab_imports_neither_numpy_nor_rich(tmp_path: Path) -> None:
    finder = "import sys\nclass F:\n    def find_spec(self, name, *rest):\n"
    finder += "        assert name not in ('numpy', 'rich'), name\nsys.meta_path.insert(0, F())\n"
    (tmp_path / "sitecustomize.py").write_text(finder)
    environment = os.environ.get("PYTHONPATH", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), environment])))
        assert offered(tmp_path, "train", "--cell", "min") == ["mingru"]
        assert "score" in offered(tmp_path, "sc")


@needs("groff")
def test_the_man_page_is_valid_and_names_every_command() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-cbou", str(MAN)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"   pantoum {name}\n" in done.stdout for name in COMMANDS)
