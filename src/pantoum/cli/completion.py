"""``pantoum completion``: the script by which a shell completes commands, options and their values."""

from __future__ import annotations

import argparse

from pantoum.cli.output import Output
from pantoum.cli.shells import SHELLS

EXAMPLES = """examples:
  pantoum completion bash > pantoum         for ~/.local/share/bash-completion/completions
  pantoum completion zsh > _pantoum         for a folder of $fpath
  pantoum completion fish > pantoum.fish    for ~/.config/fish/completions

A new shell reads the file from that folder. Make it again after an update of pantoum.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the name of the shell."""
    parser.add_argument("shell", choices=list(SHELLS), metavar="SHELL", help="bash, zsh or fish")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Print the script."""
    from pantoum.cli.main import make_parser

    output.write(SHELLS[arguments.shell](make_parser()))
