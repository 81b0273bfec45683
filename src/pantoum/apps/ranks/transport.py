"""What training asks of the processes that train together, and the watch over their life.

A *rank* is one of these processes. MPI and PyTorch's gloo implement ``Ranks``; tests do over threads. Whoever
waits for a rank that has died waits for ever, so an implementation watches over the others (``Life``): a
thread of each process sends signs of life and misses those of others. A rank may compute, evaluate or save
for minutes without a message, so silence in the training's own messages means nothing. Rank 0 listens to all
ranks, and all ranks listen to rank 0; who misses a rank for the time limit names it and ends the job. Ranks
with higher numbers wait a little longer, so that one of them speaks. A rank whose parent process has changed
has lost its launcher, and ends by itself.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Life", "Pending", "Ranks", "broadcast", "gather", "pause_of"]

Array: TypeAlias = npt.NDArray[Any]
Pending: TypeAlias = Callable[[], None]
"""An exchange that has begun: to call it is to wait until the arrays of this rank were sent and received."""
LATER = 0.1
"""Seconds by which each rank waits longer than the one before it; at most ``MOST_LATER``."""
MOST_LATER = 2.0


class Ranks(Protocol):
    """The ranks 0 to ``count - 1``, seen by one of them."""

    @property
    def rank(self) -> int:
        """The number of this rank."""
        ...

    @property
    def count(self) -> int:
        """How many ranks there are."""
        ...

    def place(self, rank: int) -> str:
        """Where a rank runs, for messages: ``rank 1 (host node7, process 1234)``."""
        ...

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Pending:
        """Send arrays to ranks and receive into arrays from ranks, all at the same time.

        Between two ranks arrays arrive in the order in which they were sent; sizes and dtypes must agree.
        Those of no size are left out: a bias may have fewer numbers than there are ranks. Arrays are
        C-contiguous. Until what it gives was called and has returned, none of them may be changed
        or read."""
        ...

    def restarted(self, run: str | None) -> bool:
        """Whether the launcher has started the job again, after it had begun the run in this folder."""
        ...

    def abort(self, why: str) -> NoReturn:
        """End all ranks now; ``why`` is one line for the person who started them."""
        ...

    def close(self) -> None:
        """No sign of life is expected or sent any more."""


def broadcast(ranks: Ranks, message: bytes | None = None) -> bytes:
    """The message that rank 0 gives, on every rank."""
    if ranks.rank:
        return _receive(ranks, 0)
    _send(ranks, range(1, ranks.count), message or b"")
    return message or b""


def gather(ranks: Ranks, message: bytes) -> list[bytes]:
    """The messages of all ranks, in their order, on rank 0; nothing on the others."""
    if ranks.rank:
        _send(ranks, [0], message)
        return []
    return [message, *(_receive(ranks, rank) for rank in range(1, ranks.count))]


def _send(ranks: Ranks, to: Iterable[int], message: bytes) -> None:
    """The size of a message, and the message."""
    parts: list[Array] = [np.array([len(message)], np.int64), np.frombuffer(message, np.uint8)]
    ranks.exchange([(rank, part) for rank in to for part in parts], [])()


def _receive(ranks: Ranks, rank: int) -> bytes:
    size = np.zeros(1, np.int64)
    ranks.exchange([], [(rank, size)])()
    content = np.empty(int(size[0]), np.uint8)
    ranks.exchange([], [(rank, content)])()
    return content.tobytes()


class Life:
    """The thread that watches, from its making until ``close``."""

    def __init__(
        self,
        send: Callable[[int], None],
        received: Callable[[int], bool],
        rank: int,
        count: int,
        limit: float,
        lost: Callable[[int | None, float], None],
    ) -> None:
        """``send`` sends a sign of life to a rank and never blocks; ``received``: whether there was one of it
        since the last call. ``lost`` is called, in the thread, with a rank and the seconds of its silence;
        with ``None`` if the launcher has ended."""
        self._send, self._received, self._lost = send, received, lost
        self._others = range(1) if rank else range(1, count)
        self._limit = limit + min(LATER * max(0, rank - 1), MOST_LATER)
        self._pause = pause_of(limit)
        self._parent = os.getppid()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pantoum-life", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join(5.0)

    def _watch(self) -> None:
        heard = dict.fromkeys(self._others, time.monotonic())
        before = time.monotonic()
        while not self._end.wait(self._pause):
            now = time.monotonic()
            if os.getppid() != self._parent:
                self._lost(None, 0.0)
            slept = now - before > 0.5 * self._limit
            before = now
            for rank in self._others:
                self._send(rank)
                if self._received(rank) or slept:  # this process itself was stopped: begin anew
                    heard[rank] = now
                elif now - heard[rank] > self._limit:
                    self._lost(rank, now - heard[rank])
                    return


def pause_of(limit: float) -> float:
    """Seconds between two signs of life, for a time limit."""
    return min(1.0, limit / 10.0)
