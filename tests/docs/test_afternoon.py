"""``docs/afternoon.md``: fourteen files that can be read in an afternoon, in this order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "afternoon.md").read_text("utf-8")
FILES = list(dict.fromkeys(re.findall(r"src/pantoum/[\w/]+\.py", PAGE)))
MOST_LINES = 3_000
ALLOWED = ("config", "errors", *re.findall(r"`([a-z_.]+)`", PAGE.partition("## What these files use")[2]))


def module(file: str) -> str:
    return file.removeprefix("src/").removesuffix(".py").replace("/", ".")


def plain(line: str) -> str:
    """A line of code as it stands in a page, too: less indented, and not followed by more."""
    return line.strip().removesuffix(",")


def imported(file: str) -> set[str]:
    """The modules of pantoum that a file imports, inside of functions, too."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pantoum":
            inside = ROOT / "src" / str(node.module).replace(".", "/")
            for name in node.names:
                below = (inside / f"{name.name}.py").exists() or (inside / name.name).is_dir()
                found.add(f"{node.module}.{name.name}" if below else str(node.module))
    return found


def test_the_path_has_fourteen_files_of_an_afternoon() -> None:
    assert len(FILES) == 14
    assert sum(len((ROOT / file).read_text("utf-8").splitlines()) for file in FILES) <= MOST_LINES
    numbers = re.findall(r"^\*\*(\d+)\. `(src/[^`]+)`\*\*", PAGE, re.MULTILINE)
    assert numbers == [(str(number), file) for number, file in enumerate(FILES, start=1)]


@pytest.mark.parametrize("file", FILES)
def test_it_imports_nothing_that_the_page_does_not_name(file: str) -> None:
    path = {module(each) for each in FILES}
    others = {name for name in imported(file) - path if name not in ("pantoum", "pantoum.network")}
    unnamed = {
        name
        for name in others
        if not any(f"{name}.".startswith(f"pantoum.{allowed}.") for allowed in ALLOWED)
    }
    assert unnamed == set()


def test_its_code_is_that_of_the_files() -> None:
    parts = re.split(r"^\*\*\d+\. `(src/[^`]+)`\*\*", PAGE, flags=re.MULTILINE)[1:]
    shown = 0
    for file, text in zip(parts[::2], parts[1::2], strict=True):
        lines = [plain(line) for line in (ROOT / file).read_text("utf-8").splitlines()]
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            for part in block.split("...\n"):
                wanted = [plain(line) for line in part.strip().splitlines()]
                places = range(len(lines) - len(wanted) + 1)
                assert any(lines[at : at + len(wanted)] == wanted for at in places), (file, part)
                shown += len(wanted)
    assert shown > 30
