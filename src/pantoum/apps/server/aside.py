"""Long work beside the event loop, and large answers: how many are made at once, and how they are sent.

Work in Python on a long text has one thread, so that never more than one of them wants the interpreter beside
the event loop and the engines. It goes to the clients in turns: many requests of one delay those of another
by one piece of work.

A thread alone is not enough for JSON: one call of ``json``'s encoder in C holds the interpreter for all of
its work, 0.5 s for the log-probabilities of a million tokens. The encoder in Python takes twice as long and
lets others in between. The JSON of a large answer never exists as a whole: a piece is encoded when the client
has read the one before. What it is made of does exist, some ten times the size of the JSON, so the size of an
answer is bounded, and so is that of all that are in work, those of one client to half of it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from pantoum.apps.server.caller import CALLER, client
from pantoum.apps.server.refusals import RequestError, busy

__all__ = ["ENCODER", "MANY", "Answers", "LargeAnswer", "Line", "answer_aside", "require_size"]

MANY = 2000
"""Tokens and alternatives from which the work on each is done aside: some milliseconds."""
LARGE = 1 << 18
"""Bytes of JSON from which an answer counts among the large ones."""
WAITING = 16
"""Large answers that wait until others were read, half of them of one client."""
WAIT = 5
"""Seconds after which a client that finds no room for a large answer is to ask again."""
PIECE = 1 << 16
"""Characters of JSON that are encoded at once."""
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""As Starlette encodes an answer."""
Result = TypeVar("Result")


class Line:
    """The thread for long work, and who waits for it. It lives on the event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "pantoum-aside")
        self._busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """Those who wait, by client, in the order in which the clients come next."""

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """What a function gives, in the thread."""
        loop = asyncio.get_running_loop()
        if self._busy:
            turn = loop.create_future()
            self._waiting.setdefault(client(), deque()).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # its turn came when its request had ended
                    self._pass()
                raise
        self._busy = True
        try:
            return await loop.run_in_executor(self._thread, function, *arguments)
        finally:
            self._pass()

    def _pass(self) -> None:
        """The next one, of the client that comes next; what else that one waits for comes behind all."""
        self._busy = False
        while self._waiting and not self._busy:
            name = next(iter(self._waiting))
            turns = self._waiting.pop(name)
            turn = turns.popleft()
            if turns:
                self._waiting[name] = turns
            if not turn.done():
                self._busy = True
                turn.set_result(None)


def require_size(size: int, most: int, advice: str) -> None:
    """Refuse an answer of about ``size`` bytes, where ``most`` are allowed."""
    if size > most:
        raise RequestError(
            400,
            f"the answer would have about {size >> 20:,} MB, and this server's limit is {most >> 20:,} MB "
            f"(--max-answer); {advice}",
            code="answer_too_large",
        )


class Answers:
    """The large answers of a server that are in work: ``most`` bytes of JSON in all, or one answer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        """Bytes that are in work, and answers that wait, by client."""
        self._changed = asyncio.Event()

    async def take(self, size: int, seconds: float) -> None:
        """Wait until an answer of about ``size`` bytes may be begun, ``seconds`` at most. It is in work until
        its request ends."""
        if size < LARGE:
            return
        whose = client()
        if self._waiting.total() >= WAITING or self._waiting[whose] >= WAITING // 2:
            raise busy(WAIT, " (for large answers)")
        self._waiting[whose] += 1
        try:
            await asyncio.wait_for(self._room(whose, size), seconds)
        except asyncio.TimeoutError:
            raise busy(WAIT, " (for large answers)") from None
        finally:
            self._waiting[whose] -= 1
            self._waiting += Counter()  # those who have none are forgotten
        self._sizes[whose] += size
        CALLER.get().ends.callback(self._release, whose, size)

    async def _room(self, whose: str, size: int) -> None:
        while True:
            own, every = self._sizes[whose], self._sizes.total()
            if not every or (every + size <= self._most and (not own or own + size <= self._most // 2)):
                return
            self._changed.clear()
            await self._changed.wait()

    def _release(self, whose: str, size: int) -> None:
        self._sizes[whose] -= size
        self._sizes += Counter()
        self._changed.set()


class LargeAnswer(StreamingResponse):
    """The response with a value as JSON. A client that has not read it after ``seconds`` is cut off, because
    others may wait for its room."""

    def __init__(self, value: object, line: Line, seconds: float) -> None:
        super().__init__(pieces(value, line), media_type=JSONResponse.media_type)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with suppress(asyncio.TimeoutError):  # uvicorn closes a connection whose answer has no end
            await asyncio.wait_for(self.stream_response(send), self._seconds)


async def answer_aside(make: Callable[[], object], line: Line, seconds: float) -> LargeAnswer:
    """The response with what ``make`` gives, all of it made in the thread."""
    return LargeAnswer(await line.run(make), line, seconds)


async def pieces(value: object, line: Line) -> AsyncIterator[bytes]:
    """The JSON of a value in pieces, each made in the thread."""
    left = ENCODER.iterencode(value)
    while piece := await line.run(encoded, left):
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
