"""How large the parts of the source are, and how many files some concepts touch, at one commit or several.

    python benchmarks/structure.py ace4720 HEAD

Lines are all lines of Python, C++ and CMake files, without the tests of the core. A file counts for n-grams
if a name in its code holds ``ngram``; comments and strings do not count.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tarfile

ENDINGS = (".py", ".h", ".cpp", ".txt")
PARTS = ("src/pantoum/network/", "src/pantoum/kernels/", "core/")


def files_at(commit: str) -> dict[str, str]:
    """The text of each source file at a commit, by path."""
    packed = subprocess.run(["git", "archive", commit, "src", "core"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        files = [(each.name, archive.extractfile(each)) for each in archive.getmembers() if each.isfile()]
        return {
            name: file.read().decode("utf-8", "replace")
            for name, file in files
            if file is not None
            and re.search(r"\.(py|h|cpp|txt)$", name)
            and not name.startswith("core/tests/")
        }


def names_in(source: str) -> set[str]:
    """Every name that a module's code defines or uses."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "attr", "arg", "name"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                found.add(value.lower())
    return found


def report(commit: str) -> None:
    """Print the figures of a commit."""
    files = files_at(commit)
    lines = {
        part: sum(text.count("\n") for name, text in files.items() if name.startswith(part)) for part in PARTS
    }
    modules = {name: text for name, text in files.items() if name.endswith(".py")}
    marked = sum(bool(re.search(r"\bAny\b", line)) for text in modules.values() for line in text.splitlines())
    ngrams = sorted(name for name, text in modules.items() if any("ngram" in each for each in names_in(text)))
    print(f"{commit}: {sum(lines.values()):,} lines in {', '.join(f'{n} {c:,}' for n, c in lines.items())}")
    print(f"  {len(modules)} Python files, {sum(t.count(chr(10)) for t in modules.values()):,} lines")
    print(f"  lines with Any: {marked}; files with n-grams in their code: {len(ngrams)}")
    print("  " + " ".join(ngrams))


if __name__ == "__main__":
    for each in sys.argv[1:] or ["HEAD"]:
        report(each)
