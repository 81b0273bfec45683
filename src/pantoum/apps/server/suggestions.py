"""``/v1/suggest``: the next words after a text or a session, or the rest of the word that a text ends within.

The text is read by the engine, beside all other requests. The words are found in a thread of their own, some
milliseconds each.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from pantoum.apps.server.caller import owned
from pantoum.apps.server.models import Models
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import KnownFields, SuggestRequest
from pantoum.apps.server.session_table import SessionTable
from pantoum.apps.server.sessions import model_of, read_text
from pantoum.apps.server.signing import Signer
from pantoum.seams import LoadedModel, State, Suggester, Suggestion, begun_word

__all__ = ["routes"]

WORDS = ThreadPoolExecutor(1, "pantoum-words")
KNOWN: WeakKeyDictionary[LoadedModel, Suggester] = WeakKeyDictionary()
"""Used by the one thread of ``WORDS`` alone."""


def suggested(model: LoadedModel, state: State, k: int, begun: str) -> list[Suggestion]:
    """The words after a state."""
    found = KNOWN.get(model)
    if found is None:
        found = KNOWN[model] = Suggester(model)
    return found.after(state, k, begun)


def routes(models: Models, signer: Signer, table: SessionTable) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1", tags=["writing"], route_class=KnownFields)

    @router.post("/suggest", response_model=None)
    async def suggest(fields: SuggestRequest) -> Response:
        """The most probable next words."""
        prompt = fields.prompt or ""
        if fields.session is None:
            served = models.get(fields.model)
            state = State.start(served.model)
        else:
            served, state = model_of(models, signer, await table.read(owned(fields.session)))
            if fields.model is not None and models.get(fields.model) is not served:
                rule = f"the session belongs to {served.name!r}; leave one of them out"
                raise RequestError(400, f"model is {fields.model!r}: {rule}", param="model")
        before, begun = begun_word(prompt)
        after = await read_text(served, state, before) if before else state
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(WORDS, suggested, served.model, after, fields.k, begun)
        items = [{"text": one.text, "probability": one.probability} for one in found]
        return JSONResponse({"object": "list", "model": served.name, "begun": begun, "items": items})

    return router
