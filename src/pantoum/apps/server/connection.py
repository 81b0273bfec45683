"""A connection that nobody keeps for nothing: uvicorn's HTTP protocol with some limits more.

- A request must arrive whole within ``PATIENCE`` seconds of the connection, or of its own beginning. Its
  address and headers may have ``MOST_HEAD`` bytes; beyond that the answer is a 431.
- At most ``BUFFER`` bytes wait for a client that reads slowly, here and in the system; the text behind them
  waits in the engine. A client that takes nothing of an answer for ``PATIENCE`` seconds is cut off.
- A client that ends its side after a request gets the answer. One that has gone altogether ends its side,
  too; an interim answer (100) shows the difference, for the system of such a client refuses it.
- Of all connections ``MOST`` stay open, so that files are left for everything else: beyond that the one that
  is silent for longest goes, or the new one where all are in work.

An offer to change the protocol (``Upgrade: h2c``, which clients in Java send) is passed over, as HTTP wants
it of servers that do not: httptools would take what follows such a head for the other protocol.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["BUFFER", "MOST", "MOST_HEAD", "PATIENCE", "Connection", "room"]

log = logging.getLogger("pantoum.server")
PATIENCE = 30.0
"""Seconds that a client may keep silent, or not read."""
BUFFER = 8 * 1024
"""Bytes that wait for a client in this process."""
MOST_HEAD = 64 * 1024
"""Bytes that a request may have in front of its body, and behind it."""
LINGER = 1.0
"""Seconds for which a refused connection stays open, so that its client reads why and does not come again at
once."""
GONE = (0.01, 1.0)
"""Seconds until it is looked whether a client has gone: first, and doubled until so many."""
OTHERS = 128
"""Files that are kept for models, sessions and threads."""


def room() -> tuple[int, int]:
    """How many connections stay open, and how many are accepted at once, by the files that this process may
    open. asyncio accepts a whole backlog before it asks anybody, so there must be room for one."""
    try:
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except ImportError:  # a system without such a limit
        files = -1
    files = (1 << 20) if files < 0 else files
    backlog = max(8, min(2048, files // 8))
    return max(8, files - OTHERS - backlog), backlog


MOST, BACKLOG = room()


class Connection(HttpToolsProtocol):
    """One client's connection."""

    _arriving: asyncio.TimerHandle | None = None
    """Until when the request must have arrived."""
    _taking: asyncio.TimerHandle | None = None
    """Until when the client must have taken something of the answer."""
    _left = 0
    """Bytes that waited for the client when that timer was set."""
    _running: RequestResponseCycle | None = None
    """The request that is in work; others may wait behind it."""
    _arrived = True
    """Whether the last request has arrived whole."""
    _beside = 0
    """Bytes of a request that have come since the last ones of its body: its head, or what follows."""
    _ended = False
    """Whether the client has ended its side."""
    _since = 0.0
    """When the client last said something."""
    _told: ClassVar = False
    """Whether the log has said that connections were closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=BUFFER)
        # Else the system itself takes megabytes for a client that reads nothing, and nobody would notice.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._since = self.loop.time()
        self._await_request()
        if len(self.connections) > MOST:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        _stop(self._arriving)
        _stop(self._taking)
        self.pipeline.clear()
        if self._running is not None:  # uvicorn tells the request that came last, which may wait behind it
            self._running.disconnected = not self._running.response_complete
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        self._since = self.loop.time()
        self._unset_keepalive_if_required()
        self._beside += len(data)
        self._feed(data)
        if not self._arrived and self._beside > MOST_HEAD:
            told = f"the address and headers have more than {MOST_HEAD:,} bytes"
            self._refuse("431 Request Header Fields Too Large", told)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has ended its side; true: an answer is still to come."""
        if self.idle or not self._arrived:
            return False
        cycle, self._ended = self._running, True
        if cycle is not None and not cycle.response_started and self.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.loop.call_later(GONE[0], self._see_gone, GONE[0])
        return True

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._arrived = False
        self._await_request()

    def on_headers_complete(self) -> None:
        """Its head is there; one that offers another protocol is parsed once more without that."""
        if not self._offers():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body is there."""
        self._beside = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It has arrived whole."""
        if not self._offers():
            self._arrived, self._beside = True, 0
            _stop(self._arriving)
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is whole."""
        self._since = self.loop.time()
        super().on_response_complete()
        if self._ended and self.idle:
            self.transport.close()

    def pause_writing(self) -> None:
        """More waits for the client than it reads at once."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """It reads again."""
        _stop(self._taking)
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def idle(self) -> bool:
        """Whether no request is in work here."""
        return self.cycle is None or self.cycle.response_complete

    def _offers(self) -> bool:
        """Whether the parser would leave HTTP after this head. ``CONNECT`` always wants that: it is refused
        as a method that no path has."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _feed(self, data: bytes) -> None:
        """Let the parser have what came."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            head = [b"%b %b HTTP/%b" % (method, self.url, version)]
            head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self._feed(b"\r\n".join([*head, b"", b""]))
            self._feed(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse("400 Bad Request", "this is not an HTTP request")

    def _refuse(self, status: str, told: str) -> None:
        """The last answer of this connection; where a request is in work, the connection ends without it."""
        if self._running is not None and not self._running.response_complete:
            self.transport.abort()
            return
        error = {"message": told, "type": "invalid_request_error", "param": None, "code": None}
        body = json.dumps({"error": error})
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        self.transport.write(f"{head}\r\nconnection: close\r\n\r\n{body}".encode())
        self.transport.pause_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)

    def _see_gone(self, seconds: float) -> None:
        """Cut the connection if the system of the client has refused what was sent to it."""
        if self.transport.is_closing() or self.idle:
            return
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        elif seconds < GONE[1]:
            self.loop.call_later(2.0 * seconds, self._see_gone, 2.0 * seconds)

    def _await_request(self) -> None:
        _stop(self._arriving)
        self._arriving = self.loop.call_later(PATIENCE, self._request_late)

    def _request_late(self) -> None:
        """Cut the connection, unless the rest of the request waits for an answer before it."""
        if self.pipeline:
            self._await_request()
        else:
            self.transport.abort()

    def _await_reader(self) -> None:
        _stop(self._taking)
        self._left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(PATIENCE, self._reader_late)

    def _reader_late(self) -> None:
        """Cut the connection, unless the client has read a part of a large answer meanwhile."""
        if self.transport.get_write_buffer_size() < self._left:
            self._await_reader()
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        """Close the connection that is silent for longest."""
        silent = [one for one in self.connections if isinstance(one, Connection) and one.idle]
        closing = min(silent, key=lambda one: one._since, default=self)
        self.connections.discard(closing)  # counted no more, though its end comes later
        closing.transport.abort()
        if not Connection._told:
            log.warning("%d connections are open, the limit: silent ones are closed (ulimit -n)", MOST)
            Connection._told = True


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
