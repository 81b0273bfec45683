"""Who may use a server without keys: names that are ours, and pages that are ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


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
