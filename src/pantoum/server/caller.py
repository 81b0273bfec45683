"""Who asks, and what ends with their request, for everything that works on it.

``server.guard`` sets it, and every task that a request begins inherits it.
"""

from __future__ import annotations

from contextlib import ExitStack
from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["CALLER", "Caller", "client", "owned"]


class Caller(NamedTuple):
    """One request, as those see it who share something among clients."""

    client: str
    """The key, or the address where the server has no keys: what is shared fairly is shared among these."""
    owner: str
    """The beginning of the hash of the key; empty where the server has no keys."""
    ends: ExitStack
    """What happens when the request ends, however it ends."""


CALLER: ContextVar[Caller] = ContextVar("caller")


def client() -> str:
    """The client of this request; empty outside of any."""
    caller = CALLER.get(None)
    return "" if caller is None else caller.client


def owned(name: str) -> str:
    """The name by which the store knows a session of this caller's key; another key finds nothing there."""
    caller = CALLER.get(None)
    return f"{caller.owner}.{name}" if caller is not None and caller.owner else name
