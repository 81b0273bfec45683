"""What every request passes before it reaches a route: the host that it names, the page that it comes from,
its key, its size; and the line that it leaves in the log.

Without keys whoever reaches the address may use the server, and a page in a browser of this machine reaches
it. So a request must then name a host that is ours: a name of somebody else that leads to our address (DNS
rebinding) would make a foreign page one of ours. And a foreign page may read nothing (CORS), but could send
what needs no reading: what changes something must come from our page, or from an origin that was allowed.

The file of keys has a key per line, and behind it, after a space, ``name=NAME`` where one is wanted:

    # the laptop
    sk-5f2c...  name=anna

Keys of one name are one client: its sessions and its share of the slots stay when the key is replaced.

One ASGI middleware, so that a stream passes through it untouched. The line is JSON: the number of the request
(the client may have sent one, and always gets it back), who (the address, and the name of the key), method,
route, status, seconds, bytes. No prompt, no text and no key is in it, and no query string. ``HEAD`` is
answered as ``GET``; uvicorn leaves the body out.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pantoum.apps.server.caller import CALLER, Caller
from pantoum.apps.server.operation import Metrics
from pantoum.apps.server.refusals import RequestError, answer, busy, stopping
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError

__all__ = ["Admission", "Guard", "Key"]

MOST_BYTES = 1 << 20
"""The largest request body, in bytes."""
OPEN = ("/health", "/ready", "/", "/favicon.ico", "/docs", "/openapi.json")
BELOW = ("/page/", "/docs/")
"""Paths that need no key: whether the server lives, the page and the documentation, which ask for one."""
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""
NAME = re.compile(r"name=([\w.@-]{1,64})", re.ASCII)


class Key(NamedTuple):
    """A key, and whose it is."""

    secret: bytes
    name: str = ""

    @property
    def owner(self) -> str:
        """Whose the sessions are: the name, or where there is none the key itself, as part of a hash."""
        known = b"name " + self.name.encode() if self.name else self.secret
        return hashlib.sha256(known).hexdigest()[:16]

    @property
    def label(self) -> str:
        """How the log calls it."""
        return self.name or f"key-{self.owner[:8]}"


def path_of(scope: Scope) -> str:
    """The path of a request below the prefix of the server."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


