"""Where little is set, or much, commands do the same: no terminal, no home, a C locale, a strict umask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pantoum

SOURCE = Path(pantoum.__file__).parents[1]
BARE = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join([str(SOURCE), *filter(None, sys.path)])}
SURROUNDINGS = [
    {},
    {"TERM": "dumb", "LANG": "C", "LC_ALL": "C", "HOME": "/proc/none"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HOME": ""},
    {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "COLUMNS": "10", "LINES": "2", "TERM": "xterm-256color"},
    {"NO_COLOR": "1", "COLUMNS": "no", "TERM": ""},
]


@pytest.mark.skipif(os.name != "posix", reason="a bare environment starts no process there")
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_commands_do_the_same_whatever_surrounds_them(
    text: Path, trained: Path, tmp_path: Path, surroundings: dict[str, str]
) -> None:
    words = ["--steps", "2", "--hidden-size", "8", "--num-layers", "1", "--run", "caf\u00e9"]
    commands = [
        ["train", str(text), *words],
        ["compare", "caf\u00e9", str(trained)],
        ["watch", "caf\u00e9"],
        ["score", str(trained), str(text), "--by", "line"],
    ]
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "pantoum", *command],
            cwd=tmp_path,
            env={**BARE, **surroundings},
            capture_output=True,
            timeout=300,
            preexec_fn=lambda: os.umask(0o077) and None,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"\x1b" not in done.stdout + done.stderr and b"Traceback" not in done.stderr
    assert (tmp_path / "caf\u00e9" / "model.safetensors").exists()
