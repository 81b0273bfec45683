"""Several models, and their change while requests run."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.config import ServeSettings
from pantoum.errors import SettingError
from pantoum.server import models as served
from pantoum.server.models import Models


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
        assert server.text("The", model=name, max_tokens=20, seed=1) == expected
    state = server.post("/v1/completions", model="mats", return_state=True).json()["choices"][0]["state"]
    assert server.post("/v1/completions", model="model", state=state).status_code == 422


def test_two_models_of_one_name_are_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "mats")
    with pytest.raises(SettingError, match="rename one of the two"):
        Models([str(run), str(tmp_path / "mats")], ServeSettings())


def test_a_changed_file_is_loaded_and_no_request_is_dropped(
    serve: Callable[..., Any],
    run: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    until: Callable[..., None],
) -> None:
    monkeypatch.setattr(served, "CHECK_EVERY", 0.05)
    monkeypatch.setattr(served, "GRACE", 1.0)
    file = tmp_path / "cats.safetensors"
    shutil.copy(run / "model.safetensors", file)
    server = serve(file, slots=4)
    caplog.set_level(logging.WARNING)
    old, engine = server.text("The", max_tokens=40, seed=2), server.engine
    session = server.post("/v1/sessions", prompt="The").json()["id"]
    with server.client.stream(
        "POST", "/v1/completions", json={"prompt": "The", "max_tokens": 30_000, "stream": True}
    ) as response:
        lines = response.iter_lines()
        next(lines)
        file.write_bytes(b"not a model")
        with pytest.raises(AssertionError):
            until(lambda: server.engine is not engine, 0.3)
        assert sum("was not reloaded" in record.message for record in caplog.records) == 1, "said once"
        assert server.text("The", max_tokens=40, seed=2) == old
        shutil.copy(other / "model.safetensors", tmp_path / "new")
        (tmp_path / "new").replace(file)
        until(lambda: server.engine is not engine)
        assert not engine.stopped, "a request that has begun may still come to it"
        new = server.text("The", max_tokens=40, seed=2)
        assert [line for line in lines if line][-1] == "data: [DONE]"
    assert new == pantoum.load(other).generate("The", length=40, exact=True, seed=2, temperature=1.0)
    response = server.post(f"/v1/sessions/{session}/feed", text="cat")
    assert response.status_code == 422 and "not served any more" in response.json()["error"]["message"]
    until(lambda: not engine._thread.is_alive())


def test_requests_in_a_crowd_of_threads_all_get_their_own_text(serve: Callable[..., Any], run: Path) -> None:
    server, model = serve(slots=3, queue=100), pantoum.load(run)
    found: dict[int, str] = {}

    def ask(seed: int) -> None:
        found[seed] = server.text("The", max_tokens=25, seed=seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {
        seed: model.generate("The", length=25, exact=True, seed=seed, temperature=1.0) for seed in range(20)
    }
