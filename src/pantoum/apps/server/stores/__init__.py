"""Where sessions are kept when the server is gone: a SQLite file, or Redis where replicas share them.

A store keeps bytes by a session's name, and knows nothing of what they mean. Its calls block, so they run in
threads, never on the event loop. When it cannot do what it is asked (a full disk, a lost connection) it
raises ``StoreError`` and has changed nothing.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Store", "StoreError"]


class StoreError(Exception):
    """The store does not answer; the message says why."""


class Store(Protocol):
    """Sessions' bytes by name."""

    alone: bool
    """Whether no other server changes what is in it, so that what was read may be kept in memory."""
    threads: int
    """How many threads may call it at the same time."""

    def get(self, name: str, now: float) -> bytes | None:
        """A session's bytes, used now; ``None`` where there is none or it has expired."""
        ...

    def put(self, name: str, value: bytes, before: bytes | None, now: float) -> bool:
        """Keep them, where ``before`` is what is there (``None``: nothing); whether that was so."""
        ...

    def delete(self, name: str) -> bool:
        """Forget a session; whether there was one."""
        ...

    def names(self, prefix: str, after: str, count: int, now: float) -> list[str]:
        """The first ``count`` names beyond ``after`` that begin with ``prefix``, in order. Without a prefix:
        those that nobody owns."""
        ...

    def count(self) -> int | None:
        """How many there are; ``None``: to know it would take too long."""
        ...

    def expire(self, now: float) -> int:
        """Forget the sessions that nobody used; how many that were."""
        ...

    def close(self) -> None:
        """Nothing more is asked of it."""
        ...
