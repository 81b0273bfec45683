"""A suggested command is one line, and the shell reads the same name from it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pantoum.config.plain import quoted


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("runs\\book", "runs\\book"),
        ("C:\\Users\\Jörg Ä\\b", '"C:\\Users\\Jörg Ä\\b"'),
        ("def read_", '"def read_"'),
        ("a&b'", '"a&b\'"'),
        ("", '""'),
    ],
)
def test_windows_has_quotes_of_its_own(name: str, typed: str) -> None:
    assert quoted(name, windows=True) == typed


@pytest.mark.parametrize("name", ["runs/book", "a b", "new\nline", "it's\ta\\ tab", "\x1b[31mred1", "é\n1"])
def test_bash_reads_the_name_back(name: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    line = f"printf %s {quoted(name)}"
    assert line.isprintable()
    done = subprocess.run([bash, "-c", line], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert done.stdout.decode() == name
