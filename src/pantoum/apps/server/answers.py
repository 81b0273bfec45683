"""How answers are made and sent: large JSON in pieces, streams as server-sent events.

One client has one large answer in work at a time, all together have ``AT_ONCE``. One client has one piece of
long work in Python in a thread; what else it asks for waits, and other clients do not. JSON is encoded in
Python there: one call of ``json``'s encoder in C holds the interpreter for all of its work, 0.5 s for the
log-probabilities of a million tokens. An answer goes out in pieces, one when its client has read the one
before.

Events: ``data: JSON``, a blank line, at last ``data: [DONE]``. The status is sent with the first event, so an
error before it has a status of its own. A later error is an event, too: ``data: {"error": ...}``, and the
stream ends; so it does when the server stops. ``guard`` cancels a stream whose client goes away; its source
is closed at once, which gives back its slots.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from itertools import islice
from typing import TypeVar
from weakref import WeakValueDictionary

from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from pantoum.apps.server.caller import CALLER, client
from pantoum.apps.server.refusals import RequestError, error_body, refusal, stopping

__all__ = ["ENCODER", "MANY", "EventStream", "Turns", "json_answer", "require_size"]

MANY = 2000
"""Tokens and alternatives from which the work on each is done aside: some milliseconds."""
MOST_ANSWER = 16 << 20
"""Bytes of JSON that one answer may have."""
LARGE = 1 << 18
"""Bytes from which an answer is large."""
AT_ONCE = 4
"""Large answers that are in work at a time, of all clients."""
SMALL = 1 << 16
"""Bytes up to which an answer is made on the event loop, in about a millisecond."""
PIECE = 1 << 12
"""Parts of JSON, names, numbers and signs, that are sent at once."""
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""As Starlette encodes an answer."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""No proxy may hold events back."""
DONE = b"data: [DONE]\n\n"
Result = TypeVar("Result")


class Turns:
    """What a client has one of at a time. It lives on the event loop."""

    def __init__(self) -> None:
        self._work: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._answers: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """What a function gives, in a thread."""
        async with self._work.setdefault(client(), asyncio.Lock()):
            return await asyncio.to_thread(function, *arguments)

    async def answer(self, size: int) -> None:
        """Wait until an answer of about ``size`` bytes may be begun. It is in work until its request ends."""
        if size >= LARGE:
            lock = self._answers.setdefault(client(), asyncio.Lock())
            for one in (lock, self._places):
                await one.acquire()
                CALLER.get().ends.callback(one.release)


def require_size(size: int, advice: str) -> None:
    """Refuse an answer of about ``size`` bytes that is too large."""
    if size > MOST_ANSWER:
        told = f"the answer would have about {size >> 20:,} MB, and the limit is {MOST_ANSWER >> 20:,} MB"
        raise RequestError(400, f"{told}; {advice}", code="answer_too_large")


async def json_answer(make: Callable[[], object], turns: Turns, size: int) -> Response:
    """The response with what ``make`` gives, about ``size`` bytes; a large one is made in a thread."""
    if size <= SMALL:
        return JSONResponse(make())
    found = await turns.run(lambda: encoded(make()))

    async def pieces() -> AsyncIterator[bytes]:
        for piece in found:
            yield piece

    return StreamingResponse(pieces(), media_type=JSONResponse.media_type)


def encoded(value: object) -> list[bytes]:
    """The JSON of a value in pieces."""
    left, pieces = ENCODER.iterencode(value), list[bytes]()
    while piece := "".join(islice(left, PIECE)):
        pieces.append(piece.encode())
    return pieces


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
