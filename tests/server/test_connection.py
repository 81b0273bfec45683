"""Limits of a connection: who reads nothing is cut off, who reads slowly is not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pantoum.server import connection

PATIENCE = 0.4
STREAM = {"prompt": "The cat", "max_tokens": 1_000_000, "stream": True}
LARGE = {"prompt": "The cat sat. " * 15_000, "max_tokens": 0, "echo": True}


@pytest.fixture
def hasty(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server of little patience."""
    monkeypatch.setattr(connection, "PATIENCE", PATIENCE)
    return serve(slots=2)


@pytest.fixture
def ask(hasty: Any) -> Iterator[Callable[[dict[str, Any]], socket.socket]]:
    """Send a request for a completion, and leave the answer to the test; little of it fits on its way."""
    opened = []

    def send(fields: dict[str, Any]) -> socket.socket:
        client = socket.socket()
        opened.append(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", int(hasty.url.rpartition(":")[2])))
        body = json.dumps(fields)
        head = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        client.sendall(f"POST /v1/completions HTTP/1.1\r\n{head}\r\n\r\n{body}".encode())
        return client

    yield send
    for client in opened:
        client.close()


def paused(server: Any) -> bool:
    """Whether an answer waits for its client."""
    return any(one.flow is not None and one.flow.write_paused for one in list(server.connections))


@pytest.mark.parametrize("fields", [STREAM, LARGE])
def test_a_client_that_reads_nothing_is_cut_off_and_its_slot_is_free(
    hasty: Any, ask: Callable[..., socket.socket], until: Callable[..., None], fields: dict[str, Any]
) -> None:
    ask(fields)
    until(lambda: paused(hasty))
    until(lambda: not hasty.connections and not hasty.engine.taken)


@pytest.mark.parametrize("fields", [STREAM, LARGE])
def test_a_client_that_reads_slowly_but_steadily_is_not_cut_off(
    hasty: Any,
    ask: Callable[..., socket.socket],
    until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
) -> None:
    patience = 1.5  # this process may have to wait for a processor, but hardly as long
    monkeypatch.setattr(connection, "PATIENCE", patience)
    client = ask(fields)
    until(lambda: paused(hasty))
    end = time.monotonic() + 1.2 * patience
    while time.monotonic() < end:
        assert client.recv(2048)
        time.sleep(0.04)
    assert hasty.connections and hasty.engine.taken == (fields is STREAM)
