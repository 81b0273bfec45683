"""What every request passes before it reaches a route: key, size, time; and the line that it leaves in the
log.

One ASGI middleware, so that a stream passes through it untouched. The line is JSON: when, who (the address),
method, route, status, seconds, bytes. No prompt, no text and no key is in it, and no query string.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pantoum.errors import SettingError
from pantoum.server.caller import CALLER, Caller
from pantoum.server.errors import RequestError, answer, busy, stopping
from pantoum.server.metrics import Metrics

__all__ = ["Guard", "read_keys"]

access = logging.getLogger("pantoum.access")
MOST_BYTES = 1 << 20
"""The largest request body, in bytes."""
LARGE = 1 << 15
"""Bytes from which bodies are parsed one at a time."""
OPEN = ("/health", "/", "/page", "/favicon.ico")
"""Paths that need no key: whether the server lives, and the page, which asks for one."""
WRITING = ("/v1/completions", "/v1/chat/completions")


def read_keys(path: str) -> tuple[bytes, ...]:
    """The keys in a file, one per line; lines that begin with ``#`` are comments."""
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        rule = f"cannot be read ({error.strerror})"
        raise SettingError("api_key_file", path, rule, "name a file with a key per line") from None
    keys = tuple(key for line in lines if (key := line.strip()) and not key.startswith(b"#"))
    if not keys:
        raise SettingError("api_key_file", path, "holds no key", "write one key per line into it")
    return keys


class Guard:
    """The middleware."""

    def __init__(
        self, app: ASGIApp, *, keys: Sequence[bytes], metrics: Metrics, full: Callable[[], int | None]
    ) -> None:
        """``full``: where no text can be taken in, the seconds after which to ask again. A request for one is
        then answered before it is read, so that a crowd costs those who are served next to nothing."""
        self._app, self._keys, self._metrics, self._full = app, keys, metrics, full
        self._parsing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status, sent = 0, 0
        ends = ExitStack()
        client = self._client(scope)
        owner = hashlib.sha256(client.encode()).hexdigest()[:16] if self._keys else ""
        CALLER.set(Caller(client, owner, ends))

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            refused = self._refused(scope)
            if refused is not None:
                await answer(refused)(scope, receive, counted)
            elif scope["method"] == "POST":
                await self._while_present(scope, _Bounded(receive, self._turn), counted)
            else:
                await self._app(scope, receive, counted)
        except asyncio.CancelledError:
            # uvicorn cancels what still runs when the time after SIGTERM is used up, and would answer 500.
            if not status:
                await answer(stopping())(scope, receive, counted)
        finally:
            ends.close()
            self._note(scope, status, sent, time.perf_counter() - begun)

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

    def _refused(self, scope: Scope) -> RequestError | None:
        headers = dict(scope["headers"])
        size = headers.get(b"content-length", b"0")
        if not size.isdigit():
            return RequestError(400, "Content-Length must be a number")
        if int(size) > MOST_BYTES:
            return too_large()
        path = scope["path"]
        free = path in OPEN or path.startswith("/page/") or scope["method"] == "OPTIONS"
        if self._keys and not free and not self._knows(headers.get(b"authorization", b"")):
            return RequestError(
                401,
                "this server needs a key: send the header Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        wait = self._full() if path in WRITING else None
        return None if wait is None else busy(wait)

    def _client(self, scope: Scope) -> str:
        """Whose request it is: that of a key, or of an address."""
        if self._keys:
            return str(dict(scope["headers"]).get(b"authorization", b"").partition(b" ")[2].strip())
        address = scope.get("client")
        return address[0] if address else ""

    def _knows(self, authorization: bytes) -> bool:
        kind, _, given = authorization.partition(b" ")
        # All keys are compared, so that the time tells nothing.
        known = [hmac.compare_digest(given.strip(), key) for key in self._keys]
        return kind.lower() == b"bearer" and any(known)

    def _note(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if access.isEnabledFor(logging.INFO):
            client = scope.get("client")
            line = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "client": client[0] if client else None,
                "method": scope["method"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
                "bytes": sent,
            }
            access.info(json.dumps(line))


class _Bounded:
    """A request's body, ``MOST_BYTES`` at most. ``turn`` is awaited before a large one is given out."""

    def __init__(self, receive: Receive, turn: Callable[[], Awaitable[None]]) -> None:
        self._receive, self._turn, self._size = receive, turn, 0
        self._read = asyncio.Event()

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > MOST_BYTES:
                raise HTTPException(413, too_large().message)
            if not message.get("more_body", False):
                if self._size > LARGE:
                    await self._turn()
                self._read.set()
        return message

    async def gone(self) -> None:
        """Wait until the client has gone away, when all of the body was read."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def too_large() -> RequestError:
    """The answer to a body beyond the limit."""
    return RequestError(413, f"the body is larger than {MOST_BYTES:,} bytes: send a smaller one")
