"""How large the source is and how many names a reader meets, at one commit or several.

    python benchmarks/structure.py 87ad667 HEAD

Lines are all lines of the files; classes, Protocols and functions are those of ``src/pantoum``. A class name
counts as repeated if two modules define it, a file name if two folders have it (``__init__.py`` aside). Words
are those of the Markdown files, split at white space. ``--json`` prints one JSON object.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import subprocess
import tarfile
from collections import Counter
from pathlib import PurePosixPath

CORE_OF_IT = ("network", "kernels", "torch", "inference/files")
"""The packages that describe a model and compute it, below ``src/pantoum``."""
MANY_PARAMETERS = 7


def files_at(commit: str) -> dict[str, str]:
    """The text of each source and documentation file at a commit, by path."""
    packed = subprocess.run(
        ["git", "archive", commit, "src", "core", "docs"], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        files = [(each.name, archive.extractfile(each)) for each in archive.getmembers() if each.isfile()]
        return {
            name: file.read().decode("utf-8", "replace")
            for name, file in files
            if file is not None and re.search(r"\.(py|h|cpp|md|js|css|html)$", name)
        }


def measured(files: dict[str, str]) -> dict[str, object]:
    """The figures of a commit's files."""
    python = {name: text for name, text in files.items() if re.match(r"src/pantoum/.*\.py$", name)}
    trees = {name: ast.parse(text) for name, text in python.items()}
    nodes = [(name, node) for name, tree in trees.items() for node in ast.walk(tree)]
    classes = [(name, node) for name, node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node for _, node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    places = Counter(node.name for _, node in classes)
    named = Counter(PurePosixPath(name).name for name in python)
    inner = [name for name in python if any(name.startswith(f"src/pantoum/{each}/") for each in CORE_OF_IT)]
    return {
        "lines of Python": sum(map(_lines, python.values())),
        "files": len(python),
        "classes": len(classes),
        "Protocols": sum(_is_protocol(node) for _, node in classes),
        "functions": len(functions),
        f"functions of {MANY_PARAMETERS} parameters and more": sum(
            _parameters(function) >= MANY_PARAMETERS for function in functions
        ),
        f"lines of {', '.join(CORE_OF_IT)}": sum(_lines(python[name]) for name in inner),
        "files of these": len(inner),
        "class names in two modules": sorted(name for name, count in places.items() if count > 1),
        "file names in two folders": sorted(
            name for name, count in named.items() if count > 1 and name != "__init__.py"
        ),
        "files over 400 lines": sorted(name for name, text in python.items() if _lines(text) > 400),
        "lines of the core": sum(
            _lines(text)
            for name, text in files.items()
            if name.startswith("core/") and not name.startswith("core/tests/")
        ),
        "words of log and decisions": _words(files, r"docs/(log|decisions)/"),
        "words of all documentation": _words(files, r"docs/"),
    }


def _lines(text: str) -> int:
    return text.count("\n")


def _words(files: dict[str, str], where: str) -> int:
    return sum(len(text.split()) for name, text in files.items() if re.match(where + r".*\.md$", name))


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) == "Protocol" for base in node.bases)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Parameters without ``self`` and ``cls``."""
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def main() -> None:
    """Print the figures of each commit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commits", nargs="*", default=["HEAD"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {commit: measured(files_at(commit)) for commit in arguments.commits}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for name in found[arguments.commits[0]]:
        figures = [found[commit][name] for commit in arguments.commits]
        print(f"{name:45}", *(f"{len(each) if isinstance(each, list) else each:>10,}" for each in figures))
    for name in ("class names in two modules", "file names in two folders", "files over 400 lines"):
        last = found[arguments.commits[-1]][name]
        assert isinstance(last, list)
        print(f"\n{name}, {arguments.commits[-1]}: {' '.join(last)}")


if __name__ == "__main__":
    main()
