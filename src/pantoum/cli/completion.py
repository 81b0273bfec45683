"""``pantoum completion``: Tab completes commands, options and their values (argcomplete).

The script that it prints asks ``pantoum`` itself, with ``_ARGCOMPLETE`` in the environment, so that it knows
the commands of all packages and never grows old. Neither NumPy nor a command is imported for the answer,
but the options of the one that was typed. Where nothing else is known, names of files are completed.
"""

from __future__ import annotations

import argparse
import os
import re

from pantoum.cli.output import Output
from pantoum.cli.parser import Parser

EXAMPLES = """examples:
  pantoum completion bash > pantoum         for ~/.local/share/bash-completion/completions
  pantoum completion zsh > _pantoum         for a folder of $fpath
  pantoum completion fish > pantoum.fish    for ~/.config/fish/completions
  pantoum completion powershell >> $PROFILE

A new shell reads the file from that folder.
"""
SHELLS = ("bash", "zsh", "fish", "powershell")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the name of the shell."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh, fish or powershell")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Print the script."""
    from argcomplete.shell_integration import shellcode

    output.answer(shellcode(["pantoum"], shell=arguments.shell).rstrip())


def answer(parser: Parser) -> None:
    """Print what may be typed next, and end the process."""
    from argcomplete import autocomplete
    from argcomplete.completers import FilesCompleter, SuppressCompleter

    (commands,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    typed = set(os.environ["COMP_LINE"].split()) & set(commands.choices)
    if not typed:
        parser.describe()
    for command in (commands.choices[name].filled() for name in typed):
        command.mixed = False
        for action in command._actions:  # the values that a metavar lists: gru|lstm
            words = [
                word for word in str(action.metavar).split("|") if re.fullmatch("[a-z0-9][a-z0-9-]*", word)
            ]
            if words and not action.choices:
                action.choices = words
    # Names of files are asked of bash, which Windows has not; PowerShell completes them itself.
    files = SuppressCompleter() if os.name == "nt" else FilesCompleter()
    autocomplete(parser, always_complete_options=False, default_completer=files)
