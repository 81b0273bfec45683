"""HTTP as it comes over a socket: heads without end, other protocols, clients that go away."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pantoum.apps.server import connection

BODY = json.dumps({"prompt": "The cat", "max_tokens": 9, "seed": 1}).encode()
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ASKED = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
LONG = json.dumps({"prompt": "The", "max_tokens": 1_000_000, "seed": 1}).encode()
WORKING = HEAD + b"Content-Length: %d\r\n\r\n" % len(LONG) + LONG
"""A request whose answer takes longer than any test."""


@pytest.fixture
def dial(server: Any) -> Iterator[Callable[[], socket.socket]]:
    """A new connection to the server."""
    opened = []

    def connect() -> socket.socket:
        made = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=60)
        opened.append(made)
        return made

    yield connect
    for one in opened:
        one.close()


def whole(client: socket.socket) -> bytes:
    """All that comes until the server ends its side."""
    found = b""
    while part := client.recv(1 << 16):
        found += part
    return found


def answered(client: socket.socket, sent: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of the one answer to a request, which the server ends with."""
    client.sendall(sent)
    head, _, body = whole(client).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "sent",
    [
        GET + b"X: " + b"a" * 80_000,
        b"GET /" + b"a" * 80_000,
        GET + b"X" * 80_000,
    ],
)
def test_an_address_and_headers_without_end_are_refused(
    dial: Callable[[], socket.socket], sent: bytes
) -> None:
    status, found = answered(dial(), sent)
    assert status == 431 and "65,536 bytes" in found["error"]["message"]


def test_a_head_of_sixty_kilobytes_is_read(dial: Callable[[], socket.socket]) -> None:
    sent = GET + b"X: " + b"a" * 60_000 + b"\r\nConnection: close\r\n\r\n"
    assert answered(dial(), sent) == (200, {"status": "ok"})


def test_what_follows_a_body_has_an_end_too(
    server: Any, dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 1.0)
    client = dial()
    client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: " + b"a" * 80_000)
    with suppress(ConnectionResetError):
        assert whole(client) == b""
    assert not server.engine.taken


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_a_request_that_offers_another_protocol_keeps_its_body(
    server: Any, dial: Callable[[], socket.socket], size: int
) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    client, sent = dial(), HEAD + offer + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + GET
    sent += b"Connection: close\r\n\r\n"
    for at in range(0, len(sent), size):
        client.sendall(sent[at : at + size])
    first, _, second = whole(client).partition(b'{"status":"ok"}')
    text = json.loads(first.partition(b"\r\n\r\n")[2].partition(b"HTTP/1.1")[0])["choices"][0]["text"]
    assert text == server.text("The cat", max_tokens=9, seed=1) and not second


def test_a_client_that_has_gone_before_its_answer_gives_its_slot_back(
    server: Any, dial: Callable[[], socket.socket], until: Callable[..., None]
) -> None:
    client = dial()
    client.sendall(WORKING)
    until(lambda: server.engine.taken == 1)
    client.close()
    until(lambda: not server.engine.taken)


@pytest.mark.parametrize("sent", [GET + b"\r\n", ASKED, ASKED + GET + b"\r\n"])
def test_a_client_that_ends_its_side_gets_its_answers(
    server: Any, dial: Callable[[], socket.socket], sent: bytes
) -> None:
    client = dial()
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)
    found = whole(client)
    assert found.count(b" 200 OK") == sent.count(b" HTTP/1.1")
    assert (b'"text"' in found) is (BODY in sent)


def test_a_client_that_ends_its_side_within_a_request_gets_nothing(
    dial: Callable[[], socket.socket],
) -> None:
    client = dial()
    client.sendall(ASKED[:-3])
    client.shutdown(socket.SHUT_WR)
    assert whole(client) == b""


@pytest.mark.parametrize(
    ("hosts", "version", "status"),
    [
        (b"", b"1.1", 400),
        (b"Host: localhost\r\nHost: localhost\r\n", b"1.1", 400),
        (b"Host: localhost\r\n", b"1.1", 200),
        (b"", b"1.0", 200),
        (b"Host: localhost\r\nHost: localhost\r\n", b"1.0", 400),
    ],
)
def test_a_request_names_one_host(
    dial: Callable[[], socket.socket], hosts: bytes, version: bytes, status: int
) -> None:
    sent = b"GET /health HTTP/%b\r\nConnection: close\r\n%b\r\n" % (version, hosts)
    assert answered(dial(), sent)[0] == status
