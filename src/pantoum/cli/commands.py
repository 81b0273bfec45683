"""The commands by name: our own, and those that apps and other packages add (``pantoum.commands``).

The module of a command is imported when the command is typed, or its help asked for. It has ``EXAMPLES`` (the
end of its help), ``add_options(parser)`` and ``run(arguments, output)``, which returns the exit code, or
``None`` for 0. That of another package also has ``HELP``, what the command does in one line. It is imported
for ``pantoum --help``, so it imports what it needs in its functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pantoum import extensions
from pantoum.errors import MissingExtensionError

if TYPE_CHECKING:
    import argparse

    from pantoum.cli.output import Output

OURS = {
    "demo": "train for two minutes on the source of Python's library, and show what the model writes",
    "train": "train a model on texts; pantoum chooses the settings that you leave out",
    "generate": "generate text: the prompt and its continuation",
    "evaluate": "measure how well a model predicts texts",
    "score": "print the surprisal of each token, word or line of a text, in nats",
    "complete": "suggest the next word of each line of stdin: for an editor, a shell, an input method",
    "export": "convert a model: to int8, which generates faster, or to a file of another program",
    "prepare": "tokenize texts once, for many runs with `pantoum train --data`",
    "watch": "show a run from another terminal while it trains, or after its end",
    "compare": "compare runs in a table, with mean and standard deviation over seeds",
    "info": "describe a model, a run folder or another file of pantoum",
    "doctor": "show what this machine offers: processor, threads, measured rates, and advice",
    "completion": "print the script that makes a shell complete commands and options",
}
"""What each of our own commands does."""


def names() -> list[str]:
    """The names of all commands; nothing is imported."""
    return [*OURS, *(name for name in extensions.names("commands") if name not in OURS)]


def commands() -> dict[str, str]:
    """All commands that are there, and what each does."""
    found = dict(OURS)
    for name in names()[len(OURS) :]:
        try:
            found[name] = extensions.find("commands", name).HELP
        except MissingExtensionError:  # an app that was removed
            continue
    return found


def help_of(name: str) -> str:
    """What a command does."""
    return OURS.get(name) or str(module_of(name).HELP)


def module_of(name: str) -> Any:
    """The module of a command."""
    if name in OURS:
        return import_module(f"pantoum.cli.{name}")
    return extensions.find("commands", name)


def add_options(name: str, parser: argparse.ArgumentParser) -> None:
    """Add the options of a command, those of other packages among them."""
    module_of(name).add_options(parser)
    more = _more(name)
    if more is not None:
        more.add_options(parser)


def run(name: str, arguments: argparse.Namespace, output: Output) -> int:
    """Run a command; its exit code. A package that adds options decides how the command runs."""
    command, more = module_of(name).run, _more(name)
    code = command(arguments, output) if more is None else more.run(arguments, output, command)
    return int(code or 0)


def _more(name: str) -> Any:
    """The module of another package that adds options to this command; ``None`` where none does."""
    if name not in extensions.names("command_options"):
        return None
    try:
        return extensions.find("command_options", name)
    except MissingExtensionError:  # an app that was removed
        return None
