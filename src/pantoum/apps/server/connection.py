"""A connection that nobody keeps for nothing: uvicorn's HTTP protocol with some limits more.

- A request must arrive whole within ``PATIENCE`` seconds of the connection, or of its own beginning. Its
  address and headers may have ``MOST_HEAD`` bytes; beyond that the answer is a 431.
- At most ``BUFFER`` bytes wait for a client that reads slowly, here and in the system, and ``STREAMED`` of a
  stream; the text behind them waits in the engine. So it is noticed after some events that nobody reads it.
- A client that takes nothing of an answer for ``PATIENCE`` seconds is cut off, whatever it sends meanwhile.
- What it sends before its answer is whole waits unparsed; a client that sends more than ``AHEAD`` bytes so
  is cut off.
- A client that ends its side after a request gets the answer. One that has gone altogether ends its side,
  too; an interim answer (100) shows the difference, for the system of such a client refuses it.
- Of all connections ``MOST`` stay open, so that files are left for everything else: beyond that the one that
  is silent for longest goes, or the new one where all are in work.

An offer to change the protocol (``Upgrade: h2c``) is passed over, as HTTP wants it of servers that do not:
httptools would take what follows such a head for the other protocol.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["AHEAD", "BUFFER", "FEW", "MOST", "MOST_HEAD", "PATIENCE", "Connection", "room"]

log = logging.getLogger("pantoum.server")
PATIENCE = 30.0
"""Seconds that a client may keep silent, or not read."""
BUFFER = 8 * 1024
"""Bytes that wait for a client in this process."""
STREAMED = 1024
"""The same for a stream."""
FEW = "pantoum.few"
"""The extension of ASGI that an answer calls before it streams."""
PIECE = 4096
"""Bytes that are parsed before it is seen whether a request waits behind another one."""
MOST_HEAD, MOST_HEADERS = 64 * 1024, 256
"""Bytes, and headers, that a request may have in front of its body, and behind it."""
AHEAD = 256 * 1024
"""Bytes that may wait behind a request in work: what one read of the socket may bring."""
LINGER = 1.0
"""Seconds for which a connection stays open after its last answer, so that its client reads that first."""
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
        files = 1 << 20
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
    _unparsed = b""
    _running: RequestResponseCycle | None = None
    """The request that is in work; others may wait behind it."""
    _arrived = True
    """Whether the last request has arrived whole."""
    _beside = 0
    """Bytes of a request that have come since the last ones of its body: its head, or what follows."""
    _ended = _deaf = False
    """Whether the client has ended its side, and whether nothing that it sends counts any more."""
    _since = 0.0
    """When the client last said something."""
    _closed: ClassVar[int] = 0
    _told: ClassVar[float] = float("-inf")
    """Connections that were closed since the log last said so, and when that was."""

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
        self._unparsed = b""
        self.pipeline.clear()
        if (
            self._running is not None
        ):  # uvicorn tells the request that came last, though others wait before it
            self._running.disconnected = not self._running.response_complete
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        self._since = self.loop.time()
        if self._deaf:
            self._beside += len(data)
            if self._beside > MOST_HEAD + AHEAD:
                self.flow.pause_reading()
            return
        self._unparsed += data
        self._unset_keepalive_if_required()
        self._parse()
        if len(self._unparsed) > AHEAD:
            self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has ended its side; true: an answer is still to come."""
        if self.idle or not self._arrived or self._deaf:
            return False
        cycle, self._ended = self._running, True
        if cycle is not None and not cycle.response_started and self.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.loop.call_later(GONE[0], self._see_gone, GONE[0])
        return True

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._arrived, self._beside = False, 0
        self.scope["extensions"] = {FEW: {"call": self._hold_few}}
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
        if self._offers():
            return
        self._arrived = True
        _stop(self._arriving)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is whole; what waited behind it goes on."""
        super().on_response_complete()
        self._since = self.loop.time()
        self._parse()
        if self._ended and self.idle:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse("400 Bad Request", msg)

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

    def _parse(self) -> None:
        """Parse what has come, until a request waits behind another one."""
        at = 0
        while at < len(self._unparsed) and not (self.pipeline or self._deaf or self.transport.is_closing()):
            piece = self._unparsed[at : at + PIECE]
            if not self._arrived:
                self._beside += len(piece)
            at += self._feed(piece)
            if not self._arrived and (self._beside > MOST_HEAD or len(self.headers) > MOST_HEADERS):
                told = f"the address and headers have more than {MOST_HEAD:,} bytes, or {MOST_HEADERS} lines"
                self._refuse("431 Request Header Fields Too Large", told)
        self._unparsed = self._unparsed[at:]
        if self.pipeline:
            self.flow.pause_reading()

    def _feed(self, piece: bytes) -> int:
        """Let the parser have a piece; how many bytes it took."""
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            head = [b"%b %b HTTP/%b" % (method, self.url, version)]
            head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self._feed(b"\r\n".join([*head, b"", b""]))
            return int(offer.args[0])
        except httptools.HttpParserError:
            self.send_400_response("this is no HTTP request")
        return len(piece)

    def _refuse(self, status: str, told: str) -> None:
        """The last answer of this connection, behind that of a request in work."""
        self._deaf, self._unparsed = True, b""
        _stop(self._arriving)
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()  # the rest of this one will not come
        begun = [self._running, *(cycle for cycle, _ in reversed(self.pipeline))]
        at_work = [cycle for cycle in begun if cycle is not None and not cycle.response_complete]
        if at_work and not at_work[-1].more_body:
            at_work[-1].keep_alive = False
            return
        for cycle in at_work:  # the one whose body is wrong: it is answered here
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        body = json.dumps(
            {"error": {"message": told, "type": "invalid_request_error", "param": None, "code": None}}
        )
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        self.transport.write(f"{head}\r\nconnection: close\r\n\r\n{body}".encode())
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

    def _hold_few(self) -> None:
        """A stream begins: little of it waits unsent, here and in the system. What is on its way to a distant
        client does not count."""
        self.transport.set_write_buffer_limits(high=STREAMED)
        if hasattr(socket, "TCP_NOTSENT_LOWAT") and self.client is not None:  # a Unix socket has no address
            opened = self.transport.get_extra_info("socket")
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, STREAMED)

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
        """Close the connection that is silent for longest; one line a second in the log says so."""
        silent = [one for one in self.connections if isinstance(one, Connection) and one.idle]
        closing = min(silent, key=lambda one: one._since, default=self)
        self.connections.discard(closing)  # counted no more, though its end comes later
        closing.transport.abort()
        Connection._closed += 1
        now = self.loop.time()
        if now - Connection._told >= 1.0:
            log.warning(
                "%d connections are open, as many as fit: %d silent ones were closed (ulimit -n allows more)",
                MOST,
                Connection._closed,
            )
            Connection._closed, Connection._told = 0, now


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
