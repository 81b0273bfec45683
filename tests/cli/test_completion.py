"""`pantoum completion`: what Tab completes, by the shells that are here; and the man page."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.cli.commands import commands as all_commands
from pantoum.cli.completion import SHELLS, commands_of
from pantoum.cli.main import make_parser

Run = Callable[..., Any]
MAN = Path(__file__).parents[2] / "docs" / "pantoum.1"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is missing")


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    typed = " ".join(f"'{word}'" for word in words)
    asked = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _pantoum; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "--norc"], input=asked, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


@needs("bash")
@pytest.mark.parametrize(
    "typed, offered",
    [
        (["tr"], ["train"]),
        (["train", "--hidden"], ["--hidden-size"]),
        (["train", "book.txt", "--cell", "l"], ["lstm"]),
        (["train", "--cell", "=", "l"], ["lstm"]),
        (["score", "--format", "t"], ["text", "tsv"]),
        (["train", "--run", "r"], []),  # names of files, by bash itself
        (["train", "book"], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["completion", "zsh", ""], []),
    ],
)
def test_bash_completes(typed: list[str], offered: list[str]) -> None:
    assert completed(SHELLS["bash"](make_parser()), "pantoum", *typed) == offered


@needs("bash")
def test_bash_offers_every_command_and_option() -> None:
    script = SHELLS["bash"](make_parser())
    assert set(all_commands()) <= set(completed(script, "pantoum", ""))
    for command in commands_of(make_parser()):
        expected = {name for option in command.options for name in option.names}
        assert set(completed(script, "pantoum", command.name, "-")) == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_holds_every_option_and_is_valid(run: Run, shell: str, tmp_path: Path) -> None:
    done = run("completion", shell)
    assert done.code == 0 and done.err == ""
    for command in commands_of(make_parser()):
        for option in command.options:
            name = option.names[-1]
            assert (f"-l {name[2:]}" if shell == "fish" else name) in done.out
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(done.out)
        checked = subprocess.run([shell, "-n", str(file)], capture_output=True, text=True, timeout=60)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_signs_of_a_shell_in_a_help_text_are_quoted() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    commands.add_parser("go", help="a 'way'").add_argument("--far", metavar="a|b", help="[x]: 'y' \\ z")
    assert "'--far[\\[x\\]\\: '\\''y'\\'' \\\\ z]:value:(a b)'" in SHELLS["zsh"](parser)
    assert "-l far -x -a 'a b' -d '[x]: \\'y\\' \\\\ z'" in SHELLS["fish"](parser)


@needs("groff")
def test_the_man_page_is_valid_and_names_every_command() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-cbou", str(MAN)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"   pantoum {name}\n" in done.stdout for name in all_commands())
