"""What other files say of the package agrees with pyproject.toml, and its README works on an index."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[2]
STATED: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, GROUPS = STATED["project"], STATED["dependency-groups"]
ADDRESS = "https://example.org/owner/pantoum"


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    import pantoum_metadata

    return pantoum_metadata


def plain(requirement: str) -> str:
    return requirement.replace(" ", "").lower()


def test_the_conda_recipe_has_the_requirements_of_the_project() -> None:
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text("utf-8"))
    assert set(recipe) == {"context", "package", "source", "build", "requirements", "tests", "about"}
    python = f"python{PROJECT['requires-python']}"
    wanted = {plain(each) for each in [python, *PROJECT["dependencies"]]}
    assert {plain(each) for each in recipe["requirements"]["run"]} == wanted
    (entry,) = recipe["build"]["python"]["entry_points"]
    assert entry == f"pantoum = {PROJECT['scripts']['pantoum']}"


def test_the_version_is_one_wherever_it_stands(metadata: Any) -> None:
    from version import PLACES

    found = {
        name: re.findall(pattern, (ROOT / name).read_text("utf-8"), re.MULTILINE)
        for name, pattern in PLACES.items()
    }
    assert found == {name: [PROJECT["version"]] for name in PLACES}, "python packaging/version.py VERSION"


def test_who_cites_it_has_the_address_and_authors_of_the_project() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["license"] == PROJECT["license"]["text"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["repository-code"] == STATED["tool"]["pantoum"]["repository"]
    assert citation["url"] == STATED["tool"]["pantoum"]["documentation"]


def test_every_address_of_the_repository_names_its_owner(metadata: Any) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone")
    from owner import with_owner

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (owner,) = re.findall(r"github\.com/([^/]+)/pantoum$", metadata.stated("repository"))
    address, places = re.compile(rb"github\.com/([\w-]+)/pantoum\b|\b([\w-]+)\.github\.io/pantoum\b"), set()
    for name in listed.splitlines():
        if name.startswith(("tests/", "docs/log/")) or not (ROOT / name).is_file():
            continue
        text = (ROOT / name).read_bytes()
        owners = {(one or two).decode() for one, two in address.findall(text)}
        assert owners <= {owner}, f"{name}: python packaging/owner.py {owner}"
        if owners:
            places.add(name)
            found = address.findall(with_owner(text, owner, "somebody"))
            assert {one or two for one, two in found} == {b"somebody"}
    assert {"README.md", "CITATION.cff", "SUPPORT.md", "SECURITY.md", "pyproject.toml"} <= places


def test_the_container_installs_extras_that_exist() -> None:
    (extras,) = re.findall(r"pantoum-\*\.whl\)\[([\w,]+)\]", (ROOT / "Containerfile").read_text("utf-8"))
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_links_and_pictures_get_addresses(metadata: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANTOUM_REPOSITORY", ADDRESS + "/")
    text = metadata.dynamic_metadata("readme", {})["text"]
    assert f"]({ADDRESS}/raw/HEAD/docs/pictures/live-view.svg)" in text
    assert f"]({ADDRESS}/blob/HEAD/docs/tutorial.md)" in text
    assert re.findall(r"\]\((?!https://)", text) == []
    assert metadata.dynamic_metadata("urls", {})["Repository"] == ADDRESS


def test_without_an_address_nothing_is_invented(metadata: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANTOUM_REPOSITORY", "https://example.org/OWNER/pantoum")
    assert metadata.dynamic_metadata("urls", {}) == {}
    assert metadata.dynamic_metadata("readme", {})["text"] == (ROOT / "README.md").read_text("utf-8")
    text = "[a](https://a.b) [c](#d) [e](f.md) ![g](h.svg)"
    assert metadata.with_addresses(text, ADDRESS) == (
        f"[a](https://a.b) [c](#d) [e]({ADDRESS}/blob/HEAD/f.md) ![g]({ADDRESS}/raw/HEAD/h.svg)"
    )


def test_groups_are_printed_for_a_pip_that_does_not_know_them() -> None:
    def printed(*names: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / ".ci" / "group"), *names]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    found = printed("check", "torch").stdout.splitlines()
    assert set(GROUPS["format"]) < set(found) and found[-1:] == PROJECT["optional-dependencies"]["torch"]
    wrong = printed("nothing")
    assert wrong.returncode == 1 and "'nothing' is no group" in wrong.stderr and not wrong.stdout


def test_a_requirement_of_an_extra_is_the_same_in_every_group() -> None:
    def names(requirements: list[Any]) -> dict[str, str]:
        return {re.split(r"[<>=;\[ ]", one)[0]: one for one in requirements if isinstance(one, str)}

    extras = names([one for each in PROJECT["optional-dependencies"].values() for one in each])
    for group in GROUPS.values():
        for name, requirement in names(group).items():
            assert requirement == extras.get(name, requirement)
