"""Limits of a connection: who reads nothing is cut off, who reads slowly is not; connections have a bound."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from pantoum.apps.server import connection

PATIENCE = 0.4
STREAM = {"prompt": "The cat", "max_tokens": 1_000_000, "stream": True}
LARGE = {"prompt": "The cat sat. " * 15_000, "max_tokens": 0, "echo": True}


@pytest.fixture
def hasty(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that a test can make impatient; before, a slow machine has time to see what is there."""
    monkeypatch.setattr(connection, "PATIENCE", 300)
    return serve(slots=2)


@pytest.fixture
def hurry(hasty: Any, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Once an answer waits for its client: from then on the server has little patience."""

    def lose_patience(seconds: float = PATIENCE) -> None:
        until(lambda: paused(hasty))
        monkeypatch.setattr(connection, "PATIENCE", seconds)
        for one in list(hasty.connections):
            one.loop.call_soon_threadsafe(one._await_reader)

    return lose_patience


@pytest.fixture
def ask(hasty: Any) -> Iterator[Callable[[dict[str, Any]], socket.socket]]:
    """Send a request for a completion, and leave the answer to the test; little of it fits on its way."""
    opened = []

    def send(fields: dict[str, Any], again: bytes = b"") -> socket.socket:
        client = socket.socket()
        opened.append(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", int(hasty.url.rpartition(":")[2])))
        body = json.dumps(fields)
        head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        client.sendall(f"POST /v1/completions HTTP/1.1\r\n{head}\r\n\r\n{body}".encode() + again)
        return client

    yield send
    for client in opened:
        client.close()


def paused(server: Any) -> bool:
    """Whether an answer waits for its client."""
    return any(one.flow is not None and one.flow.write_paused for one in list(server.connections))


@pytest.mark.parametrize("fields", [STREAM, LARGE])
def test_a_client_that_reads_nothing_is_cut_off_and_its_slot_is_free(
    hasty: Any,
    ask: Callable[..., socket.socket],
    until: Callable[..., None],
    hurry: Callable[..., None],
    fields: dict[str, Any],
) -> None:
    ask(fields)
    hurry()
    until(lambda: not hasty.connections and not hasty.engine.taken)


@pytest.mark.parametrize("fields", [STREAM, LARGE])
def test_a_client_that_reads_slowly_but_steadily_is_not_cut_off(
    hasty: Any, ask: Callable[..., socket.socket], hurry: Callable[..., None], fields: dict[str, Any]
) -> None:
    patience = 3.0  # this process may have to wait for a processor, but hardly as long
    client = ask(fields)
    hurry(patience)
    end = time.monotonic() + 1.2 * patience
    while time.monotonic() < end:
        assert client.recv(2048)
        time.sleep(0.04)
    # Its text may wait for the socket at this moment, and its slot serve others: both go on with the reading.
    assert hasty.connections and client.recv(2048)
    assert hasty.engine.taken <= (fields is STREAM)


GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("again", [GET, GET * 3000, HALF])
def test_a_client_that_reads_nothing_is_cut_off_also_where_it_asks_again(
    hasty: Any,
    ask: Callable[..., socket.socket],
    until: Callable[..., None],
    hurry: Callable[..., None],
    again: bytes,
) -> None:
    ask(STREAM, again)
    hurry()
    until(lambda: not hasty.connections and not hasty.engine.taken)


def test_beyond_the_bound_the_longest_silent_connection_goes(
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(connection, "MOST", 8)
    monkeypatch.setattr(connection.Connection, "_told", False)
    server = serve(slots=2)
    place = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with ExitStack() as opened, server.client.stream("POST", "/v1/completions", json=STREAM) as answer:
        text = answer.iter_bytes()
        next(text)
        silent = [opened.enter_context(socket.create_connection(place, timeout=20)) for _ in range(40)]
        assert [one.recv(1) for one in silent[:30]] == [b""] * 30
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/health").status_code == 200
        assert len(server.connections) <= 8 and next(text)
    assert [record.getMessage()[:1] for record in caplog.records if "the limit" in record.message] == ["8"]


def test_clients_that_read_nothing_give_their_slots_to_others_at_once(
    hasty: Any, ask: Callable[..., socket.socket], until: Callable[..., None]
) -> None:
    for _ in range(5):
        ask(STREAM)
    until(lambda: hasty.engine.counters["texts_begun"] == 5 and not hasty.engine.taken)
    assert hasty.text(max_tokens=5)
