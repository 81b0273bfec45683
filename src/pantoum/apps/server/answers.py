"""What ``/openapi.json`` says beyond the fields of requests: the answers of every route, and the key.

The answers are described here and made elsewhere; ``test_schema.py`` holds the one against the
other. Fields that a client need not know are not listed, and may come.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pantoum.apps.server.admission import OPEN

__all__ = ["describe"]

STRING, INTEGER, NUMBER, BOOLEAN = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
OBJECT: dict[str, Any] = {"type": "object"}


def listed(items: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": items}


def made(optional: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The schema of an object: fields that it always has, and others."""
    return {"type": "object", "properties": {**fields, **(optional or {})}, "required": list(fields)}


USAGE = made(prompt_tokens=INTEGER, total_tokens=INTEGER)
HEAD = {"id": STRING, "object": STRING, "created": INTEGER, "model": STRING, "usage": USAGE}
CHOICE = made({"text": STRING, "message": OBJECT, "state": STRING}, index=INTEGER, finish_reason=STRING)
MODEL = made(id=STRING, object=STRING, created=INTEGER, owned_by=STRING, fingerprint=STRING, slots=INTEGER)
SESSION = made({"model": STRING, "state": STRING}, id=STRING, object=STRING, tokens_seen=INTEGER)
DELETED = made(id=STRING, object=STRING, deleted=BOOLEAN)
UNITS = made(object=STRING, model=STRING, tokens=listed(STRING), units=listed(OBJECT))
ERROR = made(error=made(message=STRING, type=STRING, param={}, code={}))
ANSWERS: dict[str, dict[str, Any]] = {
    "GET /health": made(status=STRING),
    "GET /ready": made(status=STRING),
    "GET /version": made(version=STRING),
    "GET /v1/models": made(object=STRING, data=listed(MODEL)),
    "POST /v1/models": MODEL,
    "GET /v1/models/{name}": MODEL,
    "DELETE /v1/models/{name}": DELETED,
    "POST /tokenize": made({"token_strs": listed(STRING)}, count=INTEGER, tokens=listed(INTEGER)),
    "POST /detokenize": made(prompt=STRING, content=STRING),
    "GET /tokenizer_info": made(tokenizer_class=STRING, vocab_size=INTEGER),
    "POST /v1/completions": made(**HEAD, choices=listed(CHOICE)),
    "POST /v1/chat/completions": made(**HEAD, choices=listed(CHOICE)),
    "POST /v1/responses": made(
        id=STRING, object=STRING, status=STRING, model=STRING, output=listed(OBJECT), usage=OBJECT
    ),
    "POST /v1/embeddings": made(object=STRING, data=listed(OBJECT), model=STRING, usage=USAGE),
    "POST /v1/score": made(object=STRING, model=STRING, tokens=INTEGER, nats=NUMBER, items=listed(OBJECT)),
    "POST /v1/activations": UNITS,
    "POST /v1/units": UNITS,
    "GET /v1/sessions": made(object=STRING, data=listed(OBJECT), has_more=BOOLEAN),
    "POST /v1/sessions": SESSION,
    "GET /v1/sessions/{name}": SESSION,
    "DELETE /v1/sessions/{name}": DELETED,
    "POST /v1/sessions/{name}/feed": SESSION,
    "POST /v1/sessions/{name}/generate": made(**HEAD, choices=listed(CHOICE), session=OBJECT),
    "POST /v1/sessions/{name}/fork": SESSION,
    "POST /v1/sessions/{name}/rewind": SESSION,
    "GET /v1/sessions/{name}/state": SESSION,
}
"""What each route answers with 200."""
EVENTS = ("/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/sessions/{name}/generate")
"""Routes that stream, too."""
ALWAYS = {
    400: "a field or header cannot be as it is",
    403: "a foreign host or page",
    429: "a quota is used up",
}
KEYED = {401: "no key, or a wrong one"}
POSTED = {413: "the body is larger than 1 MB", 503: "the server is stopping, or its store does not answer"}
BELOW: tuple[tuple[str, dict[int, str]], ...] = (
    ("/v1/models", {403: "no key of an administrator", 404: "no such model", 409: "the name is taken"}),
    ("/v1/sessions", {404: "no such session", 409: "in use or changed meanwhile", 422: "a foreign state"}),
    ("/v1", {404: "no such model", 422: "a state that was altered or belongs to another model"}),
    ("/tokenize", {404: "no such model"}),
    ("/detokenize", {404: "no such model"}),
    ("/tokenizer_info", {404: "no such model"}),
)
"""Errors of the routes below a path."""


def errors_of(method: str, path: str, keyed: bool) -> dict[int, str]:
    """The errors that a route may answer with."""
    found = dict(ALWAYS)
    if keyed and path not in OPEN:
        found |= KEYED
    if method != "get" or path.startswith("/v1/sessions") or path == "/ready":
        found |= POSTED
    for place, errors in BELOW:
        if path.startswith(place):
            found |= {status: why for status, why in errors.items() if status not in found}
    return {**found, 500: "a bug in pantoum"}


def describe(app: FastAPI, root: str, keyed: bool) -> None:
    """Let the application describe itself; ``root``: the prefix of its paths; ``keyed``: it needs keys."""

    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = described(app, root, keyed)
        return app.openapi_schema

    app.openapi = schema  # type: ignore[method-assign]


def described(app: FastAPI, root: str, keyed: bool) -> dict[str, Any]:
    """FastAPI's description with the answers."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = found.setdefault("components", {}).setdefault("schemas", {})
    parts["Error"] = ERROR
    for name in ("HTTPValidationError", "ValidationError"):
        parts.pop(name, None)
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            plain = path.replace("{name:path}", "{name}")
            content: dict[str, Any] = {"text/plain": {"schema": STRING}}
            if f"{method.upper()} {plain}" in ANSWERS:
                content = {"application/json": {"schema": ANSWERS[f"{method.upper()} {plain}"]}}
            if plain in EVENTS:
                content["text/event-stream"] = {"schema": STRING}
            operation["responses"] = {
                "200": {"description": "done", "content": content},
                **{
                    str(status): {"description": why, "content": error}
                    for status, why in sorted(errors_of(method, plain, keyed).items())
                },
            }
            if keyed and plain not in OPEN:
                operation["security"] = [{"key": []}]
    if keyed:
        found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    if root:
        found["servers"] = [{"url": root}]
    return found
