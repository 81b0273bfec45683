"""Who asks, and what ends with their request, for everything that works on it.

``guard`` sets it, and every task that a request begins inherits it.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field

from prometheus_client import Histogram

__all__ = ["CALLER", "Caller", "client", "owned", "request_id"]


@dataclass(frozen=True)
class Caller:
    """One request, as those see it who share something among clients."""

    client: str
    """The owner of the key, or the address where the server has no keys: what is shared fairly is shared
    among these."""
    owner: str = ""
    """Whose sessions it sees; empty where the server has no keys."""
    request_id: str = ""
    ends: ExitStack = field(default_factory=ExitStack)
    """What happens when the request ends, however it ends."""
    begun: float = field(default_factory=time.perf_counter)
    first_tokens: Histogram | None = None
    """The metric of the seconds to the first token."""

    def first_token(self, model: str) -> None:
        """A model has written its first token for this request."""
        if self.first_tokens is not None:
            self.first_tokens.labels(model).observe(time.perf_counter() - self.begun)


CALLER: ContextVar[Caller] = ContextVar("caller")
NOBODY = Caller("")


def client() -> str:
    """The client of this request; empty outside of any."""
    return CALLER.get(NOBODY).client


def request_id() -> str:
    """The number of this request; empty outside of any."""
    return CALLER.get(NOBODY).request_id


def owned(name: str) -> str:
    """The name by which the store knows a session of this caller's key; another key finds nothing there."""
    owner = CALLER.get(NOBODY).owner
    return f"{owner}.{name}" if owner else name
