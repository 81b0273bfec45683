"""Ranks over MPI, through mpi4py. Importing this module initialises MPI.

No call blocks inside MPI: operations are started and then polled, so that a signal, or the news that a rank
is lost, is noticed at once. Polling spins for a moment, for the exchanges of a step are short, and then
sleeps between calls, because a rank that waits for a command must not take a processor from one that works.

The life of ranks is watched by a thread of each process (``transport.Life``).
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
from mpi4py import MPI

from pantoum.apps.ranks.transport import Array, Life, Pending, broadcast, gather
from pantoum.errors import RankError

__all__ = ["MpiRanks"]

SPINNING, NAP = 0.002, 0.0001
"""Seconds of polling without a pause, and the pause afterwards."""


class MpiRanks:
    """All ranks that the launcher has started."""

    def __init__(self, limit: float) -> None:
        """``limit``: seconds without a sign of life after which a rank counts as dead."""
        self._comm = MPI.COMM_WORLD.Dup()
        self.rank, self.count = int(self._comm.rank), int(self._comm.size)
        self._places = [f"rank {rank}" for rank in range(self.count)]
        own = f"host {platform.node()}, process {os.getpid()}".encode()
        told = gather(self, own)
        listed = broadcast(self, b"\n".join(told)).decode(errors="replace").split("\n")
        self._places = [f"rank {rank} ({where})" for rank, where in enumerate(listed)]
        self._life: Life | None = None
        if self.count > 1 and MPI.Query_thread() == MPI.THREAD_MULTIPLE:
            beats = _MpiBeats(MPI.COMM_WORLD.Dup())
            self._life = Life(beats.send, beats.received, self.rank, self.count, limit, self._lost)

    def place(self, rank: int) -> str:
        """Number, host and process of a rank."""
        return self._places[rank]

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Pending:
        """Send and receive, without blocking."""
        requests = [self._comm.Irecv(_bytes(array), rank) for rank, array in incoming if array.size]
        requests += [self._comm.Isend(_bytes(array), rank) for rank, array in outgoing if array.size]
        return partial(self._poll, requests)

    def restarted(self, run: str | None) -> bool:
        """No launcher of MPI starts a job again."""
        return False

    def abort(self, why: str) -> NoReturn:
        """Say why, and end all ranks through the launcher."""
        sys.stderr.write(f"pantoum: {why}\n")
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(1)
        raise RankError(why)  # Abort does not return

    def close(self) -> None:
        """No sign of life is expected or sent any more."""
        if self._life is not None:
            self._life.close()

    def _lost(self, rank: int | None, silent: float) -> None:
        """Called by the thread of ``life``."""
        if rank is None:
            sys.stderr.write(f"pantoum: {self.place(self.rank)}: the launcher has ended, so this rank ends\n")
            sys.stderr.flush()
            os._exit(1)
        self.abort(
            f"{self.place(rank)} has not answered for {silent:.0f} s, so all ranks end; the newest "
            "checkpoint is intact, and --resume continues from it"
        )

    def _poll(self, requests: list[Any]) -> None:
        spinning = time.perf_counter() + SPINNING
        try:
            while not MPI.Request.Testall(requests):
                if time.perf_counter() > spinning:
                    time.sleep(NAP)
        except MPI.Exception as problem:
            raise RankError(
                f"MPI reports an error ({problem}): a rank has ended, or the network has failed; the newest "
                "checkpoint is intact, and --resume continues from it",
                lost=True,
            ) from None


class _MpiBeats:
    """Signs of life over a communicator of their own."""

    def __init__(self, comm: Any) -> None:
        self._comm, self._beat = comm, np.zeros(1, np.uint8)
        self._sent: dict[int, Any] = {}

    def send(self, rank: int) -> None:
        """One sign of life, unless the last one is still on its way."""
        before = self._sent.get(rank)
        if before is None or before.Test():
            self._sent[rank] = self._comm.Isend(self._beat, rank)

    def received(self, rank: int) -> bool:
        """Whether there was any since the last call."""
        found, place = False, np.empty(1, np.uint8)
        while self._comm.Iprobe(rank):
            self._comm.Recv(place, rank)
            found = True
        return found


def _bytes(array: Array) -> object:
    """The memory of an array, for MPI."""
    return [array.reshape(-1).view(np.uint8), MPI.BYTE]
