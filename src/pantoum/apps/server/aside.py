"""Long work beside the event loop, and large answers: how many are made at once, and how they are sent.

Work in Python on a long text has one thread, so that never more than one of them wants the interpreter beside
the event loop and the engines. It goes to the clients in turns: many requests of one delay those of another
by one piece of work.

JSON is encoded there in Python: one call of ``json``'s encoder in C holds the interpreter for all of its
work, 0.5 s for the log-probabilities of a million tokens. An answer goes out in pieces, one when its client
has read the one before. Until then its bytes wait, so the size of an answer is bounded, and so is that of all
that are in work, those of one client to half of it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from fastapi.responses import JSONResponse, Response, StreamingResponse

from pantoum.apps.server.caller import CALLER, client
from pantoum.apps.server.refusals import RequestError, busy

__all__ = ["ENCODER", "MANY", "MOST_ANSWER", "Answers", "Line", "answer_aside", "encoded", "require_size"]

MANY = 2000
"""Tokens and alternatives from which the work on each is done aside: some milliseconds."""
MOST_ANSWER = 16 << 20
"""Bytes of JSON that one answer may have, and all that are in work."""
LARGE = 1 << 18
"""Bytes from which an answer counts among these."""
WAITING = 16
"""Large answers that wait until others were read, half of them of one client."""
PATIENCE = 600.0
"""Seconds that they wait."""
SMALL = 1 << 16
"""Bytes up to which an answer is made on the event loop, in about a millisecond."""
PIECE = 1 << 12
"""Parts of JSON, names, numbers and signs, that are sent at once."""
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


def require_size(size: int, advice: str) -> None:
    """Refuse an answer of about ``size`` bytes that is too large."""
    if size > MOST_ANSWER:
        told = f"the answer would have about {size >> 20:,} MB, and the limit is {MOST_ANSWER >> 20:,} MB"
        raise RequestError(400, f"{told}; {advice}", code="answer_too_large")


class Answers:
    """The large answers of a server that are in work: ``most`` bytes of JSON in all, or one answer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        """Bytes that are in work, and answers that wait, by client."""
        self._changed = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until an answer of about ``size`` bytes may be begun. It is in work until its request ends."""
        if size < LARGE:
            return
        whose = client()
        if self._waiting.total() >= WAITING or self._waiting[whose] >= WAITING // 2:
            raise busy(" (for large answers)")
        self._waiting[whose] += 1
        try:
            await asyncio.wait_for(self._room(whose, size), PATIENCE)
        except asyncio.TimeoutError:
            raise busy(" (for large answers)") from None
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


async def answer_aside(make: Callable[[], object], line: Line, size: int) -> Response:
    """The response with what ``make`` gives, about ``size`` bytes; a large one is made in the thread."""
    if size <= SMALL:
        return JSONResponse(make())
    found = await line.run(lambda: encoded(make()))

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
