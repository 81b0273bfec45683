"""Who asks, and what ends with their request, for everything that works on it.

``guard`` sets it, and every task that a request begins inherits it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["CALLER", "Caller", "client", "first_token", "owned", "request_id", "spender", "unpaid"]


def unpaid(tokens: int) -> None:
    """What tokens cost where nobody counts them."""


def untimed(model: str) -> None:
    """Where nobody measures how long a first token takes."""


class Caller(NamedTuple):
    """One request, as those see it who share something among clients."""

    client: str
    """The owner of the key, or the address where the server has no keys: what is shared fairly is shared
    among these."""
    owner: str
    """Whose sessions it sees; empty where the server has no keys."""
    ends: ExitStack
    """What happens when the request ends, however it ends."""
    spend: Callable[[int], None] = unpaid
    """Tokens were read or written for it. To be called on the event loop."""
    admin: bool = False
    """Whether its key may change the models."""
    request_id: str = ""
    first_token: Callable[[str], None] = untimed
    """A model has written its first token for it."""


CALLER: ContextVar[Caller] = ContextVar("caller")


def client() -> str:
    """The client of this request; empty outside of any."""
    caller = CALLER.get(None)
    return "" if caller is None else caller.client


def request_id() -> str:
    """The number of this request; empty outside of any."""
    caller = CALLER.get(None)
    return "" if caller is None else caller.request_id


def spender() -> Callable[[int], None]:
    """What counts the tokens of this request."""
    caller = CALLER.get(None)
    return unpaid if caller is None else caller.spend


def first_token(model: str) -> bool:
    """A model has written the first token of this request; true, for it is the first one once."""
    caller = CALLER.get(None)
    if caller is not None:
        caller.first_token(model)
    return True


def owned(name: str) -> str:
    """The name by which the store knows a session of this caller's key; another key finds nothing there."""
    caller = CALLER.get(None)
    return f"{caller.owner}.{name}" if caller is not None and caller.owner else name
