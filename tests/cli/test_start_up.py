"""What a command imports before it does anything: start-up grows with each module, and must not unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pantoum.kernels import native, without_core

LIST = Path(__file__).with_name("imported_by_generate.txt")
HEAVY = {
    "ctypes.util",
    "email",
    "html",
    "http",
    "importlib.metadata",
    "multiprocessing",
    "numpy.ma",
    "numpy.random",
    "random",
    "rich",
    "secrets",
    "ssl",
    "subprocess",
    "tempfile",
    "traceback",
}
"""Modules of others that take milliseconds, and that neither command needs."""


def imported(*command: str) -> tuple[list[str], set[str]]:
    """The modules of pantoum that a command has imported when it ends, and those of others.

    The path of the core is given: where a processor has two for the same products the faster one is measured,
    by more modules."""
    script = (
        "import os, sys; from pantoum.cli.main import main; code = main(sys.argv[1:]); sys.stdout.flush(); "
        "print(code, *sorted(sys.modules), file=sys.stderr)"
    )
    path = {} if without_core() is not None else {"PANTOUM_ISA": native.core().isa}
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env={**os.environ, **path},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    code, *names = done.stderr.splitlines()[-1].split()
    assert code == "0"
    own = [name for name in names if name.split(".")[0] == "pantoum"]
    return own, set(names) - set(own)


def test_help_imports_neither_commands_nor_settings() -> None:
    own, others = imported("--help")
    core = [name for name in own if not name.startswith("pantoum.apps")]
    assert core == [
        "pantoum",
        "pantoum.cli",
        "pantoum.cli.commands",
        "pantoum.cli.main",
        "pantoum.cli.parser",
        "pantoum.config",
        "pantoum.errors",
        "pantoum.extensions",
    ]
    commands = {"archive.compress", "archive.decompress", "convert.command", "server.command"}
    packages = {name.partition(".")[0] for name in commands}
    apps = {name.removeprefix("pantoum.apps.") for name in own if name.startswith("pantoum.apps.")}
    assert apps == commands | packages  # each imports what it needs in its functions
    assert not others & (HEAVY | {"dataclasses", "inspect", "json", "numpy", "pathlib", "threading"})


def test_the_help_of_a_command_imports_no_other_command() -> None:
    own, others = imported("generate", "--help")
    assert [name for name in own if name.startswith("pantoum.cli.")] == [
        f"pantoum.cli.{name}" for name in ("commands", "generate", "main", "options", "output", "parser")
    ]
    assert not others & (HEAVY | {"numpy"})


def test_generate_imports_what_the_list_says(trained: Path) -> None:
    """A module that generating really needs is added to the list; one that it does not need is imported where
    it is used."""
    own, others = imported("generate", str(trained), "--length", "3", "--seed", "1")
    assert own == LIST.read_text(encoding="utf-8").split()
    assert not others & HEAVY
