"""Several models, each under its own name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.apps.server.models import Models, name_and_path
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError


@pytest.fixture(scope="module")
def other(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same text."""
    folder = tmp_path_factory.mktemp("other") / "hats"
    pantoum.train(
        run.with_suffix(".txt"), run=str(folder), steps=6, hidden_size=17, num_layers=1, progress=False
    )
    return folder


def test_a_session_that_begins_from_another_one_keeps_its_model(
    serve: Callable[..., Any], run: Path, other: Path
) -> None:
    server = serve(run, other / "model.safetensors", slots=4)
    first = server.post("/v1/sessions", model="model", prompt="The").json()["id"]
    for fields in ({}, {"model": "model"}):
        begun = server.post("/v1/sessions", **{"from": first, **fields})
        assert begun.status_code == 200 and begun.json()["model"] == "model"
    refused = server.post("/v1/sessions", **{"from": first, "model": "mats"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "model" and "belongs to 'model'" in refused.text


def test_each_model_writes_under_its_own_name(serve: Callable[..., Any], run: Path, other: Path) -> None:
    server = serve(run, other / "model.safetensors", slots=4)
    listed = server.client.get("/v1/models").json()["data"]
    assert [one["id"] for one in listed] == ["mats", "model"]
    for name, path in (("mats", run), ("model", other)):
        expected = pantoum.load(path).generate("The", length=20, exact=True, seed=1, temperature=1.0)
        assert server.text("The", model=name, max_tokens=20, seed=1, temperature=1.0) == expected
    state = server.post("/v1/completions", model="mats", return_state=True).json()["choices"][0]["state"]
    assert server.post("/v1/completions", model="model", state=state).status_code == 422


def test_two_models_of_one_name_are_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "mats")
    with pytest.raises(SettingError, match="give it another one"):
        Models([str(run), str(tmp_path / "mats")], ServeSettings())


def test_a_name_may_stand_before_a_path(run: Path, tmp_path: Path) -> None:
    assert name_and_path(f"gpt-4o/x={run}") == ("gpt-4o/x", str(run))
    assert name_and_path("runs/book.safetensors") == ("book", "runs/book.safetensors")
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert name_and_path(str(odd)) == ("a=b", str(odd)), "what exists is a path"


def test_two_names_of_one_model_have_one_engine(serve: Callable[..., Any], run: Path) -> None:
    server = serve(Path(f"gpt-4o={run}"), Path(f"other={run}"), slots=4)
    one, two = server.models.all()
    assert one.engine is two.engine
    for name in ("gpt-4o", "other"):
        assert server.post("/v1/completions", model=name, max_tokens=1).json()["model"] == name
    assert server.client.get("/v1/models/other").json()["id"] == "other"
    unknown = server.client.get("/v1/models/third")
    assert unknown.status_code == 404 and "gpt-4o, other" in unknown.json()["error"]["message"]
