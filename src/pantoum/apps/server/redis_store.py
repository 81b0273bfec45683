"""Sessions in Redis, which several replicas share. Needs redis-py: ``pip install 'pantoum[redis]'``.

Nothing is kept in memory here: another replica may have gone on with a session. A change is written only
where what it began from is still there; Redis forgets what expires.

Each write has a number, which is kept with the session. A write whose answer was lost is sent once more: if
its number is there, it was done, and it is not done twice. The same change by somebody else has another one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from pantoum.apps.server.stores import StoreError
from pantoum.errors import SettingError

try:
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
except ImportError:
    raise SettingError(
        "sessions", "redis://", "needs redis-py", "install it: pip install 'pantoum[redis]'"
    ) from None

__all__ = ["RedisStore"]

PREFIX = "pantoum:session:"
WAIT = 1.0
"""Seconds that Redis may take to answer."""
RETRIES = 2
"""Times that a call is sent again whose answer did not come."""
NUMBER = 16
"""Bytes of the number of a write, in front of what it wrote."""
CHANGE = """
local found = redis.call('get', KEYS[1])
if found and string.sub(found, 1, 16) == string.sub(ARGV[1], 1, 16) then return 1 end
if (found and string.sub(found, 17)) ~= (ARGV[3] or false) then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])
return 1
"""
"""Sets a session where it is still what the change began from: in Redis itself, so that nothing comes
between."""


class RedisStore:
    """A store in Redis."""

    threads = 8

    def __init__(self, url: str, seconds: float) -> None:
        """``seconds``: idle time after which a session expires."""
        self._seconds = max(1, int(seconds))
        again = Retry(ExponentialBackoff(cap=WAIT, base=WAIT / 8), RETRIES)
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=WAIT,
                socket_connect_timeout=WAIT,
                retry=again,
                retry_on_error=[redis.ConnectionError, redis.TimeoutError],
            )
            self._client.ping()
            self._change = self._client.register_script(CHANGE)
        except (redis.RedisError, ValueError, OSError) as error:
            rule = f"cannot be reached ({error})"
            raise SettingError("sessions", _public(url), rule, "start Redis, or name a file") from None

    def get(self, name: str, now: float) -> bytes | None:
        """See ``Store``."""
        with _told():
            found = self._client.getex(PREFIX + name, ex=self._seconds)
        return found[NUMBER:] if isinstance(found, bytes) and len(found) > NUMBER else None

    def put(self, name: str, value: bytes, before: bytes | None, now: float) -> bool:
        """See ``Store``."""
        expected = [] if before is None else [before]
        numbered = secrets.token_bytes(NUMBER) + value
        with _told():
            done = self._change(keys=[PREFIX + name], args=[numbered, self._seconds, *expected])
        return bool(done)

    def delete(self, name: str) -> bool:
        """See ``Store``."""
        with _told():
            return bool(self._client.delete(PREFIX + name))

    def names(self, prefix: str, after: str, count: int, now: float) -> list[str]:
        """See ``Store``. Redis has no order: all names are seen."""
        with _told():
            found = [
                key.decode("utf-8", "replace")[len(PREFIX) :]
                for key in self._client.scan_iter(match=f"{PREFIX}{prefix}*", count=1000)
            ]
        own = (name for name in found if name > after and (prefix or "." not in name))
        return sorted(own)[:count]

    def count(self) -> int | None:
        """See ``Store``."""
        return None

    def expire(self, now: float) -> int:
        """Redis does it."""
        return 0

    def close(self) -> None:
        """See ``Store``."""
        self._client.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StoreError(f"Redis does not answer ({type(error).__name__})") from error


def _public(url: str) -> str:
    """The address without its password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
