"""Sessions by name, in a store.

A session is a few signed states in order of their tokens: the last one is where it stands, those before are
its marks, where it can be rewound to. What changes a session is written to the store before it is answered;
if the store does not answer, the session is as it was, the client gets a 503, and everything else goes on.
One request at a time has a session; another gets a 409.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pantoum.apps.server.caller import owned
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.stores import Store, StoreError

__all__ = ["MARKS", "Held", "SessionTable", "shown"]

MARKS = 16
"""States that a session keeps: where it stands, and the newest places it can be rewound to."""
UNCHANGED = "nothing was changed: try again later"
UNKNOWN = "whether the change was kept is not known: read the session before you try again"
HEAD = struct.Struct("<QI")
Answer = TypeVar("Answer")
Mark = tuple[int, bytes]
"""Tokens seen, and the signed state there."""


def to_bytes(marks: tuple[Mark, ...]) -> bytes:
    """A session's marks as a store keeps them."""
    return b"".join(HEAD.pack(seen, len(signed)) + signed for seen, signed in marks)


def from_bytes(value: bytes) -> tuple[Mark, ...]:
    """The inverse of ``to_bytes``; empty if the value is no session, which another program may have written
    to the same Redis."""
    marks, at = [], 0
    with suppress(struct.error):
        while at < len(value):
            seen, size = HEAD.unpack_from(value, at)
            at += HEAD.size + size
            marks.append((seen, value[at - size : at]))
    return tuple(marks) if to_bytes(tuple(marks)) == value else ()


def shown(name: str) -> str:
    """The name by which its client knows a session."""
    return name.rpartition(".")[2]


@dataclass
class Held:
    """A session that one request has. ``marks`` are never empty."""

    name: str
    marks: tuple[Mark, ...]
    value: bytes | None
    """What the store has of it."""

    @property
    def tokens_seen(self) -> int:
        """Where it stands."""
        return self.marks[-1][0]

    @property
    def signed(self) -> bytes:
        """The state there."""
        return self.marks[-1][1]

    def stand(self, seen: int, signed: bytes) -> tuple[Mark, ...]:
        """The marks when it stands here, too; the oldest are given up."""
        kept = tuple(mark for mark in self.marks if mark[0] < seen)
        return (*kept, (seen, signed))[-MARKS:]


class SessionTable:
    """All sessions of a server."""

    def __init__(self, store: Store, seconds: float) -> None:
        """``seconds``: idle time after which one expires."""
        self._store, self._seconds = store, seconds
        self._busy: set[str] = set()
        self._threads = ThreadPoolExecutor(store.threads, "pantoum-sessions")
        self._begun = time.time() - time.monotonic()

    @property
    def _now(self) -> float:
        """The time by which sessions expire: it goes on from that of the start, also if the clock is set."""
        return self._begun + time.monotonic()

    async def create(self, marks: tuple[Mark, ...]) -> Held:
        """A new session."""
        held = Held(owned(secrets.token_urlsafe(18)), marks, None)
        await self.change(held, marks)
        return held

    async def take(self, name: str) -> Held:
        """A session for one request alone, until it is released."""
        if name in self._busy:
            raise RequestError(
                409, f"the session {shown(name)!r} is in use by another request; wait for its end, or fork it"
            )
        self._busy.add(name)
        try:
            return await self.read(name)
        except BaseException:
            self._busy.discard(name)
            raise

    def release(self, name: str) -> None:
        """Other requests may have it."""
        self._busy.discard(name)

    @asynccontextmanager
    async def opened(self, name: str) -> AsyncIterator[Held]:
        """A session for one request alone."""
        held = await self.take(name)
        try:
            yield held
        finally:
            self.release(name)

    async def read(self, name: str) -> Held:
        """A session as it stands."""
        value = await self._call(partial(self._store.get, name, self._now)) or b""
        if not (marks := from_bytes(value)):
            raise RequestError(
                404, f"there is no session {shown(name)!r}: it was deleted, or nobody used it for too long"
            )
        return Held(name, marks, value)

    async def change(self, held: Held, marks: tuple[Mark, ...]) -> None:
        """The session stands at the last of these marks from now on."""
        value = to_bytes(marks)
        if not await self._call(partial(self._store.put, held.name, value, held.value, self._now), UNKNOWN):
            raise RequestError(
                409,
                f"the session {shown(held.name)!r} was changed by another server meanwhile; read it again",
            )
        held.marks, held.value = marks, value

    async def delete(self, name: str) -> bool:
        """Forget a session; whether there was one."""
        return await self._call(partial(self._store.delete, name), UNKNOWN)

    async def names(self, after: str, count: int) -> list[str]:
        """The names of this caller's sessions that follow one, in order; empty: from the first."""
        prefix = owned("")
        return await self._call(partial(self._store.names, prefix, prefix + after, count, self._now))

    async def count(self) -> int | None:
        """Sessions in the store; ``None``: it does not count them, or does not answer."""
        with suppress(RequestError):
            return await self._call(self._store.count)
        return None

    async def watch(self) -> None:
        """Forget what nobody used for too long, until cancelled."""
        while True:
            await asyncio.sleep(min(60.0, self._seconds))
            with suppress(RequestError):  # where the store is away, the next time will do
                await self._call(partial(self._store.expire, self._now))

    def close(self) -> None:
        """Nothing more is asked."""
        self._threads.shutdown()
        self._store.close()

    async def _call(self, function: Callable[[], Answer], after: str = UNCHANGED) -> Answer:
        """Ask the store, in one of its threads. ``after``: what is to be said where it does not answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except StoreError as error:
            raise RequestError(
                503,
                f"{error}; {after}",
                code="sessions_unavailable",
                headers={"Retry-After": "5"},
            ) from error
