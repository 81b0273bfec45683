"""What installed packages add, our own apps among them: entry points of the groups ``pantoum.*``.

    commands         a command                          name -> module with HELP, EXAMPLES, add_options, run
    command_options  options of another command         name of the command -> module with add_options and run
    functions        a function of ``pantoum``          name -> function
    readers          a file that is no plain text       any name -> function (head, name) -> reader, or None
    addresses        texts at an address                any name -> module with remote_files
    fetchers         a model at an address              scheme, as "hf" -> function (address) -> Path
    exporters        a form for ``pantoum export``      form -> function (content, out, texts) -> facts
    importers        a model of another program         any name -> module with recognises and import_
    descriptions     a file that ``info`` describes     kind -> module with describe and verify
    engines          what trains in place of the core   any name -> function (settings) -> engine, or None
    launchers        processes that train together      "ranks" -> function () -> context of a group, or None
    constraints      what a text may be                 any name -> module with constraint
    bases            a model to start from              name -> path of its file

``docs/how-to/extend.md`` has the signatures and a package that adds one of each. Entry points are read when
first needed. They are read from ``entry_points.txt`` here, because ``importlib.metadata`` alone takes as long
to import as the whole of ``pantoum --help`` (decision 116).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from pantoum.errors import MissingExtensionError

PREFIX = "pantoum."


def names(group: str) -> list[str]:
    """The names in a group, sorted."""
    return sorted(_entries().get(group, {}))


def find(group: str, name: str) -> Any:
    """What an entry point names, imported.

    Raises ``MissingExtensionError`` if no installed package has it, or if it cannot be imported.
    """
    value = _entries().get(group, {}).get(name)
    if value is None:
        raise MissingExtensionError(group, name, "no installed package adds it")
    module, _, attribute = value.partition(":")
    try:
        found: Any = import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
    except (ImportError, AttributeError) as problem:
        raise MissingExtensionError(group, name, f"{value} cannot be imported ({problem})") from problem
    return found


def items(group: str) -> Iterator[tuple[str, Any]]:
    """The names of a group and what they name, as far as it can be imported, in the order of the names."""
    for name in names(group):
        try:
            yield name, find(group, name)
        except MissingExtensionError:  # an app that was removed, a package whose extra is not installed
            continue


def each(group: str) -> Iterator[Any]:
    """The same without the names."""
    return (found for _, found in items(group))


@lru_cache(maxsize=1)
def _entries() -> dict[str, dict[str, str]]:
    """Group -> name -> value. As with modules, what stands first on the path counts."""
    found: dict[str, dict[str, str]] = {}
    for folder in sys.path:
        try:
            inside = sorted(os.listdir(folder or "."))
        except OSError:  # a zip archive, or no longer there
            continue
        for name in inside:
            if name.endswith((".dist-info", ".egg-info")):
                _read(os.path.join(folder, name, "entry_points.txt"), found)
    return found


def _read(path: str, found: dict[str, dict[str, str]]) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError):  # most packages have none
        return
    if f"[{PREFIX}" not in text:
        return
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip().removeprefix(PREFIX) if line.startswith(f"[{PREFIX}") else ""
        elif group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            found.setdefault(group, {}).setdefault(name.strip(), value.partition("[")[0].strip())
