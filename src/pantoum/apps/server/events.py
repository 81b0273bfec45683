"""Server-sent events: ``data: JSON``, a blank line, at last ``data: [DONE]``.

The status is sent with the first event, so an error before it has a status of its own. A later error is an
event, too: ``data: {"error": ...}``, and the stream ends; so it does when the server stops. ``guard``
cancels a stream whose client goes away; its source is closed at once, which gives back its slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pantoum.apps.server.aside import ENCODER
from pantoum.apps.server.connection import FEW
from pantoum.apps.server.refusals import RequestError, error_body, refusal, stopping

__all__ = ["EventStream"]

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""No proxy may hold events back."""
DONE = b"data: [DONE]\n\n"


class EventStream(StreamingResponse):
    """The response of a stream of lists of JSON values."""

    def __init__(
        self, values: AsyncGenerator[list[str], None], at_end: Callable[[], object], named: bool = False
    ) -> None:
        """``at_end`` is called however the stream ends, also where it never began. ``named``: the values are
        the events of ``/v1/responses``, which have their names already; the last one is the end."""
        self._values, self._at_end, self._named = values, at_end, named
        super().__init__((), media_type="text/event-stream", headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them. Starlette's own way would start two tasks more per stream, to listen for the client."""
        try:
            value = await anext(self._values, None)
            if FEW in scope.get("extensions", {}):
                scope["extensions"][FEW]["call"]()
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            try:
                while value is not None:
                    await send({"type": "http.response.body", "body": self.written(value), "more_body": True})
                    value = await anext(self._values, None)
                last = b"" if self._named else DONE
            except Exception as error:  # the response has begun: it can only be told here
                last = self.failed(refusal(error))
            except asyncio.CancelledError:  # the server stops, or the client has gone and hears nothing of it
                await self._values.aclose()  # its slots are free before a slow client has read the event
                last = self.failed(stopping())
            await send({"type": "http.response.body", "body": last, "more_body": False})
        finally:
            await self._values.aclose()
            self._at_end()

    def written(self, found: list[str]) -> bytes:
        """JSON values as events; a client gets what came together in one write."""
        return "".join(f"{'' if self._named else 'data: '}{one}\n\n" for one in found).encode()

    def failed(self, error: RequestError) -> bytes:
        """The event of an error, which is the last one."""
        if not self._named:
            return self.written([ENCODER.encode(error_body(error))])
        told = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        return self.written([f"event: error\ndata: {ENCODER.encode(told)}"])
