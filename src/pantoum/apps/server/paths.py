"""Paths and methods as HTTP and proxies know them: the prefix of a proxy, ``HEAD``, the header ``Allow``."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["allowed", "prefixed", "with_heads"]

METHODS = ("DELETE", "GET", "POST")


def prefixed(app: ASGIApp, root: str) -> ASGIApp:
    """Paths begin with the prefix of the server, whether its proxy took that away or not."""

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        if root and scope["type"] == "http":
            path = scope["path"]
            if path == root:  # the page names its files relative to its folder
                await RedirectResponse(f"{root}/", 308)(scope, receive, send)
                return
            path = path if path.startswith(f"{root}/") else root + path
            scope = {**scope, "root_path": root, "path": path}
        await app(scope, receive, send)

    return through


def with_heads(app: ASGIApp) -> ASGIApp:
    """``HEAD`` wherever ``GET`` is: the same answer without its body."""

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        asked = {**scope, "method": "GET"}
        try:
            await app(asked, receive, without_body)
        finally:
            scope.update({name: asked[name] for name in ("route", "endpoint") if name in asked})

    return through


def allowed(app: FastAPI, scope: Scope) -> str:
    """The methods that a path has, as the header ``Allow`` names them."""
    known = [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.router.routes)
    ]
    return ", ".join([*known, "HEAD"] if "GET" in known else known)
