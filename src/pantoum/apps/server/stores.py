"""Where sessions are kept when the server is gone: a SQLite file, or Redis where replicas share them.

A store keeps bytes by a session's name, and knows nothing of what they mean. Its calls block, so they run in
threads, never on the event loop. When it cannot do what it is asked (a full disk, a lost connection) it
raises one of its ``errors``, and has changed nothing.

What was answered has been committed: a killed server loses no session. The SQLite file is in WAL mode and
belongs to one server, which locks it; ``synchronous=NORMAL`` means that a commit survives the process in any
case, and a loss of power up to the last checkpoint of the log.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from pantoum.errors import SettingError

__all__ = ["SECONDS", "RedisStore", "SqliteStore", "Store"]

SECONDS = 7 * 86_400.0
"""A session that nobody used for so long is deleted."""
APPLICATION = 0x70616E74
"""``pant``: so that another program's database is never taken for ours."""
SCHEMA = """
create table if not exists sessions (name text primary key, used real not null, value blob not null)
    without rowid
"""


class SqliteStore:
    """A store in a file."""

    threads = 1
    """How many threads may call it at the same time."""
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    """What its calls raise where it does not answer."""

    def __init__(self, path: str, seconds: float) -> None:
        """``seconds``: idle time after which a session expires."""
        self._seconds = seconds
        try:
            Path(path).absolute().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._base = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
            try:
                _take(self._base)
                Path(path).chmod(0o600)
            except BaseException:
                self._base.close()
                raise
        except (sqlite3.Error, OSError) as error:
            rule = f"cannot be used as the store of sessions ({error})"
            advice = "stop the server that uses it, or name another file with --sessions FILE"
            raise SettingError("sessions", path, rule, advice) from None

    def get(self, name: str, now: float) -> bytes | None:
        """A session's bytes, used now; ``None`` where there is none or it has expired."""
        row = self._base.execute("select used, value from sessions where name = ?", (name,)).fetchone()
        if row is None or row[0] < now - self._seconds:
            return None
        if row[0] < now - self._seconds / 20:  # a read is noted now and then, not each time
            self._base.execute("update sessions set used = ? where name = ?", (now, name))
        return bytes(row[1])

    def put(self, name: str, value: bytes, before: bytes | None, now: float) -> bool:
        """Keep them, where ``before`` is what is there (``None``: nothing); whether that was so. The file has
        one server, which knows what is in it."""
        self._base.execute("insert or replace into sessions values (?, ?, ?)", (name, now, value))
        return True

    def delete(self, name: str) -> bool:
        """Forget a session; whether there was one."""
        return self._base.execute("delete from sessions where name = ?", (name,)).rowcount > 0

    def names(self, prefix: str, after: str, count: int, now: float) -> list[str]:
        """The first ``count`` names beyond ``after`` that begin with ``prefix``, in order. Without a prefix:
        those that nobody owns."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
        kept = "select name from sessions where name > ? and name < ? and used >= ?"
        own = "" if prefix else " and instr(name, '.') = 0"
        found = self._base.execute(
            f"{kept}{own} order by name limit ?", (after, end, now - self._seconds, count)
        )
        return [name for (name,) in found]

    def count(self) -> int | None:
        """How many there are; ``None``: to know it would take too long."""
        return int(self._base.execute("select count(*) from sessions").fetchone()[0])

    def expire(self, now: float) -> int:
        """Forget the sessions that nobody used; how many that were."""
        return self._base.execute("delete from sessions where used < ?", (now - self._seconds,)).rowcount

    def problem(self, error: Exception) -> str:
        """What is said of one of its errors."""
        return f"the file of sessions reports an error ({error})"

    def close(self) -> None:
        """Nothing more is asked of it."""
        self._base.close()


def _take(base: sqlite3.Connection) -> None:
    """Make the file ours, and ours alone."""
    base.execute("pragma locking_mode = exclusive")
    base.execute("pragma journal_mode = wal")
    base.execute("pragma synchronous = normal")
    (known,) = base.execute("pragma application_id").fetchone()
    (tables,) = base.execute("select count(*) from sqlite_master").fetchone()
    if known != APPLICATION and tables:
        raise sqlite3.DatabaseError("it is another program's database")
    base.execute(f"pragma application_id = {APPLICATION}")
    base.execute(SCHEMA)
    # An exclusive lock is taken by the first write: take it now, not at the first session.
    base.execute("begin immediate")
    base.execute("commit")


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
    """A store in Redis, which several replicas share. Needs redis-py: ``pip install 'pantoum[redis]'``.

    Another replica may have gone on with a session, so a change is written only where what it began from is
    still there. Each write has a number, which is kept with the session: a write whose answer was lost is
    sent once more, and done once. The same change by somebody else has another number.
    """

    threads = 8
    errors: tuple[type[Exception], ...]

    def __init__(self, url: str, seconds: float) -> None:
        """``seconds``: idle time after which a session expires."""
        try:
            import redis
            from redis.backoff import ExponentialBackoff
            from redis.retry import Retry
        except ImportError:
            advice = "install it: pip install 'pantoum[redis]'"
            raise SettingError("sessions", "redis://", "needs redis-py", advice) from None
        self.errors = (redis.RedisError, OSError)
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
        """See ``SqliteStore``."""
        found = self._client.getex(PREFIX + name, ex=self._seconds)
        return found[NUMBER:] if isinstance(found, bytes) and len(found) > NUMBER else None

    def put(self, name: str, value: bytes, before: bytes | None, now: float) -> bool:
        """See ``SqliteStore``."""
        expected = [] if before is None else [before]
        numbered = secrets.token_bytes(NUMBER) + value
        done = self._change(keys=[PREFIX + name], args=[numbered, self._seconds, *expected])
        return bool(done)

    def delete(self, name: str) -> bool:
        """See ``SqliteStore``."""
        return bool(self._client.delete(PREFIX + name))

    def names(self, prefix: str, after: str, count: int, now: float) -> list[str]:
        """See ``SqliteStore``. Redis has no order: all names are seen."""
        found = [
            key.decode("utf-8", "replace")[len(PREFIX) :]
            for key in self._client.scan_iter(match=f"{PREFIX}{prefix}*", count=1000)
        ]
        own = (name for name in found if name > after and (prefix or "." not in name))
        return sorted(own)[:count]

    def count(self) -> int | None:
        """See ``SqliteStore``."""
        return None

    def expire(self, now: float) -> int:
        """Redis does it."""
        return 0

    def problem(self, error: Exception) -> str:
        """See ``SqliteStore``."""
        return f"Redis does not answer ({type(error).__name__})"

    def close(self) -> None:
        """See ``SqliteStore``."""
        self._client.close()


def _public(url: str) -> str:
    """The address without its password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


Store = SqliteStore | RedisStore
"""Where sessions are kept."""
