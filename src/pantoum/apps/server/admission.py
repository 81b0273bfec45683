"""Which requests are let in: by the host that they name, the page that they come from, their key, its quotas.

Without keys whoever reaches the address may use the server, and a page in a browser of this machine reaches
it. So a request must then name a host that is ours: a name of somebody else that leads to our address (DNS
rebinding) would make a foreign page one of ours. And a foreign page may read nothing (CORS), but could send
what needs no reading: what changes something must come from our page, or from an origin that was allowed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from starlette.types import Scope

from pantoum.apps.server.keys import Key, Keyring
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.settings import ServeSettings

__all__ = ["MOST_BYTES", "SAFE", "Admission", "path_of", "too_large"]

MOST_BYTES = 1 << 20
"""The largest request body, in bytes."""
OPEN = ("/health", "/ready", "/", "/page", "/favicon.ico", "/docs", "/openapi.json")
"""Paths that need no key: whether the server lives, the page and the documentation, which ask for one."""
BELOW = ("/page/", "/docs/")
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""
PATIENCE = 60
"""Seconds up to which clients are to try again by themselves."""


def path_of(scope: Scope) -> str:
    """The path of a request below the prefix of the server, whether a proxy took that away or not."""
    root, path = scope.get("root_path", ""), str(scope["path"])
    return path[len(root) :] if root and path.startswith(root + "/") else path


def too_large() -> RequestError:
    """The answer to a body beyond the limit."""
    return RequestError(413, f"the body is larger than {MOST_BYTES:,} bytes: send a smaller one")


class Admission:
    """The rules of one server."""

    def __init__(self, keyring: Keyring, settings: ServeSettings) -> None:
        self.keyring = keyring
        self._origins = settings.cors_origin
        self._hosts: Collection[str] | None = None
        """Hosts that a request may name; ``None``: any."""
        if not keyring.needed and settings.uds is None:
            own = ("localhost", "127.0.0.1", "::1", settings.host.strip("[]"))
            self._hosts = {host.lower() for host in (*own, *settings.allow_host)}

    def key(self, headers: Mapping[bytes, bytes]) -> Key | None:
        """The key that a request carries."""
        return self.keyring.find(headers.get(b"authorization", b"")) if self.keyring.needed else None

    def refusal(self, scope: Scope, headers: Mapping[bytes, bytes], key: Key | None) -> RequestError | None:
        """Why a request is not let in; ``None``: it is."""
        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts > 1 or (not hosts and scope["http_version"] == "1.1"):
            return RequestError(400, f"the request has {hosts or 'no'} headers Host: it must have one")
        if self._hosts is not None and (refused := self._misled(scope, headers)) is not None:
            return refused
        size = headers.get(b"content-length", b"0")
        if not size.isdigit():
            return RequestError(400, "Content-Length must be a number")
        if len(size) > 18 or int(size) > MOST_BYTES:
            return too_large()
        if scope["method"] == "OPTIONS":
            return None
        if self.keyring.needed and key is None:
            path = path_of(scope)
            if path in OPEN or path.startswith(BELOW):
                return None
            return RequestError(
                401,
                "this server needs a key: send the header Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None if key is None else self._exhausted(key)

    def _misled(self, scope: Scope, headers: Mapping[bytes, bytes]) -> RequestError | None:
        named = headers.get(b"host", b"").decode("latin-1").lower()
        host = named.rpartition("]")[0].strip("[") if named.startswith("[") else named.partition(":")[0]
        assert self._hosts is not None
        if named and host not in self._hosts and not host.endswith(".localhost"):
            rule = f"the header Host names {host!r}, which this server does not answer for"
            return RequestError(403, f"{rule}; start it with --allow-host NAME, or with keys", code="host")
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        ours = origin.partition("://")[2] == named or origin in self._origins or "*" in self._origins
        if origin and not ours and scope["method"] not in SAFE:
            rule = f"pages of {origin!r} may not use this server"
            return RequestError(
                403, f"{rule}; start it with --cors-origin ORIGIN, or with keys", code="origin"
            )
        return None

    def _exhausted(self, key: Key) -> RequestError | None:
        found = self.keyring.exhausted(key)
        if found is None:
            return None
        name, seconds = found
        wait = max(1, math.ceil(seconds))
        headers = {"Retry-After": str(wait)}
        if wait > PATIENCE:
            headers["X-Should-Retry"] = "false"
        return RequestError(
            429,
            f"the quota {name} of this key is used up; try again in {wait} s",
            code="rate_limit_exceeded",
            headers=headers,
        )
