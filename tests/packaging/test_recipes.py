"""What other files say of the package agrees with pyproject.toml, and its README works on an index."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ADDRESS = "https://example.org/owner/pantoum"


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    import pantoum_metadata

    return pantoum_metadata


def plain(requirement: str) -> str:
    return requirement.replace(" ", "").lower()


def test_the_conda_recipe_has_the_version_and_requirements_of_the_project() -> None:
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text("utf-8"))
    assert set(recipe) == {"context", "package", "source", "build", "requirements", "tests", "about"}
    assert recipe["context"]["version"] == PROJECT["version"]
    python = f"python{PROJECT['requires-python']}"
    wanted = {plain(each) for each in [python, *PROJECT["dependencies"]]}
    assert {plain(each) for each in recipe["requirements"]["run"]} == wanted
    (entry,) = recipe["build"]["python"]["entry_points"]
    assert entry == f"pantoum = {PROJECT['scripts']['pantoum']}"


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
    monkeypatch.delenv("PANTOUM_REPOSITORY", raising=False)
    if metadata.repository() == "":
        assert metadata.dynamic_metadata("urls", {}) == {}
        assert metadata.dynamic_metadata("readme", {})["text"] == (ROOT / "README.md").read_text("utf-8")
    text = "[a](https://a.b) [c](#d) [e](f.md) ![g](h.svg)"
    assert metadata.with_addresses(text, ADDRESS) == (
        f"[a](https://a.b) [c](#d) [e]({ADDRESS}/blob/HEAD/f.md) ![g]({ADDRESS}/raw/HEAD/h.svg)"
    )
