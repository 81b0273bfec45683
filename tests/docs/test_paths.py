"""What the pages name exists: files and folders of the repository, modules and their members, decisions.

Names are looked for in code spans and blocks. The log and the changelog tell of the past and are not read.

- A path has the ending of a source file, or begins with a folder of the repository or of the package:
  ``tests/test_layers.py``, ``training/recipe/``, ``core/arch/<isa>/vector.h`` (``<...>``: any name).
  It may leave out the folders that a reader knows: some file or folder must end like this.
- A dotted name begins with a package of pantoum, with or without ``pantoum.``:
  ``training.update.update_guard``, ``network.network_state.NetworkState``. ``torch`` without ``pantoum.`` is
  PyTorch. ``Program.gradients`` is a member of a class of ours. Members are read from the source, so that no
  extra has to be installed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import pantoum

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "pantoum"
FOLDERS = ("src", "core", "docs", "tests", "benchmarks", "examples", "packaging", ".github")
HISTORY = (ROOT / "CHANGELOG.md", ROOT / "docs" / "log")
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if not any(page.is_relative_to(past) for past in HISTORY)
)
OURS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
SOURCE = re.compile(r"[\w./<>-]*\w\.(?:py|h|cpp|sh|toml|ya?ml|css|js)|(?:[\w./-]*/)?CMakeLists\.txt")
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+(?:\n[^`\n]+)?)`", re.M | re.S)
DOTTED = re.compile(r"(?<![\w./-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?![\w/-])")
FILE = re.compile(r"\.(?:safetensors|jsonl?|html|tokens|txt|md|sqlite|state|so|fish)$")
VARIABLES = {"model": "Model", "batch": "ModelBatch", "report": "Report"}
"""Packages whose names are those of variables in examples, and the classes of these."""


def code(page: Path) -> Iterator[str]:
    """The code of a page: blocks, and spans between them."""
    for block, span in CODE.findall(page.read_text("utf-8")):
        yield block or span


def paths(text: str) -> Iterator[str]:
    """What a piece of code names of the repository's files and folders."""
    begins = (*FOLDERS, *(name for name in OURS if (PACKAGE / name).is_dir()))
    for word in re.split(r"[\s│├└─,;:()\[\]{}'\"=|]+", text):
        if SOURCE.fullmatch(word) or (word.count("/") and word.split("/")[0] in begins):
            yield word


@cache
def existing() -> str:
    """Every file and folder, a line each, from the root on."""
    found = [path for folder in FOLDERS for path in (ROOT / folder, *(ROOT / folder).rglob("*"))]
    lines = (path.relative_to(ROOT).as_posix() + "/" * path.is_dir() for path in (*found, *ROOT.glob("*.*")))
    return "\n".join(f"/{line}" for line in lines if "__pycache__" not in line)


MADE = ("src/pantoum/apps/web/pantoum.wasm", "src/pantoum/apps/web/pantoum-fused.wasm")
"""Files that commands of the pages make."""


def exists(path: str) -> bool:
    """Whether a file or folder ends like this path."""
    if path in MADE:
        return True
    pattern = re.sub(r"<\w+>", r"[^/\\n]+", re.escape(path).replace("\\<", "<").replace("\\>", ">"))
    return re.search(f"/{pattern.removesuffix('/')}/?$", existing(), re.M) is not None


@cache
def tree(file: Path) -> ast.Module:
    """The source of a module."""
    return ast.parse(file.read_text("utf-8"))


def module(names: tuple[str, ...]) -> Path | None:
    """The file of a module or package."""
    path = PACKAGE.joinpath(*names)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def bound(body: Iterable[ast.stmt]) -> dict[str, ast.stmt]:
    """The names that statements bind, and the statement that does."""
    found: dict[str, ast.stmt] = {}
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            found |= bound(statement.body)
        elif isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found |= {name.asname or name.name: statement for name in statement.names}
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {
                node.id: statement for to in targets for node in ast.walk(to) if isinstance(node, ast.Name)
            }
    return found


