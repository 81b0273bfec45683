"""Writes docs/cli.md from the parser, so that the page is never older than the commands.

    python docs/make_cli.py            write the page
    python docs/make_cli.py --check    exit 1 if it is not what the parser says

The tables are made from the options themselves, not from argparse's own help, whose form changes with the
Python version and the terminal's width.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pantoum.cli.commands import COMMANDS
from pantoum.cli.main import make_parser

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Command line

This page is made from the parser by `python docs/make_cli.py`; do not edit it. Every command prints its
result on stdout and everything else on stderr. `-` is stdin. Exit codes: 0, 1 (an error, in one line), 2
(wrong usage), 3 (`score --exit-code`: an alert), 130 (Ctrl-C), 141 (the reader of stdout has gone). Every
command takes `--help`, `--quiet`, `--threads N` and `--version`.
"""
ENVIRONMENT = """## Environment variables

| variable | effect |
|---|---|
| `NO_COLOR` | no colour on the terminal |
| `PANTOUM_DEBUG=1` | shows the traceback behind an error |
| `PANTOUM_ISA` | `numpy`: no native core; `generic`, `avx2`, `avx512`, `bf16`, `amx`, `neon`: its code |
| `PANTOUM_REQUIRE_CORE=1` | a missing native core is an error |
| `PANTOUM_THREADS` | threads of the native core, as `--threads`; without it `OMP_NUM_THREADS` counts |
"""
EVERYWHERE = {"--help", "--quiet", "--threads", "--version"}


def page() -> str:
    """The whole page."""
    (commands,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    parts = [HEAD, "| command | purpose |\n|---|---|"]
    parts[-1] += "".join(
        f"\n| [`pantoum {name}`](#pantoum-{name}) | {purpose} |" for name, purpose in COMMANDS.items()
    )
    parts += [section(name, commands.choices[name].filled()) for name in COMMANDS]
    parts.append(ENVIRONMENT)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def section(name: str, parser: argparse.ArgumentParser) -> str:
    """One command: what it does, its arguments by group, its examples."""
    parts = [f"## pantoum {name}", str(parser.description)]
    for group in parser._action_groups:
        rows = [row(a) for a in group._group_actions if not EVERYWHERE & set(a.option_strings)]
        if rows:
            title = group.title if group.title not in ("options", "positional arguments") else None
            parts.append(
                (f"**{title}**\n\n" if title else "")
                + "| argument | meaning |\n|---|---|\n"
                + "\n".join(rows)
            )
    parts.append("```\n" + str(parser.epilog).strip() + "\n```")
    return "\n\n".join(parts)


def row(action: argparse.Action) -> str:
    """One argument."""
    metavar = str(action.metavar or action.dest.upper())
    value = "" if action.nargs == 0 else metavar
    dots = "..." if action.nargs in ("*", "+") else ""
    shown = " ".join([*action.option_strings, value + dots]).strip().replace("|", "\\|")
    meaning = str(action.help).replace("%%", "%").replace("<", "&lt;")
    return f"| `{shown}` | {meaning} |"


def main() -> int:
    """Write or check."""
    made = page()
    if sys.argv[1:] == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == made:
            return 0
        print("docs/cli.md is not what the parser says; run `python docs/make_cli.py`", file=sys.stderr)
        return 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
