"""Long answers, made in a thread beside the event loop, so that all other requests go on.

A thread alone is not enough: one call of ``json``'s encoder in C holds the interpreter for all of its work,
0.5 s for the log-probabilities of a million tokens. The encoder in Python takes twice as long and lets
others in between.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable

from fastapi.responses import JSONResponse, Response

__all__ = ["MANY", "answer_aside", "encoded"]

MANY = 2000
"""Tokens and alternatives from which the work on each is done aside: some milliseconds."""
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""As Starlette encodes an answer."""


def encoded(value: object) -> bytes:
    """The JSON of a value, of which no piece takes long."""
    written = io.StringIO()
    written.writelines(ENCODER.iterencode(value))
    return written.getvalue().encode()


async def answer_aside(make: Callable[[], object]) -> Response:
    """The response with what ``make`` gives, all of it made in a thread."""
    body = await asyncio.to_thread(lambda: encoded(make()))
    return Response(body, media_type=JSONResponse.media_type)
