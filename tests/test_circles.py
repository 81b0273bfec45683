"""No two modules import each other, directly or through others; imports for types alone count too."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent / "src" / "pantoum"


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, known: set[str]) -> set[str]:
    """The modules that a module imports when it is imported, or for its types. An import inside a function is
    made when the function runs, so that what it imports is whole by then."""
    found = set()
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {name if name in known else node.module for name in _names(node)} & known
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found


def _names(node: ast.ImportFrom) -> list[str]:
    return [f"{node.module}.{alias.name}" for alias in node.names]


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan 1972)."""
    index, low, stack, found = dict[str, int](), dict[str, int](), list[str](), list[list[str]]()

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            group, stack[at:] = stack[at:], []
            if len(group) > 1:
                found.append(sorted(group))

    for name in edges:
        if name not in index:
            visit(name)
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    files = {name_of(file): file for file in ROOT.rglob("*.py")}
    # A package's own module names what it offers; whoever inside imports from it names the module instead.
    edges = {name: imported(ast.parse(file.read_text()), set(files)) for name, file in files.items()}
    assert circles(edges) == []


def test_a_circle_is_found() -> None:
    tree = {"a": "from b import x", "b": "import c", "c": "if TYPE_CHECKING:\n    import a", "d": "import a"}
    edges = {name: imported(ast.parse(text), set(tree)) for name, text in tree.items()}
    assert circles(edges) == [["a", "b", "c"]]
    assert imported(ast.parse("def f():\n    import a"), set(tree)) == set()


def test_no_script_hides_a_module_of_python() -> None:
    # A folder of scripts may come first on the path of a child process, which then imports ours.
    root = ROOT.parents[1]
    folders = [root / "benchmarks", *(root / "benchmarks").glob("*/"), root / "examples", root / "docs"]
    assert not [
        file for each in folders for file in each.glob("*.py") if file.stem in sys.stdlib_module_names
    ]
