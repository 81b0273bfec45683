"""What every request passes before it reaches a route: who it is from, whether it may, how large it is; and
the line that it leaves in the log.

One ASGI middleware, so that a stream passes through it untouched. The line is JSON: the number of the request
(the client may have sent one, and always gets it back), who (the address, and the name of the key), method,
route, status, seconds, bytes. No prompt, no text and no key is in it, and no query string.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pantoum.apps.server.admission import MOST_BYTES, SAFE, Admission, path_of, too_large
from pantoum.apps.server.caller import CALLER, Caller, unpaid
from pantoum.apps.server.keys import Key
from pantoum.apps.server.metrics import Metrics
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
        self, app: ASGIApp, *, admission: Admission, metrics: Metrics, full: Callable[[], int | None]
    ) -> None:
        """``full``: where no text can be taken in, the seconds after which to ask again. A request for one is
        then answered before it is parsed, so that a crowd costs those who are served next to nothing."""
        self._app, self._admission, self._metrics, self._full = app, admission, metrics, full
        self._parsing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status, sent = 0, 0
        headers = dict(scope["headers"])
        key = self._admission.key(headers)
        caller = self._caller(scope, headers, key, begun)
        CALLER.set(caller)
        shown = (b"x-request-id", caller.request_id.encode())
        body = _Bounded(receive, self._turn)
        # Who waits for a word before its body sends none after an error.
        coming = scope["method"] not in SAFE and b"expect" not in headers

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *SAFETY, shown]}
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
                if coming and status >= 400 and not message.get("more_body", False):
                    await body.discard()
            await send(message)

        try:
            refused = self._admission.refusal(scope, headers, key)
            if refused is None and path_of(scope) in ENGINE and (wait := self._full()) is not None:
                refused = busy(wait)
            if refused is not None:
                await answer(refused)(scope, body, counted)
            elif scope["method"] == "POST":
                await self._while_present(scope, body, counted)
            else:
                await self._app(scope, receive, counted)
        except asyncio.CancelledError:
            # uvicorn cancels what still runs when the time after SIGTERM is used up, and would answer 500.
            if not status:
                await answer(stopping())(scope, receive, counted)
        finally:
            caller.ends.close()
            self._note(scope, caller, key, status, sent, time.perf_counter() - begun)

    def _caller(self, scope: Scope, headers: dict[bytes, bytes], key: Key | None, begun: float) -> Caller:
        given = headers.get(b"x-request-id", b"")
        known = given.decode() if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        first = partial(self._first_token, begun)
        if key is None:
            address = scope.get("client")
            return Caller(address[0] if address else "", "", ExitStack(), unpaid, False, known, first)
        spend = partial(self._spend, key)
        return Caller(key.owner, key.owner, ExitStack(), spend, key.admin, known, first)

    def _first_token(self, begun: float, model: str) -> None:
        self._metrics.first_token.labels(model).observe(time.perf_counter() - begun)

    def _spend(self, key: Key, tokens: int) -> None:
        self._admission.keyring.spend(key, "tokens", tokens)
        self._metrics.key_tokens.labels(key.label).inc(tokens)

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

    def _note(
        self, scope: Scope, caller: Caller, key: Key | None, status: int, sent: int, seconds: float
    ) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if key is not None:
            self._admission.keyring.spend(key, "requests", 1)
            self._metrics.key_requests.labels(key.label).inc()
        if access.isEnabledFor(logging.INFO):
            client = scope.get("client")
            told = {
                "request_id": caller.request_id,
                "client": client[0] if client else None,
                "key": None if key is None else key.label,
                "method": scope["method"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
                "bytes": sent,
            }
            access.info("", extra={"fields": told})


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
