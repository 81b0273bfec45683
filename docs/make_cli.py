"""Writes docs/cli.md and the man page docs/pantoum.1 from the parser, so that they are never older than it.

    python docs/make_cli.py            write both
    python docs/make_cli.py --check    exit 1 if one is not what the parser says

The tables are made from the options themselves, not from argparse's own help, whose form changes with the
Python version and the terminal's width.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from pantoum.cli.commands import COMMANDS
from pantoum.cli.main import make_parser

PAGE = Path(__file__).with_name("cli.md")
MAN = Path(__file__).with_name("pantoum.1")
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
MAN_HEAD = r""".\" Made by docs/make_cli.py from the parser.
.TH PANTOUM 1
.SH NAME
pantoum \- train a recurrent language model on your own text, and use it
.SH SYNOPSIS
.B pantoum
.I COMMAND
.RI [ argument " ...]"
.SH DESCRIPTION
Every command prints its result on the standard output and everything else on the standard error.
A file named \- is the standard input.
Every command takes \fB\-\-help\fR, \fB\-\-quiet\fR, \fB\-\-threads\fR \fIN\fR and \fB\-\-version\fR.
"""
MAN_END = r""".SH EXIT STATUS
.TP
0
success
.TP
1
an error, in one line
.TP
2
wrong usage
.TP
3
\fBscore \-\-exit\-code\fR: an alert
.TP
130
Ctrl-C
.TP
141
the reader of the standard output has gone
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


def man_page() -> str:
    """The same for `man pantoum`."""
    (commands,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    parts = [MAN_HEAD, ".SH COMMANDS"]
    for name in COMMANDS:
        parser = commands.choices[name].filled()
        parts += [f".SS pantoum {name}", roff(str(parser.description))]
        for action in parser._actions:
            if EVERYWHERE & set(action.option_strings):
                continue
            value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
            value = f"\\fI{roff(value)}\\fR" if value else ""
            names = ", ".join(f"\\fB{roff(each)}\\fR" for each in action.option_strings)
            parts += [".TP", " ".join(each for each in (names, value) if each)]
            parts.append(roff(str(action.help).replace("%%", "%")))
        parts += [".PP", ".nf", *(roff(line) for line in str(parser.epilog).strip().splitlines()), ".fi"]
    parts += [MAN_END, ".SH ENVIRONMENT"]
    for variable, effect in re.findall(r"^\| `(\S+)` \| (.*) \|$", ENVIRONMENT, re.M):
        parts += [".TP", f".B {roff(variable)}", roff(effect.replace("`", ""))]
    return "\n".join(part.strip("\n") for part in parts) + "\n"


def roff(text: str) -> str:
    """Text as troff reads it: hyphens are minus signs, which can be copied, and no line begins as a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)


def main() -> int:
    """Write or check."""
    made = {PAGE: page(), MAN: man_page()}
    if sys.argv[1:] != ["--check"]:
        for file, text in made.items():
            file.write_text(text, encoding="utf-8")
        return 0
    old = [file for file, text in made.items() if not file.exists() or file.read_text("utf-8") != text]
    for file in old:
        print(f"docs/{file.name} is not what the parser says; run `python docs/make_cli.py`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
