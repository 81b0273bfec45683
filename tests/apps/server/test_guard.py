"""What every request passes: the key, the size; and what the log says of it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pantoum.apps.server.serve import JsonFormatter, listening
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError

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


def test_a_body_beyond_a_megabyte_is_refused_also_without_its_length(server: Any) -> None:
    body = json.dumps({"prompt": "x" * (1 << 20)}).encode()
    assert server.client.post("/v1/completions", content=body).status_code == 413
    response = server.client.post("/v1/completions", content=iter([body[: 1 << 19], body[1 << 19 :]]))
    assert response.status_code == 413 and "1,048,576" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/completions", {}, 429),
        ("/v1/nothing", {}, 404),
        ("/v1/completions", {"host": "elsewhere.example"}, 403),
    ],
)
def test_an_error_ends_when_the_body_was_taken_for_else_the_connection_is_reset(
    server: Any, monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str], status: int
) -> None:
    monkeypatch.setattr(type(server.engine), "full", True)
    told = asked_in_parts(server.app, path, headers, parts=5)
    assert told.index(status) < len(told) - 1 and told[-2:] == ["taken", "end"] and told.count("taken") == 5
    told = asked_in_parts(server.app, path, {**headers, "expect": "100-continue"}, parts=5)
    assert told == [status, "end"]


def asked_in_parts(app: Any, path: str, headers: dict[str, str], parts: int) -> list[Any]:
    """In which order the parts of a request's body are taken, and its answer is given."""
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        if told.count("taken") == parts:
            await asyncio.Event().wait()
        told.append("taken")
        return {"type": "http.request", "body": b" " * 9, "more_body": told.count("taken") < parts}

    async def send(message: dict[str, Any]) -> None:
        told.append(message.get("status", "end"))

    given = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": given, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    asyncio.run(app({**scope, "scheme": "http", "root_path": ""}, receive, send))
    return told


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
                record.name == "pantoum.access" and record.fields["status"] == 200  # type: ignore[attr-defined]
                for record in caplog.records
            )
        )
    lines = [
        json.loads(JsonFormatter().format(one)) for one in caplog.records if one.name == "pantoum.access"
    ]
    assert lines[-1]["route"] == "/v1/completions" and lines[-1]["status"] == 200
    server_lines = [JsonFormatter().format(record) for record in caplog.records if record.name != "httpx"]
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
    with pytest.raises(SettingError, match=r"host is '192\.0\.2\.1': it is not an address of this machine"):
        listening("192.0.2.1", 0)


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


def test_a_request_keeps_the_number_that_its_client_gave_it(server: Any) -> None:
    for sent, kept in (("mine-1", True), ("", False), ("x" * 200, False), ("a b", False)):
        got = server.client.get("/health", headers={"X-Request-Id": sent}).headers["x-request-id"]
        assert (got == sent) is kept and 0 < len(got) <= 128


def test_a_warning_and_a_traceback_are_lines_of_json_too() -> None:
    try:
        raise ValueError("no\nsuch thing")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "f", 1, "two\nlines", (), sys.exc_info())
    (line,) = JsonFormatter().format(record).splitlines()
    found = json.loads(line)
    assert (
        found["level"] == "error" and found["message"] == "two\nlines" and "ValueError" in found["traceback"]
    )
