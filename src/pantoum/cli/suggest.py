"""What a mistyped command or option probably meant.

Three sources, in this order: the name that other programs use for the same thing (``--lr``), an option that
begins with what was typed (``--hidden``), a similar spelling (``trian``). A suggestion never changes what
runs: it stands in the message of the error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from pantoum.config import nearest
from pantoum.config.rules import ELSEWHERE, meant
from pantoum.config.setting import flag

COMMANDS_ELSEWHERE = {
    "convert": "export",
    "eval": "evaluate",
    "finetune": "train",
    "predict": "generate",
    "quantize": "export",
    "sample": "generate",
    "tokenize": "prepare",
}


def option_advice(typed: str, known: Collection[str], others: Mapping[str, Collection[str]]) -> str:
    """What to type instead of an option that a command does not have; empty where nothing is near.

    ``known``: the options of the command. ``others``: the options of the other commands by their name.
    """
    name = typed.partition("=")[0]
    bare = name.strip("-").lower().replace("-", "_")
    names = {option.lstrip("-").replace("-", "_"): option for option in known}
    elsewhere = ELSEWHERE.get(bare, "")
    owners = [command for command, options in others.items() if {name, flag(elsewhere)} & set(options)]
    if owners and elsewhere not in names:
        return f"it is an option of `pantoum {'train' if 'train' in owners else owners[0]}`"
    near = meant(bare, names) if len(bare) > 1 else None
    return f"did you mean {names[near]}?" if near else ""


def command_advice(typed: str, commands: Collection[str]) -> str:
    """What to type instead of a command that does not exist."""
    if typed == "help":
        return "type `pantoum --help`, or `pantoum train --help` for one command"
    if typed == "version":
        return "type `pantoum --version`"
    if typed == "pantoum":
        return "it is typed twice; leave one out"
    near = COMMANDS_ELSEWHERE.get(typed.lower()) or nearest(typed, commands)
    if near is not None:
        return f"did you mean `pantoum {near}`?"
    path = Path(typed)
    with suppress(OSError, ValueError):  # a name that no file can have
        if path.exists():
            is_model = path.suffix == ".safetensors" or (path / "model.safetensors").exists()
            command = "generate" if is_model else "train"
            return f"it is a file or folder: did you mean `pantoum {command} {typed}`?"
    return "the commands are " + ", ".join(commands)
