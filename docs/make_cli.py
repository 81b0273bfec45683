"""Writes what is made from the settings: docs/cli.md, docs/pantoum.1 (man) and the types of keywords in
config/keywords.pyi.

    python docs/make_cli.py            write them
    python docs/make_cli.py --check    exit 1 if one of them is not what the settings say

The tables are made from the options themselves, not from argparse's own help, whose form changes with the
Python version and the terminal's width.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from make_man import man_page

from pantoum import config
from pantoum.cli.commands import commands as all_commands
from pantoum.cli.main import make_parser
from pantoum.config.rules import path
from pantoum.config.score import ReadingConfig
from pantoum.config.setting import Setting, SettingGroup, declared

PAGE = Path(__file__).with_name("cli.md")
MAN = Path(__file__).with_name("pantoum.1")
KEYWORDS = Path(config.__file__).with_name("keywords.pyi")
KEYWORDS_HEAD = '''"""The settings of calls as types: an editor completes them, mypy refuses a misspelt one.

Made from the settings by `make docs`; do not edit. Only type checkers read it: a call checks its values when
it builds its settings. ``Unpack`` is of Python 3.11 and is imported for type checkers alone.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

import numpy as np

from pantoum.config.rules import Auto

Whole: TypeAlias = int | np.integer[Any]
Number: TypeAlias = float | np.integer[Any] | np.floating[Any]
Path: TypeAlias = str | os.PathLike[str]
'''
KINDS: dict[str, tuple[str, type[SettingGroup]]] = {
    "Sampling": ("", config.SamplingConfig),
    "Streaming": ("Sampling", config.StreamConfig),
    "Writing": ("Streaming", config.GenerationConfig),
    "Reading": ("", ReadingConfig),
    "Scoring": ("Reading", config.ScoreConfig),
    "Preparing": ("", config.TextSettings),
    "Training": ("Preparing", config.TrainSettings),
}
"""The class of types for each class of settings, and the one that it builds on."""
PARAMETERS = {"by", "count", "n_best"}
"""What calls declare by themselves."""
WIDER = {
    "int": "Whole",
    "float": "Number",
    "tuple[int, ...]": "Sequence[int]",
    "tuple[str, ...]": "Sequence[str]",
}
"""What a keyword also takes."""
HEAD = """# Command line

This page is made from the parser by `python docs/make_cli.py`; do not edit it.
[What you can do](commands.md) lists the commands by purpose. Every command prints its result on stdout and
everything else on stderr. `-` is stdin. Exit codes: 0, 1 (an error, in one line), 2 (wrong usage), 3
(`score --exit-code`: an alert), 129, 130 and 143 (SIGHUP, Ctrl-C and SIGTERM, after saving), 141 (the reader
of stdout has gone). Every command takes `--help`, `--quiet`, `--threads N` and `--version`; all but `serve`
and `completion` take `--json`, which prints one JSON object unless a table says more.
"""
ENVIRONMENT = """## Environment variables

| variable | effect |
|---|---|
| `NO_COLOR` | no colour on the terminal |
| `PANTOUM_DEBUG=1` | shows the traceback behind an error |
| `PANTOUM_ISA` | instructions: `generic`, `avx2`, `avx512`, `bf16`, `amx`, `neon`; `numpy`: no native core |
| `PANTOUM_REQUIRE_CORE=1` | a missing native core is an error |
| `PANTOUM_THREADS` | threads of the native core, as `--threads`; without it, `OMP_NUM_THREADS` is used |
"""
EVERYWHERE = {"--help", "--quiet", "--threads", "--version"}
JSON = "| `--json` | print one JSON object |"


def page() -> str:
    """The whole page."""
    (commands,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    parts = [HEAD, *(section(name, commands.choices[name].filled()) for name in all_commands()), ENVIRONMENT]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def keywords() -> str:
    """The whole module of types."""
    names = "".join(f'    "{name}",\n' for name in sorted(KINDS))
    parts = [KEYWORDS_HEAD, f"__all__ = [\n{names}]\n"]
    known: dict[str, set[str]] = {}
    for name, (base, kind) in KINDS.items():
        settings = declared(kind)
        known[name] = set(settings)
        own = [one for one in settings if one not in known.get(base, ()) and one not in PARAMETERS]
        rows = "".join(f"    {one}: {keyword_type(settings[one])}\n" for one in own)
        bases = f"{base or 'TypedDict'}, total=False"
        parts.append(f'class {name}({bases}):\n    """``{kind.__name__}``."""\n\n{rows}')
    return "\n".join(parts)


def keyword_type(one: Setting) -> str:
    """The type of a keyword: as of its setting, and all that this makes of it."""
    if one.rule is path:
        return one.type.replace("str", "Path")
    return " | ".join(WIDER.get(part, part) for part in one.type.split(" | "))


def section(name: str, parser: argparse.ArgumentParser) -> str:
    """One command: what it does, its arguments by group, its examples."""
    parts = [f"## pantoum {name}", str(parser.description)]
    groups: dict[str, list[str]] = {}
    for group in parser._action_groups:
        title = "" if group.title in ("options", "positional arguments") else str(group.title)
        rows = [row(a) for a in group._group_actions if not EVERYWHERE & set(a.option_strings)]
        rows = [one for one in rows if one != JSON]
        groups.setdefault(title, []).extend(rows)
    for title, rows in groups.items():
        if title == "text" and name != "train":
            parts.append("The options for the text are those of [`pantoum train`](#pantoum-train).")
        elif rows:
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
    found = 0
    for file, made in ((PAGE, page()), (MAN, man_page(ENVIRONMENT)), (KEYWORDS, keywords())):
        if sys.argv[1:] != ["--check"]:
            file.write_text(made, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != made:
            print(f"{file.name} is not what the settings say; run `python docs/make_cli.py`", file=sys.stderr)
            found = 1
    return found


if __name__ == "__main__":
    sys.exit(main())
