"""Server-sent events: ``data: JSON``, a blank line, at last ``data: [DONE]``.

An error after the first event is an event, too: ``data: {"error": ...}``, and the stream ends. When the
client goes away the source is closed at once, which gives back its slots.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pantoum.server.errors import error_body, refusal

__all__ = ["EventStream"]

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""No proxy may hold events back."""


class EventStream(StreamingResponse):
    """The response of a stream of JSON values."""

    def __init__(self, values: AsyncGenerator[Any, None], at_end: Callable[[], object]) -> None:
        """``at_end`` is called however the stream ends, also where it never began."""
        self._values, self._at_end = values, at_end
        super().__init__(_encoded(values), media_type="text/event-stream", headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._values.aclose()
            self._at_end()


async def _encoded(values: AsyncGenerator[Any, None]) -> AsyncIterator[bytes]:
    try:
        async for value in values:
            yield b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
    except Exception as error:  # the response has begun: it can only be told here
        yield b"data: " + json.dumps(error_body(refusal(error))).encode() + b"\n\n"
        return
    yield b"data: [DONE]\n\n"