def has(owner: ast.stmt, names: tuple[str, ...]) -> bool:
    """Whether a class or one of its bases has this member: in its body, or assigned by a method."""
    if not names or not isinstance(owner, ast.ClassDef):
        return not names
    stored = (node for node in ast.walk(owner) if isinstance(node, ast.Attribute))
    assigned = {node.attr for node in stored if isinstance(node.ctx, ast.Store)}
    bases = {node.id for base in owner.bases for node in ast.walk(base) if isinstance(node, ast.Name)}
    inherited = any(is_member(base, names) for base in bases - {owner.name})
    return names[0] in bound(owner.body) or names[0] in assigned or inherited


@cache
def groups() -> set[str]:
    """The groups of entry points that the package reads."""
    listed = ast.get_docstring(tree(PACKAGE / "extensions.py")) or ""
    return set(re.findall(r"^    (\w+) {2,}\S", listed, re.M))


def resolves(names: tuple[str, ...]) -> bool:
    """Whether a name from the package on is a module, a member of one, or a group of entry points."""
    if len(names) == 1 and names[0] in groups():
        return True
    for count in range(len(names), 0, -1):
        if (file := module(names[:count])) is None:
            continue
        if count == len(names):
            return True
        first, *rest = names[count:]
        statement = bound(tree(file).body).get(first)
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("pantoum."):
            original = next(name.name for name in statement.names if first in (name.asname, name.name))
            return resolves((*str(statement.module).split(".")[1:], original, *rest))
        return statement is not None and has(statement, tuple(rest))
    return False


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    """All classes of the package by name."""
    found: dict[str, list[ast.ClassDef]] = {}
    for file in PACKAGE.rglob("*.py"):
        for statement in bound(tree(file).body).values():
            if isinstance(statement, ast.ClassDef):
                found.setdefault(statement.name, []).append(statement)
    return found


def is_member(name: str, names: Sequence[str]) -> bool:
    """Whether some class of this name has the member."""
    return any(has(one, tuple(names)) for one in classes().get(name, ()))


def is_wrong(name: str) -> bool:
    """Whether a dotted name should be one of ours and is none."""
    first, *rest = name.split(".")
    if FILE.search(name) or SOURCE.fullmatch(name):
        return False
    if first == "pantoum":
        return not (resolves(tuple(rest)) or (rest[0] in pantoum.__all__))
    if first in classes():
        return not is_member(first, rest)
    if first not in OURS or first == "torch":
        return False
    return not (resolves((first, *rest)) or is_member(VARIABLES.get(first, ""), rest))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    lost = {path for text in code(page) for path in paths(text) if not exists(path)}
    assert lost == set(), "no such files or folders"
    wrong = {name for text in code(page) for name in DOTTED.findall(text) if is_wrong(name)}
    assert wrong == set(), "no such modules or members"


def test_a_decision_that_is_cited_exists() -> None:
    numbers = {page.name[:3] for page in (ROOT / "docs" / "decisions").glob("*-*.md")}
    cited = re.compile(r"decisions?[ /]([01]\d\d)(?: and ([01]\d\d))?\b", re.IGNORECASE)
    for folder in FOLDERS:
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".md", ".h", ".cpp") and file != Path(__file__).resolve():
                lost = {
                    one for both in cited.findall(file.read_text("utf-8")) for one in both if one
                } - numbers
                assert lost == set(), f"{file.relative_to(ROOT)} cites decisions that are gone"


def test_what_is_gone_is_found() -> None:
    text = "`core/kernels/tile.h` and `core/kernels/gone.h`, `recipe/` of `training/recipes/`, `data/gone.py`"
    named = [path for span in re.findall("`([^`]+)`", text) for path in paths(span)]
    assert [path for path in named if not exists(path)] == [
        "core/kernels/gone.h",
        "training/recipes/",
        "data/gone.py",
    ]
    assert exists("core/arch/<isa>/vector.h") and not exists("core/arch/<isa>/vector.cpp")
    right = (
        "pantoum.train",
        "network.LanguageModel",
        "training.update.update_guard",
        "UpdateGuard.skipped",
        "torch.nn.GRU",
    )
    wrong = (
        "pantoum.gone",
        "network.gone",
        "training.gone",
        "network.LanguageModel.gone",
        "LanguageModel.gone",
    )
    assert [name for name in (*right, *wrong) if is_wrong(name)] == list(wrong)
