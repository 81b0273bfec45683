"""``/v1/embeddings``: the last layer's output after a text, or its mean over the text's tokens.

As many texts as the model has slots are read at once, so a request may have any number of them.
"""

from __future__ import annotations

import base64

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from pantoum.apps.server.aside import answer_aside, require_size
from pantoum.apps.server.completions import prompts_of
from pantoum.apps.server.models import Models
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import EmbeddingRequest, KnownFields
from pantoum.apps.server.writing import read, require_prompt
from pantoum.seams import Reading

__all__ = ["routes"]

DIGITS = 20
"""Bytes of JSON that a number of a vector takes."""
LARGE = 50_000
"""Numbers from which an answer is made aside."""


def routes(models: Models) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1", tags=["reading"], route_class=KnownFields)

    @router.post("/embeddings", response_model=None)
    async def embeddings(fields: EmbeddingRequest) -> Response:
        """A vector for each text."""
        served = models.get(fields.model)
        size = served.model.program.model.hidden_size
        if fields.dimensions is not None and fields.dimensions != size:
            raise RequestError(
                400,
                f"dimensions is {fields.dimensions}: this model's vectors have {size}",
                param="dimensions",
            )
        prompts = await prompts_of(served, fields.input, param="input", together=False)
        require_prompt(served, sum(len(prompt.tokens_T) for prompt in prompts), "input")
        if any(len(prompt.tokens_T) == 0 for prompt in prompts):
            raise RequestError(400, "input is empty: give a text of at least one character", param="input")
        numbers = size * len(prompts)
        require_size(numbers * DIGITS, served.settings.max_answer << 20, "send fewer texts in a request")
        await served.answers.take(numbers * DIGITS, served.settings.timeout)
        vectors: list[object] = []
        for begin in range(0, len(prompts), served.engine.slots):
            some = prompts[begin : begin + served.engine.slots]
            readings = [Reading(served.model, None, prompt.tokens_T, hidden=True) for prompt in some]
            await read(served, readings)
            vectors += [_vector(reading, fields) for reading in readings]
        tokens = sum(len(prompt.tokens_T) for prompt in prompts)
        found = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index, vector in enumerate(vectors)
            ],
            "model": served.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        if numbers <= LARGE:
            return JSONResponse(found)
        return await answer_aside(lambda: found, served.line, served.settings.timeout)

    return router


def _vector(reading: Reading, fields: EmbeddingRequest) -> object:
    vector = reading.last_H if fields.pooling == "last" else reading.mean_H
    assert vector is not None
    kept = np.asarray(vector, "<f4")
    return (
        base64.b64encode(kept.tobytes()).decode("ascii")
        if fields.encoding_format == "base64"
        else kept.tolist()
    )
