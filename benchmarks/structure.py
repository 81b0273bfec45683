"""How large the source is and how many names a reader meets, at one commit or several, beside the budget.

    python benchmarks/structure.py cee1a71c HEAD

Lines are all lines of the files. The core is ``src/pantoum`` without ``apps``. A path of a text is counted by
the modules of pantoum that the files of ``docs/afternoon.md`` are. ``--json`` prints one JSON object.
"""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import tarfile
from collections import Counter

from measured import parser

FOLDERS = ("src", "core", "docs", "tests", "benchmarks")
BUDGET = {
    "core: lines": 31_000,
    "core: files": 210,
    "core: classes": 310,
    "apps: lines": 12_500,
    "largest app: lines": 3_600,
    "package: lines": 43_500,
    "package: files": 290,
    "package: classes": 390,
    "package: Protocols": 12,
    "afternoon: files": 14,
    "afternoon: lines": 3_000,
    "tests: lines": 38_000,
    "benchmarks: lines": 12_000,
    "documentation: words": 60_000,
}


def files_at(commit: str) -> dict[str, str]:
    """The text of each source and documentation file at a commit, by path."""
    packed = subprocess.run(
        ["git", "archive", commit, *FOLDERS, "README.md"], capture_output=True, check=True
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
    package = {name: text for name, text in files.items() if re.match(r"src/pantoum/.*\.py$", name)}
    apps = {name: text for name, text in package.items() if name.startswith("src/pantoum/apps/")}
    core = {name: text for name, text in package.items() if name not in apps}
    by_app: Counter[str] = Counter()
    for name, text in apps.items():
        by_app[name.split("/")[3]] += _lines(text)
    afternoon = re.findall(r"src/pantoum/[\w/]+\.py", files.get("docs/afternoon.md", ""))
    afternoon = [name for name in dict.fromkeys(afternoon) if name in package]
    return {
        **_counts("core", core),
        **_counts("apps", apps),
        "largest app: lines": max(by_app.values(), default=0),
        **_counts("package", package),
        "package: Protocols": sum(map(_is_protocol, _nodes(package))),
        "package: files over 400 lines": sum(_lines(text) > 400 for text in package.values()),
        "afternoon: files": len(afternoon),
        "afternoon: lines": sum(_lines(package[name]) for name in afternoon),
        "tests: lines": _lines_below(files, r"tests/.*\.py$"),
        "benchmarks: lines": _lines_below(files, r"benchmarks/.*\.py$"),
        "C++: lines": _lines_below(files, r"core/(?!tests/)"),
        "documentation: words": _words(files, r"docs/"),
        "README: words": _words(files, r"README\.md"),
    }


def _counts(side: str, files: dict[str, str]) -> dict[str, int]:
    return {
        f"{side}: lines": sum(map(_lines, files.values())),
        f"{side}: files": len(files),
        f"{side}: classes": sum(isinstance(node, ast.ClassDef) for node in _nodes(files)),
    }


def _nodes(files: dict[str, str]) -> list[ast.AST]:
    return [node for text in files.values() for node in ast.walk(ast.parse(text))]


def _lines(text: str) -> int:
    return text.count("\n")


def _lines_below(files: dict[str, str], where: str) -> int:
    return sum(_lines(text) for name, text in files.items() if re.match(where, name))


def _words(files: dict[str, str], where: str) -> int:
    return sum(
        len(text.split())
        for name, text in files.items()
        if re.match(where + r".*", name) and name.endswith(".md")
    )


def _is_protocol(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)


def main() -> None:
    """Print the figures of each commit."""
    options = parser(__doc__)
    options.add_argument("commits", nargs="*", default=["HEAD"])
    arguments = options.parse_args()
    found = {commit: measured(files_at(commit)) for commit in arguments.commits}
    if arguments.json:
        print(json.dumps({"budget": BUDGET, **found}, indent=1))
        return
    print(f"{'':38}", *(f"{commit:>12}" for commit in arguments.commits), f"{'budget':>12}")
    for name in found[arguments.commits[0]]:
        figures = [f"{found[commit][name]:>12,}" for commit in arguments.commits]
        print(f"{name:38}", *figures, f"{BUDGET[name]:>12,}" if name in BUDGET else "")


if __name__ == "__main__":
    main()
