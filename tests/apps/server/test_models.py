"""Several models, and their change while requests run."""

from __future__ import annotations

import ctypes
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pantoum
from pantoum.apps.server import models
from pantoum.apps.server import models as served
from pantoum.apps.server.models import Models, spec_of
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
        assert server.text("The", model=name, max_tokens=20, seed=1) == expected
    state = server.post("/v1/completions", model="mats", return_state=True).json()["choices"][0]["state"]
    assert server.post("/v1/completions", model="model", state=state).status_code == 422


def test_two_models_of_one_name_are_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "mats")
    with pytest.raises(SettingError, match="give it another one"):
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


def test_a_name_and_options_may_stand_beside_a_path(run: Path, tmp_path: Path) -> None:
    settings = ServeSettings(slots=9)
    spec = spec_of(f"gpt-4o/x={run},slots=3,max-prompt=70", settings)
    assert (spec.name, spec.path) == ("gpt-4o/x", str(run))
    assert (spec.settings.slots, spec.settings.max_prompt, spec.settings.queue) == (3, 70, 256)
    odd = tmp_path / "a=b,slots=2"
    odd.mkdir()
    assert spec_of(str(odd), settings).path == str(odd), "what exists is a path"
    for wrong, told in ((f"{run},port=1", "has the option 'port'"), (f"{run},slots=x", "slots=x")):
        with pytest.raises(SettingError, match=told):
            spec_of(wrong, settings)


def test_two_names_of_one_model_have_one_engine(serve: Callable[..., Any], run: Path) -> None:
    server = serve(Path(f"gpt-4o={run}"), Path(f"other={run}"), Path(f"narrow={run},slots=2"), slots=4)
    one, two, narrow = server.models.all()
    assert one.engine is two.engine and narrow.engine is not one.engine
    assert narrow.engine.slots == 2 and one.engine.slots == 4
    for name in ("gpt-4o", "other"):
        assert server.post("/v1/completions", model=name, max_tokens=1).json()["model"] == name
    assert server.client.get("/v1/models/other").json()["id"] == "other"


def test_an_administrator_loads_and_unloads_models(
    serve: Callable[..., Any], run: Path, other: Path, until: Callable[..., None]
) -> None:
    server = serve(run, api_keys="plain,boss admin", slots=2)
    plain, boss = ({"Authorization": f"Bearer {key}"} for key in ("plain", "boss"))

    def load(given: str, headers: dict[str, str] = boss) -> int:
        return int(server.client.post("/v1/models", json={"model": given}, headers=headers).status_code)

    assert load(f"hats={other}", plain) == 403
    assert server.client.delete("/v1/models/mats", headers=plain).status_code == 403
    assert load(f"hats={other},slots=1") == 200 and load(f"hats={other}") == 409
    assert load("/nowhere/model") == 400
    for name, status in (("hats", 200), ("mats", 200)):
        fields = {"model": name, "max_tokens": 2}
        assert server.client.post("/v1/completions", json=fields, headers=plain).status_code == status
        assert server.client.delete(f"/v1/models/{name}", headers=boss).json()["deleted"]
        assert server.client.post("/v1/completions", json=fields, headers=plain).status_code == 404
    assert server.client.get("/ready").status_code == 503
    assert server.client.post("/v1/completions", json={}, headers=plain).status_code == 404


def test_without_keys_nobody_changes_the_models(server: Any, other: Path) -> None:
    assert server.post("/v1/models", model=str(other)).status_code == 403
    assert server.client.delete("/v1/models/mats").status_code == 403


def test_chat_templates_are_read_again_and_a_wrong_one_changes_nothing(
    serve: Callable[..., Any], run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "template"
    file.write_text("answer = A:\n")
    server = serve(Path(f"{run},chat_template={file}"), slots=2)

    def tokens() -> int:
        return int(server.post("/tokenize", messages=[{"role": "u", "content": "x"}]).json()["count"])

    assert tokens() == len("u: x\nA:")
    file.write_text("answer = Answer:\n")
    server.app.state.reread()
    assert tokens() == len("u: x\nAnswer:")
    file.write_text("nothing\n")
    server.app.state.reread()
    assert tokens() == len("u: x\nAnswer:") and "the old ones stay" in caplog.text


def test_counters_go_on_when_a_model_is_reloaded(
    serve: Callable[..., Any],
    run: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[..., None],
) -> None:
    monkeypatch.setattr(served, "CHECK_EVERY", 0.05)
    monkeypatch.setattr(served, "GRACE", 0.0)
    file = tmp_path / "cats.safetensors"
    shutil.copy(run / "model.safetensors", file)
    server = serve(file, slots=2)
    server.text(max_tokens=30)

    def written() -> float:
        lines = server.client.get("/metrics").text.splitlines()
        name = 'pantoum_tokens_written_total{model="cats"}'
        return next(float(line.split()[1]) for line in lines if line.startswith(name))

    engine = server.engine
    assert written() == 30
    shutil.copy(other / "model.safetensors", tmp_path / "new")
    (tmp_path / "new").replace(file)
    until(lambda: server.engine is not engine and not engine._thread.is_alive())
    until(lambda: not server.models._retiring)
    server.text(max_tokens=5)
    assert written() == 35


def test_free_memory_goes_back_to_the_system_now_and_then(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(served, "CHECK_EVERY", 0.01)
    monkeypatch.setattr(served, "TRIM_EVERY", 0.02)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(malloc_trim=asked.append))
    serve(slots=2)
    until(lambda: len(asked) > 1)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    models.trim()  # another allocator has nothing to ask for
