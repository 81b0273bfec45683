"""A connection that nobody keeps for nothing: uvicorn's HTTP protocol with some limits more.

- A request must arrive whole within ``PATIENCE`` seconds of the connection, or of its own beginning.
- At most ``BUFFER`` bytes wait for a client that reads slowly, here and in the system, and ``STREAMED`` of a
  stream; the text behind them waits in the engine. So it is noticed after some events that nobody reads it.
- A client that takes nothing of an answer for ``PATIENCE`` seconds is cut off, whatever it sends meanwhile.
- What it sends before its answer is whole waits unparsed, one read of the socket at most.
- Of all connections ``MOST`` stay open, so that files are left for everything else: beyond that the one that
  is silent for longest goes, or the new one where all are in work.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["BUFFER", "FEW", "MOST", "PATIENCE", "Connection", "room"]

log = logging.getLogger("pantoum.apps.server")
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
        read_on = self.flow.resume_reading
        # uvicorn reads on whenever a request is begun or answered, also where others wait behind it.
        self.flow.resume_reading = lambda: None if self.pipeline else read_on()  # type: ignore[method-assign]
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
        self._unparsed += data
        self._parse()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["extensions"] = {FEW: {"call": self._hold_few}}
        self._await_request()

    def on_message_complete(self) -> None:
        """It has arrived whole."""
        _stop(self._arriving)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is whole; what waited behind it goes on."""
        super().on_response_complete()
        self._since = self.loop.time()
        self._parse()

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

    def _parse(self) -> None:
        """Parse what has come, until a request waits behind another one."""
        at = 0
        while at < len(self._unparsed) and not self.pipeline and not self.transport.is_closing():
            super().data_received(self._unparsed[at : at + PIECE])
            at += PIECE
        self._unparsed = self._unparsed[at:]
        if self.pipeline:
            self.flow.pause_reading()

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
