"""Who may use a server without keys: names that are ours, and pages that are ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("localhost:9", 200),
        ("LOCALHOST", 200),
        ("app.localhost:80", 200),
        ("[::1]:8000", 200),
        ("127.0.0.1", 200),
    ],
)
def test_a_name_that_is_not_ours_is_refused(server: Any, host: str, status: int) -> None:
    response = server.client.get("/v1/models", headers={"Host": host})
    assert response.status_code == status
    if status != 200:
        assert "--allow-host" in response.json()["error"]["message"]


def test_a_page_of_somebody_else_changes_nothing_even_without_a_body(server: Any) -> None:
    session = f"/v1/sessions/{server.post('/v1/sessions', prompt='The').json()['id']}"
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        for method, path in (("POST", f"{session}/fork"), ("DELETE", session)):
            refused = server.client.request(method, path, headers={"Origin": origin})
            assert refused.status_code == 403 and "--cors-origin" in refused.json()["error"]["message"]
    assert server.client.post(f"{session}/fork", headers={"Origin": server.url}).status_code == 200


def test_names_and_origins_may_be_allowed_and_keys_need_neither(serve: Callable[..., Any]) -> None:
    named = serve(allow_host=("Book.Example",), cors_origin=("https://a.example",), slots=2)
    headers = {"Host": "book.example", "Origin": "https://a.example"}
    assert named.client.post("/v1/sessions", json={}, headers=headers).status_code == 200
    keyed = serve(api_keys="one", slots=2)
    headers = {"Host": "any", "Origin": "https://b.example", "Authorization": "Bearer one"}
    assert keyed.client.post("/v1/sessions", json={}, headers=headers).status_code == 200


def test_browsers_are_told_to_take_nothing_for_what_it_is_not_and_to_frame_nothing(server: Any) -> None:
    for path in ("/", "/page/desk.js", "/v1/models", "/nothing", "/docs"):
        headers = server.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "frame-ancestors 'self'"


@pytest.mark.parametrize(
    ("trusted", "client"),
    [(None, "127.0.0.1"), ("10.0.0.0/8", "127.0.0.1"), ("10.1.1.1, 127.0.0.0/8", "192.0.2.7"), ("*", "::9")],
)
def test_a_trusted_proxy_names_the_client(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture, trusted: str | None, client: str
) -> None:
    server = serve(slots=2, forwarded_allow_ips=trusted)
    with caplog.at_level("INFO"):
        server.client.get("/health", headers={"X-Forwarded-For": "::9, 192.0.2.7"})
        server.client.get("/health")
    told = [record.fields for record in caplog.records if record.name == "pantoum.access"]  # type: ignore
    assert told[0]["client"] == client


def test_a_proxy_is_an_address_or_a_network() -> None:
    with pytest.raises(SettingError, match=r"forwarded_allow_ips .* has 'proxy', which is neither"):
        ServeSettings(forwarded_allow_ips="127.0.0.1, proxy")


LOOKING: list[tuple[str, dict[str, Any]]] = [
    ("/v1/activations", {"text": "The cat", "units": [1]}),
    ("/v1/units", {"text": "The cat"}),
    ("/tokenize", {"prompt": "The cat"}),
    ("/detokenize", {"tokens": [3]}),
    ("/v1/score", {"text": "The cat"}),
]


@pytest.mark.parametrize(("path", "fields"), LOOKING)
def test_requests_for_units_and_tokens_take_a_slot(
    serve: Callable[..., Any], path: str, fields: dict[str, Any]
) -> None:
    server = serve(slots=1, queue=0)
    assert server.post(path, **fields).status_code == 200
    server.engine.taken = 1
    refused = server.post(path, **fields)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    server.engine.taken = 0
    assert server.post(path, **fields).status_code == 200


def test_values_of_units_are_read_in_turns_with_other_texts(server: Any) -> None:
    text = "The cat sat. " * 200
    before = server.engine.counters["tokens_read"]
    found = server.post("/v1/activations", text=text, units=[0, 47]).json()
    assert server.engine.counters["tokens_read"] - before == len(found["tokens"]) == len(text)
    assert [len(one["values"]) for one in found["units"]] == [len(text)] * 2
    best = server.post("/v1/units", text=text, count=3).json()["units"]
    again = server.post("/v1/activations", text=text, units=[one["unit"] for one in best]).json()["units"]
    assert [one["values"] for one in best] == [one["values"] for one in again]
    assert server.post("/v1/activations", text=text, units=[48]).status_code == 400
    assert "4,000" in server.post("/v1/units", text=text * 2).json()["error"]["message"]
