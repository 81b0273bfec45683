"""docs/cli.md is what the parser says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pantoum.cli.commands import commands as all_commands

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_is_made_from_the_parser() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "make_cli.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_and_flag_is_on_the_page() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert all(f"## pantoum {name}\n" in page for name in all_commands())
    for flag in (
        "--minutes M",
        "--stop-after N",
        "--from MODEL",
        "--documents lines\\|files\\|blank-lines",
        "--embedding-size E\\|none",
        "--min-p P\\|none",
        "--state-out F",
        "--protocol",
    ):
        assert f"`{flag}" in page
