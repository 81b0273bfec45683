"""Paths and methods as HTTP and proxies know them: the prefix of a proxy, ``HEAD``, the header ``Allow``."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Heads", "Prefixed", "allowed"]

METHODS = ("DELETE", "GET", "POST")


class Prefixed:
    """Paths begin with the prefix of the server, whether its proxy took that away or not."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app, self._root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through."""
        root = self._root
        if root and scope["type"] == "http":
            path = scope["path"]
            if path == root:  # the page names its files relative to its folder
                await RedirectResponse(f"{root}/", 308)(scope, receive, send)
                return
            path = path if path.startswith(f"{root}/") else root + path
            scope = {**scope, "root_path": root, "path": path}
        await self._app(scope, receive, send)


class Heads:
    """``HEAD`` wherever ``GET`` is: the same answer without its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, without_body)
        finally:
            scope.update({name: asked[name] for name in ("route", "endpoint") if name in asked})


def allowed(app: FastAPI, scope: Scope) -> str:
    """The methods that a path has, as the header ``Allow`` names them."""
    known = [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.router.routes)
    ]
    return ", ".join([*known, "HEAD"] if "GET" in known else known)