class Admission:
    """The rules of one server. ``read`` takes the keys as they are now, at any time."""

    def __init__(self, settings: ServeSettings) -> None:
        self._path, self._given = settings.api_key_file, settings.api_keys
        self.keyed = self._path is not None or self._given is not None
        """Whether a request needs a key."""
        self._keys: tuple[Key, ...] = ()
        self.read()
        self._origins = settings.cors_origin
        self._hosts: Collection[str] | None = None
        """Hosts that a request may name; ``None``: any."""
        if not self.keyed:
            own = ("localhost", "127.0.0.1", "::1", settings.host.strip("[]"))
            self._hosts = {host.lower() for host in (*own, *settings.allow_host)}

    def read(self) -> None:
        """Take the keys, from the file and from the environment."""
        found: list[Key] = []
        if self._path is not None:
            found += keys_of(_lines(self._path), "api_key_file", self._path)
        if self._given is not None:
            found += keys_of(re.split(r"[\n,]", self._given), "api_keys", "PANTOUM_SERVE_API_KEYS")
        self._keys = tuple(found)

    def key(self, headers: Mapping[bytes, bytes]) -> Key | None:
        """The key that a request carries. All are compared, so that the time tells nothing."""
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        found = [key for key in self._keys if hmac.compare_digest(given.strip(), key.secret)]
        return found[0] if found and kind.lower() == b"bearer" else None

    def refusal(self, scope: Scope, headers: Mapping[bytes, bytes], key: Key | None) -> RequestError | None:
        """Why a request is not let in; ``None``: it is."""
        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts > 1 or (not hosts and scope["http_version"] == "1.1"):
            return RequestError(400, f"the request has {hosts or 'no'} Host headers: it must have one")
        if self._hosts is not None and (refused := self._misled(scope, headers)) is not None:
            return refused
        path = path_of(scope)
        open_to_all = scope["method"] == "OPTIONS" or path in OPEN or path.startswith(BELOW)
        if not self.keyed or key is not None or open_to_all:
            return None
        return RequestError(
            401,
            "this server needs a key: send the header `Authorization: Bearer KEY`",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _misled(self, scope: Scope, headers: Mapping[bytes, bytes]) -> RequestError | None:
        named = headers.get(b"host", b"").decode("latin-1").lower()
        host = named.rpartition("]")[0].strip("[") if named.startswith("[") else named.partition(":")[0]
        assert self._hosts is not None
        if named and host not in self._hosts and not host.endswith(".localhost"):
            rule = f"the Host header names {host!r}, which is not a name of this server"
            return RequestError(403, f"{rule}; start it with --allow-host NAME, or with keys", code="host")
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        ours = origin.partition("://")[2] == named or origin in self._origins or "*" in self._origins
        if origin and not ours and scope["method"] not in SAFE:
            rule = f"pages of {origin!r} may not use this server"
            return RequestError(
                403, f"{rule}; start it with --cors-origin ORIGIN, or with keys", code="origin"
            )
        return None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        rule = f"cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'})"
        raise SettingError("api_key_file", path, rule, "name a file with a key per line") from None


def keys_of(lines: Sequence[str], argument: str, place: str) -> list[Key]:
    """The keys in some lines. What is wrong is told without the line, which holds a secret."""
    found: list[Key] = []
    for number, line in enumerate(lines, 1):
        words = line.partition(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        name = NAME.fullmatch(words[1]) if len(words) == 2 else None
        if len(words) > 1 and name is None:
            rule = f"has more than a key and a name in line {number}"
            raise SettingError(argument, place, rule, "write KEY, or KEY name=NAME")
        found.append(Key(words[0].encode(), name[1] if name else ""))
    if not found:
        raise SettingError(argument, place, "has no key", "write one key per line into it")
    return found


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
        status, sent, size = 0, 0, 0
        headers, asked = dict(scope["headers"]), scope["method"]
        key, caller = self._called(scope, headers)
        CALLER.set(caller)
        arrived = asyncio.Event()

        async def taken() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body", False):  # the end, or the client has gone
                arrived.set()
            return message

        async def bounded() -> Message:
            message = await taken()
            if size > MOST_BYTES:
                raise HTTPException(413, f"the body is larger than {MOST_BYTES:,} bytes: send a smaller one")
            if size > LARGE and arrived.is_set():
                await self._turn()
            return message

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                shown = (b"x-request-id", caller.request_id.encode())
                message = {**message, "headers": [*message.get("headers", ()), *SAFETY, shown]}
            elif status >= 400 and asked == "POST" and b"expect" not in headers:
                # A connection that ends while a part of its request is unread is reset: its client would not
                # see the error. Who waits for a word before its body sends none.
                while not arrived.is_set() and size <= DISCARDED:
                    await taken()
            sent += len(message.get("body", b""))
            await send(message)

        async def gone() -> None:
            """Wait until the client has gone away, when all of the body was read."""
            await arrived.wait()
            while (await receive())["type"] != "http.disconnect":
                pass

        try:
            refused = self._admission.refusal(scope, headers, key)
            if refused is None and path_of(scope) in ENGINE and self._full():
                refused = busy()
            if refused is not None:
                await answer(refused)(scope, bounded, counted)
            elif asked == "POST":
                await _while_waiting(self._app(scope, bounded, counted), gone())
            else:
                await self._app({**scope, "method": "GET"} if asked == "HEAD" else scope, bounded, counted)
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
        key, address = self._admission.key(headers), scope.get("client")
        owner = "" if key is None else key.owner
        name = owner or (address[0] if address else "")
        return key, Caller(name, owner, number, first_tokens=self._metrics.first_token)

    async def _turn(self) -> None:
        """Wait for the turn of a large body: its JSON is parsed and checked in one go, some tens of
        milliseconds. The next one comes after the event loop had as long for everybody else."""
        await self._parsing.acquire()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        loop.call_soon(lambda: loop.call_later(loop.time() - begun, self._parsing.release))


async def _while_waiting(work: Awaitable[None], gone: Coroutine[None, None, None]) -> None:
    """Run a request until it is answered or its client goes away, which cancels it."""
    running, watching = asyncio.ensure_future(work), asyncio.ensure_future(gone)
    try:
        await asyncio.wait((running, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        left = not running.done() and running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            if not left:
                raise
