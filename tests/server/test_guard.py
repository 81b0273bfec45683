"""What every request passes: the key, the size; and what the log says of it."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.config import ServeSettings
from pantoum.errors import SettingError
from pantoum.server.guard import read_keys
from pantoum.server.serve import listening

KEY = "sk-secret-of-this-test"


@pytest.fixture(scope="module")
def closed(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"another\n{KEY}\n\n")
    return serve(api_key_file=str(keys), cors_origin=("https://pages.example",))


def test_without_the_key_only_health_answers(closed: Any) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}):
        response = closed.client.get("/v1/models", headers=headers)
        assert response.status_code == 401 and response.json()["error"]["type"] == "authentication_error"
    assert closed.client.get("/metrics").status_code == 401
    assert closed.client.get("/health").json() == {"status": "ok"}
    assert closed.client.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_another_host_than_loopback_needs_keys() -> None:
    with pytest.raises(SettingError, match="--api-key-file"):
        ServeSettings(host="0.0.0.0")
    ServeSettings(host="0.0.0.0", api_key_file="keys")
    ServeSettings(host="::1")


def test_a_file_without_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("\n  \n")
    with pytest.raises(SettingError, match="holds no key"):
        read_keys(str(tmp_path / "keys"))


def test_a_body_beyond_a_megabyte_is_refused_also_without_its_length(server: Any) -> None:
    body = json.dumps({"prompt": "x" * (1 << 20)}).encode()
    assert server.client.post("/v1/completions", content=body).status_code == 413
    response = server.client.post("/v1/completions", content=iter([body[: 1 << 19], body[1 << 19 :]]))
    assert response.status_code == 413 and "1,048,576" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b'{"max_tokens": NaN}', b'{"temperature": Infinity}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_body_that_is_no_request_is_a_400(server: Any, body: bytes) -> None:
    response = server.client.post(
        "/v1/completions", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400 and response.json()["error"]["type"] == "invalid_request_error"


def test_the_log_says_what_was_asked_without_prompt_or_key(
    closed: Any, caplog: pytest.LogCaptureFixture, until: Callable[..., None]
) -> None:
    with caplog.at_level(logging.INFO):
        headers = {"Authorization": f"Bearer {KEY}"}
        closed.client.post("/v1/completions?key=q-secret", json={"prompt": "p-secret"}, headers=headers)
        until(
            lambda: any(
                record.name == "pantoum.access" and '"status": 200' in record.message
                for record in caplog.records
            )
        )
    lines = [json.loads(record.message) for record in caplog.records if record.name == "pantoum.access"]
    assert lines[-1]["route"] == "/v1/completions" and lines[-1]["status"] == 200
    server_lines = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    assert "secret" not in "".join(server_lines)


def test_pages_of_a_named_origin_may_use_it(closed: Any) -> None:
    asked = {"Origin": "https://pages.example", "Access-Control-Request-Method": "POST"}
    response = closed.client.options("/v1/completions", headers=asked)
    assert response.headers["access-control-allow-origin"] == "https://pages.example"
    other = closed.client.options("/v1/completions", headers={**asked, "Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_metrics_count_requests_by_route_and_never_by_name(server: Any) -> None:
    server.client.get("/v1/sessions/some-name")
    found = server.client.get("/metrics").text
    assert 'route="/v1/sessions/{name}",status="404"' in found and "some-name" not in found
    assert "pantoum_tokens_written_total" in found


def test_small_events_are_sent_without_delay(server: Any) -> None:
    server.client.get("/health")
    (transport, *_) = [one.transport for one in server.connections if one.transport is not None]
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_address_of_another_machine_is_said_of_the_host() -> None:
    with pytest.raises(SettingError, match=r"host is '192\.0\.2\.1': it is no address of this machine"):
        listening("192.0.2.1", 0)


def test_a_comment_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# of the laptop\none\n  # of nobody\n")
    assert read_keys(str(tmp_path / "keys")) == (b"one",)


def test_a_session_belongs_to_the_key_that_made_it(closed: Any) -> None:
    own, other = ({"Authorization": f"Bearer {key}"} for key in (KEY, "another"))
    made = closed.client.post("/v1/sessions", json={"prompt": "The"}, headers=own).json()["id"]
    place = f"/v1/sessions/{made}"
    assert closed.client.get(place, headers=own).json()["id"] == made
    assert closed.client.post(f"{place}/generate", json={"max_tokens": 3}, headers=own).status_code == 200
    for method, path, body in (
        ("GET", place, None),
        ("GET", f"{place}/state", None),
        ("DELETE", place, None),
        ("POST", f"{place}/fork", None),
        ("POST", f"{place}/feed", {"text": "x"}),
        ("POST", f"{place}/generate", {}),
        ("POST", "/v1/sessions", {"from": made}),
    ):
        response = closed.client.request(method, path, json=body, headers=other)
        assert response.status_code == 404 and f"{made!r}" in response.json()["error"]["message"]
    assert closed.client.delete(place, headers=own).status_code == 200


def test_pages_may_send_the_headers_of_their_clients(closed: Any) -> None:
    asked = {
        "Origin": "https://pages.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    response = closed.client.options("/v1/completions", headers=asked)
    assert (
        response.status_code == 200 and "x-stainless-lang" in response.headers["access-control-allow-headers"]
    )
