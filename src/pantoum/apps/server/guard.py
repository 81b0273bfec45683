"""What every request passes before it reaches a route: who it is from, whether it may, how large it is; and
the line that it leaves in the log.

One ASGI middleware, so that a stream passes through it untouched. The line is JSON: the number of the request
(the client may have sent one, and always gets it back), who (the address, and the name of the key), method,
route, status, seconds, bytes. No prompt, no text and no key is in it, and no query string. ``HEAD`` is
answered as ``GET``; uvicorn leaves the body out.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pantoum.apps.server.admission import MOST_BYTES, SAFE, Admission, Key, path_of, too_large
from pantoum.apps.server.caller import CALLER, Caller
from pantoum.apps.server.operation import Metrics
from pantoum.apps.server.refusals import answer, busy, stopping

__all__ = ["Guard"]

access = logging.getLogger("pantoum.access")
LARGE = 1 << 15
"""Bytes from which bodies are parsed one at a time."""
DISCARDED = 16 * MOST_BYTES
"""Bytes of a body that are taken where nobody wants it."""
ENGINE = (
    *("/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/suggest"),
    *("/v1/embeddings", "/v1/score", "/v1/activations", "/v1/units", "/tokenize", "/detokenize"),
)
"""Routes that need a slot."""
SAFETY = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
]
"""What browsers are to do: no answer is taken for a script or a page that it is not, and no page of others
shows the desk in a frame of its own, where a person would click on it unknowingly."""
REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
"""Numbers of requests that are taken over from clients."""


class Guard:
    """The middleware."""

    def __init__(
        self, app: ASGIApp, *, admission: Admission, metrics: Metrics, full: Callable[[], bool]
    ) -> None:
        """``full``: whether no text can be taken in. A request for one is then answered before it is parsed,
        so that a crowd costs those who are served next to nothing."""
        self._app, self._admission, self._metrics, self._full = app, admission, metrics, full
        self._parsing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, sent = 0, 0
        headers, asked = dict(scope["headers"]), scope["method"]
        key, caller = self._called(scope, headers)
        CALLER.set(caller)
        body = _Bounded(receive, self._turn)
        # Who waits for a word before its body sends none after an error.
        coming = asked not in SAFE and b"expect" not in headers
        if asked == "HEAD":
            scope = {**scope, "method": "GET"}

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                shown = (b"x-request-id", caller.request_id.encode())
                message = {**message, "headers": [*message.get("headers", ()), *SAFETY, shown]}
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
                if coming and status >= 400 and not message.get("more_body", False):
                    await body.discard()
            await send(message)

        try:
            refused = self._admission.refusal(scope, headers, key)
            if refused is None and path_of(scope) in ENGINE and self._full():
                refused = busy()
            if refused is not None:
                await answer(refused)(scope, body, counted)
            elif asked == "POST":
                await self._while_present(scope, body, counted)
            else:
                await self._app(scope, receive, counted)
        except asyncio.CancelledError:
            # uvicorn cancels what still runs when the time after SIGTERM is used up, and would answer 500.
            if not status:
                await answer(stopping())(scope, receive, counted)
        finally:
            caller.ends.close()
            seconds = time.perf_counter() - caller.begun
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            address = scope.get("client")
            said = {
                "request_id": caller.request_id,
                "client": address[0] if address else None,
                "key": None if key is None else key.label,
                "method": asked,
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
                "bytes": sent,
            }
            access.info("", extra={"fields": said})

    def _called(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[Key | None, Caller]:
        """The key that a request carries, and whose request it is."""
        given = headers.get(b"x-request-id", b"")
        number = given.decode() if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        key = self._admission.key(headers)
        if key is not None:
            return key, Caller(key.owner, key.owner, number, first_tokens=self._metrics.first_token)
        address = scope.get("client")
        name = address[0] if address else ""
        return None, Caller(name, "", number, first_tokens=self._metrics.first_token)

    async def _while_present(self, scope: Scope, receive: _Bounded, send: Send) -> None:
        """Run a request until it is answered or its client goes away, which cancels it."""
        running = asyncio.ensure_future(self._app(scope, receive, send))
        watching = asyncio.ensure_future(receive.gone())
        try:
            await asyncio.wait((running, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            gone = not running.done()
            if gone:
                running.cancel()
            try:
                await running
            except asyncio.CancelledError:
                if not gone:
                    raise

    async def _turn(self) -> None:
        """Wait for the turn of a large body: its JSON is parsed and checked in one go, some tens of
        milliseconds. The next one comes after the event loop had as long for everybody else."""
        await self._parsing.acquire()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        loop.call_soon(lambda: loop.call_later(loop.time() - begun, self._parsing.release))


class _Bounded:
    """A request's body, ``MOST_BYTES`` at most. ``turn`` is awaited before a large one is given out."""

    def __init__(self, receive: Receive, turn: Callable[[], Awaitable[None]]) -> None:
        self._receive, self._turn, self._size = receive, turn, 0
        self._read = asyncio.Event()

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if whole and LARGE < self._size <= MOST_BYTES:
                await self._turn()
            if whole:
                self._read.set()
            if self._size > MOST_BYTES:
                raise HTTPException(413, too_large().message)
        return message

    async def discard(self) -> None:
        """Take what is left of it and forget it, before an error ends. A connection that is closed while a
        part of its request is unread would be reset, and its client would not see the answer."""
        while not self._read.is_set() and self._size <= DISCARDED:
            message = await self._receive()
            self._size += len(message.get("body", b""))
            if not message.get("more_body", False):  # the end, or the client has gone
                self._read.set()

    async def gone(self) -> None:
        """Wait until the client has gone away, when all of the body was read."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
