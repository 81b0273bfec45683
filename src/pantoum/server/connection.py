"""A connection that nobody keeps for nothing: uvicorn's HTTP protocol with three limits more.

- A request must arrive whole within ``PATIENCE`` seconds of the connection, or of its own beginning.
- At most ``BUFFER`` bytes wait for a client that reads slowly; the text behind them waits in the engine.
- A client that takes nothing for ``PATIENCE`` seconds is cut off, and its slot is free.
"""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["BUFFER", "PATIENCE", "Connection"]

PATIENCE = 30.0
"""Seconds that a client may keep silent, or not read."""
BUFFER = 8 * 1024
"""Bytes that wait for a client in this process."""


class Connection(HttpToolsProtocol):
    """One client's connection."""

    _timer: asyncio.TimerHandle | None = None
    _unread = 0
    """Bytes that waited for the client when the timer was set."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=BUFFER)
        # Else the system itself takes megabytes for a client that reads nothing, and nobody would notice.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._wait()

    def on_message_complete(self) -> None:
        """It has arrived whole."""
        self._stop()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """More waits for the client than it reads at once."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._wait()

    def resume_writing(self) -> None:
        """It reads again."""
        self._stop()
        super().resume_writing()

    def _wait(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(PATIENCE, self._cut)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        """Cut the connection, unless the client has read a part of a large answer meanwhile."""
        left = self.transport.get_write_buffer_size()
        if left < self._unread:
            self._unread = left
            self._wait()
            return
        self.transport.abort()
