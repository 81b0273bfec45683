"""``/v1/sessions``: a text that the server keeps the state of. Create, feed, generate, fork, rewind, export.

A session is a few signed states in order of their tokens: the last one is where it stands, those before are
its marks, where it can be rewound to. What changes a session is written to the store before it is answered;
if the store does not answer, the session is as it was, the client gets a 503, and everything else goes on. A
request that fails or whose client goes away leaves its session as it was. One request at a time has a
session; another gets a 409.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from pantoum.apps.server.caller import owned
from pantoum.apps.server.completions import Answer
from pantoum.apps.server.models import Models, Served
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import (
    FeedRequest,
    GenerateRequest,
    RewindRequest,
    SessionRequest,
)
from pantoum.apps.server.signing import Signer
from pantoum.apps.server.stores import Store
from pantoum.apps.server.writing import begin, encode, read, require_prompt
from pantoum.seams import Plain, Reading, State

__all__ = ["MARKS", "Held", "SessionTable", "model_of", "read_text", "routes", "shown"]

MARKS = 16
"""States that a session keeps: where it stands, and the newest places it can be rewound to."""
UNCHANGED = "nothing was changed: try again later"
UNKNOWN = "it is not known whether the change was saved: read the session before you try again"
HEAD = struct.Struct("<QI")
Result = TypeVar("Result")
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
                409,
                f"the session {shown(name)!r} is in use by another request; wait until it ends, or fork it",
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
            raise RequestError(404, f"there is no session {shown(name)!r}: it was deleted or has expired")
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

    async def _call(self, function: Callable[[], Result], after: str = UNCHANGED) -> Result:
        """Ask the store, in one of its threads. ``after``: what is to be said where it does not answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except self._store.errors as error:
            raise RequestError(
                503,
                f"{self._store.problem(error)}; {after}",
                code="sessions_unavailable",
                headers={"Retry-After": "5"},
            ) from error


def model_of(models: Models, signer: Signer, held: Held, asked: str | None = None) -> tuple[Served, State]:
    """The model and the state of a session; another model that was ``asked`` for is refused."""
    state = signer.read(held.signed)
    served = models.of_hash(state.model_sha256)
    if served is None:
        raise RequestError(
            422,
            f"the session {shown(held.name)!r} belongs to a model that is not served any more; "
            f"export its text, or serve that model",
            code="invalid_state",
        )
    if asked is not None and models.get(asked) is not served:
        rule = f"the session belongs to {served.name!r}; leave one of them out"
        raise RequestError(400, f"model is {asked!r}: {rule}", param="model")
    return served, state


