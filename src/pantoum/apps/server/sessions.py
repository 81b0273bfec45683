"""``/v1/sessions``: a text that the server keeps the state of. Create, feed, generate, fork, rewind, export.

A request that fails or whose client goes away leaves its session as it was: what a session has read or
written is kept when all of it is there, and before the answer ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from pantoum.apps.server.aside import ENCODER
from pantoum.apps.server.caller import owned
from pantoum.apps.server.completions import COMPLETION_TOKENS, Answer
from pantoum.apps.server.events import EventStream
from pantoum.apps.server.models import Models, Served
from pantoum.apps.server.prompts import encode, require_prompt
from pantoum.apps.server.recorded import Entry, completion_logprobs
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import (
    FeedRequest,
    GenerateRequest,
    KnownFields,
    RewindRequest,
    SessionRequest,
)
from pantoum.apps.server.session_table import Held, SessionTable, shown
from pantoum.apps.server.signing import Signer
from pantoum.apps.server.writing import begin, read
from pantoum.seams import Plain, Reading, State

__all__ = ["model_of", "read_text", "routes"]


def model_of(models: Models, signer: Signer, held: Held) -> tuple[Served, State]:
    """The model and the state of a session."""
    state = signer.read(held.signed)
    served = models.of_hash(state.model_sha256)
    if served is None:
        raise RequestError(
            422,
            f"the session {shown(held.name)!r} belongs to a model that is not served any more; "
            f"export its text, or serve that model",
            code="invalid_state",
        )
    return served, state


def routes(models: Models, signer: Signer, table: SessionTable) -> APIRouter:
    """All routes of sessions."""
    router = APIRouter(prefix="/v1/sessions", tags=["sessions"], route_class=KnownFields)

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
            served, state = stands(await table.read(owned(fields.from_)))
            if fields.model is not None and models.get(fields.model) is not served:
                rule = f"the session of from belongs to {served.name!r}; leave one of them out"
                raise RequestError(400, f"model is {fields.model!r}: {rule}", param="model")
        else:
            served = models.get(fields.model)
            if fields.state is not None:
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
        try:
            require_place(held, fields.tokens_seen)
            served, state = stands(held)
            length = COMPLETION_TOKENS if fields.max_tokens is None else fields.max_tokens
            prompt = await encode(served, fields.prompt or "", state)
            request = await begin(
                served, fields, [prompt], length=length, state=state, alternatives=fields.logprobs
            )
        except BaseException:
            table.release(owned(name))
            raise

        def shape(text: str, entries: Sequence[Entry]) -> dict[str, Plain]:
            found = None if fields.logprobs is None else completion_logprobs(entries, fields.logprobs)
            return {"text": text, "logprobs": found}

        answer = Answer(request, fields, signer, "text_completion", shape, shape)

        async def keep() -> dict[str, Plain]:
            state = request.choices[0].state
            assert state is not None
            await standing(held, state)
            return {"session": said(held)}

        async def streamed() -> AsyncGenerator[list[str], None]:
            chunks = answer.chunks()
            try:
                async for chunk in chunks:
                    yield chunk
                yield [ENCODER.encode({**answer.head, "choices": [], **(await keep())})]
            finally:
                await chunks.aclose()

        def end() -> None:
            request.cancel()
            table.release(owned(name))

        if fields.stream:
            return EventStream(streamed(), end)
        try:
            choices = await request.whole()
            return await answer.response(choices, **(await keep()))
        finally:
            end()

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
        rule = f"the session stands at {held.tokens_seen}: an earlier request was done, or another one came"
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
