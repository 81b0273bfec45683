"""Sessions in Redis, which several replicas share. Needs redis-py: ``pip install 'pantoum[redis]'``.

Nothing is kept in memory here: another replica may have gone on with a session. A change is written only
where what it began from is still there; Redis forgets what expires.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pantoum.errors import SettingError
from pantoum.server.stores import StoreError

try:
    import redis
except ImportError:
    raise SettingError(
        "sessions", "redis://", "needs redis-py", "install it: pip install 'pantoum[redis]'"
    ) from None

__all__ = ["RedisStore"]

PREFIX = "pantoum:session:"
WAIT = 1.0
"""Seconds that Redis may take to answer."""
CHANGE = """
if redis.call('get', KEYS[1]) ~= (ARGV[3] or false) then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])
return 1
"""
"""Sets a session where it is still what the change began from: in Redis itself, so that nothing comes
between."""


class RedisStore:
    """A store in Redis."""

    alone = False
    threads = 8

    def __init__(self, url: str, seconds: float) -> None:
        """``seconds``: idle time after which a session expires."""
        self._seconds = max(1, int(seconds))
        try:
            self._client = redis.Redis.from_url(url, socket_timeout=WAIT, socket_connect_timeout=WAIT)
            self._client.ping()
            self._change = self._client.register_script(CHANGE)
        except (redis.RedisError, ValueError, OSError) as error:
            rule = f"cannot be reached ({error})"
            raise SettingError("sessions", _public(url), rule, "start Redis, or name a file") from None

    def get(self, name: str, now: float) -> bytes | None:
        """See ``Store``."""
        with _told():
            found = self._client.getex(PREFIX + name, ex=self._seconds)
        return found if isinstance(found, bytes) else None

    def put(self, name: str, value: bytes, before: bytes | None, now: float) -> bool:
        """See ``Store``."""
        with _told():
            expected = [] if before is None else [before]
            done = self._change(keys=[PREFIX + name], args=[value, self._seconds, *expected])
        return bool(done)

    def delete(self, name: str) -> bool:
        """See ``Store``."""
        with _told():
            return bool(self._client.delete(PREFIX + name))

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
