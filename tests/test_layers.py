"""Imports only go down: each layer imports the layers under it and never the reverse (docs/how-it-flows.md).

Read from the source itself, imports inside functions too, so that no path of execution is missed.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "pantoum"

LAYER = {
    "errors": 0,
    "config": 0,
    "kernels": 1,
    "text": 1,
    "extensions": 1,
    "formats": 1,
    "data": 2,
    "network": 2,
    "inference": 3,
    "report": 3,
    "texts": 4,
    "training": 4,
    "about": 5,
    "model": 5,
    "finished_run": 5,
    "api": 6,
    "__init__": 6,
    "cli": 7,
    "__main__": 7,
    "seams": 8,
    "apps": 9,
}
WITHIN = {
    ("config", "errors"),
    ("formats", "text"),
    ("report", "inference"),
    ("finished_run", "model"),
    ("__init__", "api"),
    ("__main__", "cli"),
}
# The folders inside a package, and modules on which they build: which of these each may see. The other
# modules of the package see all.
INSIDE: dict[str, dict[str, set[str]]] = {
    "inference": {
        "files": set(),
        "loaded_model": {"files"},
        "state": {"files", "loaded_model"},
        "constraint": {"loaded_model"},
        "scoring": {"loaded_model"},
        "writing": {"constraint", "files", "loaded_model", "state"},
    },
    "training": {
        "recipe": set(),
        "update": {"recipe"},
        "run": {"recipe", "update"},
    },
}
# The command line sees what every user has, the views of a run, and the names of types; it computes nothing.
# An app sees `pantoum.seams` and the public names; the core sees no app.
ONLY = {
    "cli": {"api", "model", "texts", "report", "inference", "config", "errors", "extensions"}
    | {"cli", "__init__"},
    "apps": {"seams", "errors", "apps", "__init__"},
}


def modules_imported(file: Path) -> set[str]:
    """The modules that a file imports, wherever in the file the import stands."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the layer; write the whole name"
            module = node.module or ""
            package = (ROOT.parent / module.replace(".", "/")).is_dir()
            found |= {f"{module}.{alias.name}" for alias in node.names} if package else {module}
    return found


def packages_imported(file: Path) -> set[str]:
    """The packages of pantoum among them. The face names the functions that apps add, for type checkers."""
    found = set()
    for name in modules_imported(file):
        if name.startswith("pantoum.apps.") and file == ROOT / "__init__.py":
            continue
        parts = name.split(".")
        if parts[0] == "pantoum":
            known = len(parts) > 1 and parts[1] in LAYER
            found.add(parts[1] if known else "__init__")
    return found


def package_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def app_of(file: Path) -> str | None:
    """The app that a file belongs to; ``None`` in the core."""
    parts = file.relative_to(ROOT).parts
    return parts[1].removesuffix(".py") if parts[0] == "apps" else None


FILES = sorted(ROOT.rglob("*.py"))
APP_FILES = [file for file in FILES if app_of(file)]


@pytest.mark.parametrize("file", APP_FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_an_app_imports_no_other_app(file: Path) -> None:
    for name in modules_imported(file):
        parts = name.split(".")
        assert parts[:2] != ["pantoum", "apps"] or parts[2] == app_of(file), f"{file} imports {name}"


def test_each_name_of_the_seams_is_there() -> None:
    """Also the modules among them, which may not be loaded yet."""
    from pantoum import seams

    assert len(seams._PLACES) > 100
    assert all(getattr(seams, name) is not None for name in seams._PLACES)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = seams.nothing


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_only_go_down(file: Path) -> None:
    package = package_of(file)
    for other in packages_imported(file) - {package}:
        if other == "__init__" and package in ("cli", "__main__", "apps"):
            continue
        below = LAYER[other] < LAYER[package] or (package, other) in WITHIN
        where = f"{file.relative_to(ROOT)} (layer {LAYER[package]})"
        assert below, f"{where} imports pantoum.{other} (layer {LAYER[other]})"
        if package in ONLY:
            assert other in ONLY[package], f"{where} may only see {sorted(ONLY[package])}, not {other}"


@pytest.mark.parametrize(("package", "part"), [(p, part) for p, parts in INSIDE.items() for part in parts])
def test_the_parts_of_a_package_are_layers(package: str, part: str) -> None:
    place = ROOT / package / part
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    assert files
    for file in files:
        for name in modules_imported(file):
            if name == f"pantoum.{package}" or name.startswith(f"pantoum.{package}."):
                seen = name.split(".")[2:3]
                assert seen and seen[0] in INSIDE[package][part] | {part}, f"{file} imports {name}"


@pytest.mark.parametrize("package", INSIDE)
def test_every_folder_inside_a_package_is_known(package: str) -> None:
    assert {file.parent.name for file in (ROOT / package).glob("*/__init__.py")} <= set(INSIDE[package])


@pytest.mark.parametrize("package", INSIDE)
def test_no_two_parts_of_a_package_see_each_other(package: str) -> None:
    list(TopologicalSorter(INSIDE[package]).static_order())  # CycleError names a circle


def test_every_room_is_known() -> None:
    assert {package_of(f) for f in FILES} <= set(LAYER)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_framework_is_imported(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        else:
            continue
        allowed = {"torch"} if app_of(file) == "torch" or file.name == "gloo.py" else set()
        if file.relative_to(ROOT).as_posix() == "data/workers.py":  # on pipes to processes of its own
            allowed = {"pickle"}
        assert not names & ({"torch", "tensorflow", "jax", "keras", "pickle"} - allowed)
        if "ctypes" in names:
            where = str(file.relative_to(ROOT))
            knows = (
                "native" in where or where == "apps/server/models.py"
            )  # it asks the allocator, not the core
            assert knows, "only kernels/native knows ctypes"
