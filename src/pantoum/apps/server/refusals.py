"""Errors as OpenAI's clients expect them: ``{"error": {"message", "type", "param", "code"}}`` and a status.

400  a field cannot be as it is, or asks for what this server does not do
401  no key, or a wrong one            403  a foreign host or page
404  no such model, session or mark    405  no method of this path
409  the session is in use, or changed meanwhile
413  the body is larger than 1 MB      422  a state that was altered, or belongs to another model
429  slots and queue are full          503  the sessions' store does not answer, or the server is stopping
500  a bug; the log has the traceback and the answer has none of it
"""

from __future__ import annotations

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pantoum.errors import PantoumError, SettingError, StateError
from pantoum.seams import Plain

__all__ = ["RequestError", "answer", "busy", "error_body", "install", "refusal", "stopping"]

log = logging.getLogger("pantoum.server")
TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}
UNNAMED = re.compile(r"body|str|bool|\w+\[.*\]")
"""Parts of a place that are no field: the body, and the types that a field may have."""
AGAIN = 2
"""Seconds after which a client that was turned away is to ask again; those of OpenAI ask thrice."""
FAULTS = 3
"""Faults of a request that its error names."""


class RequestError(HTTPException):
    """A request that is answered with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.status, self.message, self.param, self.code = status, message, param, code


def refusal(error: Exception) -> RequestError:
    """What a client is told of an error that a request met."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, TimeoutError):
        told = "the answer takes longer than ten minutes; ask for less at a time"
        return RequestError(503, told, code="timeout", headers={"X-Should-Retry": "false"})
    if isinstance(error, StateError):
        return RequestError(422, str(error), param="state", code="invalid_state")
    if isinstance(error, SettingError):
        return RequestError(400, str(error), param=error.argument)
    if isinstance(error, PantoumError):
        return RequestError(500, str(error))
    log.error("a bug in pantoum, please report it", exc_info=error)
    return RequestError(500, f"a bug in pantoum ({type(error).__name__}); the server's log says where")


def error_body(error: RequestError) -> dict[str, Plain]:
    """The JSON of an error."""
    kind = TYPES.get(error.status, "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}


def busy(detail: str = "") -> RequestError:
    """Slots and queue are full."""
    return RequestError(
        429,
        f"all slots and all places of the queue are taken{detail}; try again in {AGAIN} s",
        code="rate_limit_exceeded",
        headers={"Retry-After": str(AGAIN)},
    )


def stopping() -> RequestError:
    """The server takes no more, or its time to finish what runs is used up."""
    return RequestError(503, "this server is stopping; try another one", headers={"Retry-After": "5"})


def answer(error: RequestError) -> JSONResponse:
    """The response of an error."""
    return JSONResponse(error_body(error), error.status, dict(error.headers or {}))


def install(app: FastAPI) -> None:
    """Let every error of a route be answered in this form."""

    async def of_any(request: Request, error: Exception) -> JSONResponse:
        return answer(refusal(error))

    async def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        told = str(error.detail)
        if error.status_code == 405:
            told = f"{request.method} is not a method of this path"
        elif error.status_code == 400 and "parsing the body" in told:
            told = "the request is not JSON in UTF-8, or nested too deeply; /docs has the schema"
        return answer(RequestError(error.status_code, told, headers=dict(error.headers or {})))

    async def of_schema(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        found = error.errors()[0]
        if found["type"] == "json_invalid":
            detail = found.get("ctx", {}).get("error", "it ends too early")
            return answer(RequestError(400, f"the request is not JSON: {detail}; /docs has the schema"))
        if found["type"] == "model_attributes_type" and "json" not in request.headers.get("content-type", ""):
            return answer(RequestError(400, "send JSON with the header Content-Type: application/json"))
        faults = error.errors()
        told = [f"{where}: {one['msg']}" if (where := _place(one)) else one["msg"] for one in faults[:FAULTS]]
        more = f"; {len(faults) - FAULTS} more" if len(faults) > FAULTS else ""
        what = "; ".join(told) + more
        return answer(RequestError(400, f"{what}; /docs has the schema", param=_place(found) or None))

    for kind in (RequestError, PantoumError, TimeoutError, Exception):
        app.add_exception_handler(kind, of_any)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_schema)


def _place(fault: dict[str, Any]) -> str:
    """Where in the body a fault is."""
    return ".".join(str(part) for part in fault["loc"] if not UNNAMED.fullmatch(str(part)))
