"""Which requests are let in: by the host that they name, the page that they come from, their key.

Without keys whoever reaches the address may use the server, and a page in a browser of this machine reaches
it. So a request must then name a host that is ours: a name of somebody else that leads to our address (DNS
rebinding) would make a foreign page one of ours. And a foreign page may read nothing (CORS), but could send
what needs no reading: what changes something must come from our page, or from an origin that was allowed.

The file of keys has a key per line, and behind it, after a space, ``name=NAME`` where one is wanted:

    # the laptop
    sk-5f2c...  name=anna

Keys of one name are one client: its sessions and its share of the slots stay when the key is replaced.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from starlette.types import Scope

from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError

__all__ = ["MOST_BYTES", "SAFE", "Admission", "Key", "path_of", "too_large"]

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


def too_large() -> RequestError:
    """The answer to a body beyond the limit."""
    return RequestError(413, f"the body is larger than {MOST_BYTES:,} bytes: send a smaller one")


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
            return RequestError(400, f"the request has {hosts or 'no'} headers Host: it must have one")
        if self._hosts is not None and (refused := self._misled(scope, headers)) is not None:
            return refused
        size = headers.get(b"content-length", b"0")
        if not size.isdigit():
            return RequestError(400, "Content-Length must be a number")
        if len(size) > 18 or int(size) > MOST_BYTES:
            return too_large()
        path = path_of(scope)
        open_to_all = scope["method"] == "OPTIONS" or path in OPEN or path.startswith(BELOW)
        if not self.keyed or key is not None or open_to_all:
            return None
        return RequestError(
            401,
            "this server needs a key: send the header Authorization: Bearer KEY",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )

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
            rule = f"has words in line {number} that say nothing of a key"
            raise SettingError(argument, place, rule, "write KEY, or KEY name=NAME")
        found.append(Key(words[0].encode(), name[1] if name else ""))
    if not found:
        raise SettingError(argument, place, "holds no key", "write one key per line into it")
    return found