def routes(models: Models, signer: Signer, table: SessionTable) -> APIRouter:
    """All routes of sessions."""
    router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

    stands = partial(model_of, models, signer)

    def said(held: Held) -> dict[str, Plain]:
        return {"id": shown(held.name), "object": "session", "tokens_seen": held.tokens_seen}

    async def standing(held: Held, state: State) -> None:
        """The session stands at this state from now on."""
        await table.change(held, held.stand(state.tokens_seen, signer.sign(state)))

    @router.post("", response_model=None)
    async def create(fields: SessionRequest) -> Response:
        """Begin: from nothing, a state, or another session; read the prompt, if there is one."""
        if fields.state is not None and fields.from_ is not None:
            raise RequestError(400, "state and from are both given: leave one of them out", param="from")
        state: State | None = None
        if fields.from_ is not None:
            served, state = stands(await table.read(owned(fields.from_)), fields.model)
        else:
            served = models.get(fields.model)
            state = signer.from_text(fields.state, served.model)
        begun = State.start(served.model) if state is None else state
        after = await read_text(served, begun, fields.prompt or "")
        held = await table.create(((after.tokens_seen, signer.sign(after)),))
        return JSONResponse({**said(held), "model": served.name})

    @router.get("", response_model=None)
    async def list_sessions(after: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """The sessions of this key, in the order of their names: ``limit`` of those ``after`` one."""
        names = [shown(name) for name in await table.names(after, limit + 1)]
        data = [{"id": name, "object": "session"} for name in names[:limit]]
        return JSONResponse({"object": "list", "data": data, "has_more": len(names) > limit})

    @router.get("/{name}", response_model=None)
    async def show(name: str) -> Response:
        """Where a session stands, and where it can be rewound to."""
        held = await table.read(owned(name))
        served, _ = stands(held)
        return JSONResponse({**said(held), "model": served.name, "marks": [seen for seen, _ in held.marks]})

    @router.post("/{name}/feed", response_model=None)
    async def feed(name: str, fields: FeedRequest) -> Response:
        """Let the session read a text."""
        async with table.opened(owned(name)) as held:
            require_place(held, fields.tokens_seen)
            served, state = stands(held)
            await standing(held, await read_text(served, state, fields.text))
            return JSONResponse(said(held))

    @router.post("/{name}/generate", response_model=None)
    async def generate(name: str, fields: GenerateRequest) -> Response:
        """Let the session write on. The fields are those of a completion."""
        if (fields.n or 1) != 1:
            raise RequestError(400, f"n is {fields.n}: a session writes one text; fork it", param="n")
        held = await table.take(owned(name))
        with ExitStack() as undo:
            undo.callback(table.release, held.name)
            require_place(held, fields.tokens_seen)
            served, state = stands(held)
            prompt = await encode(served, fields.prompt or "", state)
            request = await begin(served, fields, [prompt], state)
            undo.callback(request.cancel)
            ends = undo.pop_all()

        async def keep() -> dict[str, Plain]:
            state = request.choices[0].state
            assert state is not None
            await standing(held, state)
            return {"session": said(held)}

        return await Answer(request, fields, signer, keep, ends.close).response()

    @router.post("/{name}/fork", response_model=None)
    async def fork(name: str) -> Response:
        """A second session that stands where this one does, with its marks."""
        held = await table.read(owned(name))
        stands(held)
        return JSONResponse(said(await table.create(held.marks)))

    @router.post("/{name}/rewind", response_model=None)
    async def rewind(name: str, fields: RewindRequest) -> Response:
        """Go back to a mark."""
        async with table.opened(owned(name)) as held:
            kept = tuple(mark for mark in held.marks if mark[0] <= fields.tokens_seen)
            if not kept or kept[-1][0] != fields.tokens_seen:
                known = ", ".join(str(seen) for seen, _ in held.marks)
                raise RequestError(
                    404,
                    f"tokens_seen is {fields.tokens_seen}: this session has marks at {known}",
                    param="tokens_seen",
                )
            await table.change(held, kept)
            return JSONResponse(said(held))

    @router.get("/{name}/state", response_model=None)
    async def export(name: str) -> Response:
        """The signed state: any server with this model and key goes on from it."""
        held = await table.read(owned(name))
        served, state = stands(held)
        return JSONResponse({**said(held), "model": served.name, "state": signer.to_text(state)})

    @router.delete("/{name}", response_model=None)
    async def delete(name: str) -> Response:
        """Forget a session."""
        async with table.opened(owned(name)):
            await table.delete(owned(name))
        return JSONResponse({"id": name, "object": "session", "deleted": True})

    return router


def require_place(held: Held, tokens_seen: int | None) -> None:
    """Refuse to go on where the client does not know where the session stands: its last request, of which it
    got no answer, may have been done."""
    if tokens_seen is not None and tokens_seen != held.tokens_seen:
        rule = f"the session is at {held.tokens_seen}: an earlier request succeeded, or there was another one"
        raise RequestError(
            409, f"tokens_seen is {tokens_seen}: {rule}; read it, or rewind it", param="tokens_seen"
        )


async def read_text(served: Served, state: State, text: str) -> State:
    """The state after a text."""
    prompt = await encode(served, text, state)
    require_prompt(len(prompt.tokens_T), "text")
    if len(prompt.tokens_T) == 0:
        return state if prompt.held is None else replace(state, pending=prompt.held)
    reading = Reading(served.model, state, prompt.tokens_T, held=prompt.held)
    await read(served, [reading])
    return reading.state
