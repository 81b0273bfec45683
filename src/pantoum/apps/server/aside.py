"""Large answers: how large they may be, how many are made at once, and how they are sent.

They are made in a thread beside the event loop, so that all other requests go on. A thread alone is not
enough: one call of ``json``'s encoder in C holds the interpreter for all of its work, 0.5 s for the
log-probabilities of a million tokens. The encoder in Python takes twice as long and lets others in between.

The JSON of a large answer never exists as a whole: a piece is encoded when the client has read the one
before. What it is made of does exist, some ten times the size of the JSON, so the size is bounded, and so is
the number of such answers in work.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from pantoum.apps.server.caller import CALLER
from pantoum.apps.server.refusals import RequestError, busy

__all__ = ["MANY", "LargeAnswer", "Turns", "answer_aside", "one_at_a_time", "require_size"]

MANY = 2000
"""Tokens and alternatives from which the work on each is done aside: some milliseconds."""
LARGE = 1 << 20
"""Bytes of JSON from which an answer takes a turn."""
AT_ONCE, WAITING = 2, 16
"""Large answers of a model that are in work, and that wait for a turn."""
PIECE = 1 << 16
"""Characters of JSON that are encoded at once."""
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""As Starlette encodes an answer."""


Result = TypeVar("Result")
TEXTS = ThreadPoolExecutor(1, "pantoum-texts")


def require_size(size: int, most: int, advice: str) -> None:
    """Refuse an answer of about ``size`` bytes, where ``most`` are allowed."""
    if size > most:
        raise RequestError(
            400,
            f"the answer would have about {size >> 20:,} MB, and this server's limit is {most >> 20:,} MB "
            f"(--max-answer); {advice}",
            code="answer_too_large",
        )


class Turns:
    """The large answers of one model: ``AT_ONCE`` are in work, ``WAITING`` more wait."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._took = 10.0
        """Seconds that one has a turn: a mean, after a guess."""

    async def take(self, size: int, seconds: float) -> None:
        """Wait until an answer of about ``size`` bytes may be begun, ``seconds`` at most; the turn ends with
        the request."""
        if size < LARGE:
            return
        if self._waiting >= WAITING:
            raise self._busy()
        self._waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), seconds)
        except asyncio.TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1
        CALLER.get().ends.callback(self._release, time.monotonic())

    def _release(self, begun: float) -> None:
        self._took += (time.monotonic() - begun - self._took) / 4
        self._free.release()

    def _busy(self) -> RequestError:
        """The next of those in work ends after this time."""
        return busy(max(1, math.ceil(self._took / AT_ONCE)), " (for large answers)")


async def one_at_a_time(function: Callable[..., Result], *arguments: object) -> Result:
    """What a function gives that works on a long text in Python: in a thread that all requests share, so that
    never more than one of them wants the interpreter beside the event loop and the engines."""
    return await asyncio.get_running_loop().run_in_executor(TEXTS, function, *arguments)


class LargeAnswer(StreamingResponse):
    """The response with what ``make`` gives as JSON. A client that has not read it after ``seconds`` is cut
    off, because others may wait for its turn."""

    def __init__(self, value: object, seconds: float) -> None:
        super().__init__(pieces(value), media_type=JSONResponse.media_type)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with suppress(asyncio.TimeoutError):  # uvicorn closes a connection whose answer has no end
            await asyncio.wait_for(self.stream_response(send), self._seconds)


async def answer_aside(make: Callable[[], object], seconds: float) -> LargeAnswer:
    """The response with what ``make`` gives, all of it made in a thread."""
    return LargeAnswer(await asyncio.to_thread(make), seconds)


async def pieces(value: object) -> AsyncIterator[bytes]:
    """The JSON of a value in pieces, each made in a thread."""
    left = ENCODER.iterencode(value)
    while piece := await asyncio.to_thread(encoded, left):
        yield piece


def encoded(left: Iterator[str]) -> bytes:
    """The next piece of what is left; empty at the end."""
    found, size = [], 0
    for part in left:
        found.append(part)
        size += len(part)
        if size >= PIECE:
            break
    return "".join(found).encode()
