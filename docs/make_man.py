"""The man page from the parser, as docs/make_cli.py writes it."""

from __future__ import annotations

import argparse
import re

from pantoum.cli import commands as all_commands
from pantoum.cli.main import make_parser

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
129, 130, 143
SIGHUP, Ctrl-C, SIGTERM, after saving
.TP
141
the reader of the standard output has gone
"""
EVERYWHERE = {"--help", "--quiet", "--threads", "--version"}


def man_page(environment: str) -> str:
    """The page; ``environment`` is the table of variables of docs/cli.md."""
    (commands,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    parts = [MAN_HEAD, ".SH COMMANDS"]
    for name in all_commands.names():
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
    for variable, effect in re.findall(r"^\| `(\S+)` \| (.*) \|$", environment, re.M):
        parts += [".TP", f".B {roff(variable)}", roff(effect.replace("`", ""))]
    return "\n".join(part.strip("\n") for part in parts) + "\n"


def roff(text: str) -> str:
    """Text as troff reads it: hyphens are minus signs, which can be copied; no line begins as a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)
