"""``/v1/embeddings``: the last layer's output after a text, or its mean over the text's tokens."""

from __future__ import annotations

import base64

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from pantoum.inference.reading import Reading
from pantoum.server.completions import prompts_of
from pantoum.server.errors import RequestError
from pantoum.server.fields import KnownFields
from pantoum.server.job import Job
from pantoum.server.models import Models
from pantoum.server.schema import EmbeddingRequest
from pantoum.server.writing import cancel, require_prompt, submit

__all__ = ["routes"]


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
        prompts = await prompts_of(served, fields.input, param="input")
        require_prompt(served, sum(len(prompt.tokens_T) for prompt in prompts), "input")
        if any(len(prompt.tokens_T) == 0 for prompt in prompts):
            raise RequestError(400, "input is empty: give a text of at least one character", param="input")
        inbox = served.inbox()
        for prompt in prompts:
            inbox.job(Reading(served.model, None, prompt.tokens_T, hidden=True))
        submit(served, inbox.jobs)
        try:
            await inbox.finished()
        finally:
            cancel(served, inbox.jobs)
        data = [
            {"object": "embedding", "index": job.number, "embedding": _vector(job, fields)}
            for job in inbox.jobs
        ]
        tokens = sum(len(prompt.tokens_T) for prompt in prompts)
        return JSONResponse(
            {
                "object": "list",
                "data": data,
                "model": served.name,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    return router


def _vector(job: Job, fields: EmbeddingRequest) -> object:
    reading = job.reading
    vector = reading.last_H if fields.pooling == "last" else reading.mean_H
    assert vector is not None
    kept = np.asarray(vector, "<f4")
    return (
        base64.b64encode(kept.tobytes()).decode("ascii")
        if fields.encoding_format == "base64"
        else kept.tolist()
    )
