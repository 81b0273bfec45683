"""Ranks that ``torchrun`` has started, over PyTorch's gloo: messages between processors, without MPI.

The core trains as it does over MPI, with the same shards and the same bits. Signs of life go through the
key-value store of the launcher, since two threads must not use one gloo connection.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

import numpy as np
import torch
from torch import distributed

from pantoum.errors import RankError
from pantoum.ranks.interface import Array, Pending
from pantoum.ranks.life import Life

__all__ = ["GlooRanks"]

PATIENCE = timedelta(days=30)
"""How long gloo waits: a rank may evaluate for long without a message. ``life`` finds ranks that are lost."""


class GlooRanks:
    """All ranks that the launcher has started."""

    def __init__(self, limit: float) -> None:
        """``limit``: seconds without a sign of life after which a rank counts as dead."""
        try:
            distributed.init_process_group("gloo", timeout=PATIENCE)
        except (ValueError, RuntimeError) as problem:
            raise RankError(
                f"torchrun has started this process, but its ranks cannot be joined ({problem}); start them "
                "again, or set PANTOUM_LAUNCHER=none to train alone"
            ) from None
        self.rank, self.count = int(distributed.get_rank()), int(distributed.get_world_size())
        self._places = [f"rank {rank}" for rank in range(self.count)]
        told = self.gather(f"host {platform.node()}, process {os.getpid()}".encode())
        listed = self.broadcast(b"\n".join(told) if told else None).decode(errors="replace").split("\n")
        self._places = [f"rank {rank} ({where})" for rank, where in enumerate(listed)]
        self._life = Life(_Beats(self, limit), self.rank, self.count, limit, self.lost)

    def place(self, rank: int) -> str:
        """Number, host and process of a rank."""
        return self._places[rank]

    def broadcast(self, message: bytes | None = None) -> bytes:
        """The message that rank 0 gives, on every rank."""
        if self.rank:
            return self._receive(0)
        for rank in range(1, self.count):
            self._send(rank, message or b"")
        return message or b""

    def gather(self, message: bytes) -> list[bytes]:
        """The messages of all ranks on rank 0."""
        if self.rank:
            self._send(0, message)
            return []
        return [message, *(self._receive(rank) for rank in range(1, self.count))]

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Pending:
        """Send and receive; nothing is waited for yet."""
        try:
            requests = [distributed.irecv(_bytes(array), rank) for rank, array in incoming if array.size]
            requests += [distributed.isend(_bytes(array), rank) for rank, array in outgoing if array.size]
        except RuntimeError as problem:
            raise _broken(problem) from None
        return _Requests(requests)

    def abort(self, why: str) -> NoReturn:
        """Say why, and end this rank; the launcher then ends the others."""
        sys.stderr.write(f"pantoum: {why}\n")
        sys.stderr.flush()
        os._exit(1)

    def close(self) -> None:
        """No sign of life is expected or sent any more."""
        self._life.close()
        distributed.destroy_process_group()

    def lost(self, rank: int | None, silent: float) -> None:
        """Called by the thread of ``life``."""
        if rank is None:
            self.abort(f"{self.place(self.rank)}: the launcher has ended, so this rank ends")
        self.abort(
            f"{self.place(rank)} has not answered for {silent:.0f} s, so all ranks end; the newest "
            "checkpoint is whole, and --resume goes on from it with as many ranks as there are shards, or "
            "fewer"
        )

    def _send(self, rank: int, message: bytes) -> None:
        size, content = np.array([len(message)], np.int64), np.frombuffer(message, np.uint8)
        self.exchange([(rank, size), (rank, content)], []).wait()

    def _receive(self, rank: int) -> bytes:
        size = np.zeros(1, np.int64)
        self.exchange([], [(rank, size)]).wait()
        content = np.empty(int(size[0]), np.uint8)
        self.exchange([], [(rank, content)]).wait()
        return content.tobytes()


class _Requests:
    def __init__(self, requests: list[Any]) -> None:
        self._requests = requests

    def wait(self) -> None:
        try:
            for request in self._requests:
                request.wait()
        except RuntimeError as problem:
            raise _broken(problem) from None


class _Beats:
    """Signs of life: counters in the store of the launcher."""

    def __init__(self, ranks: GlooRanks, limit: float) -> None:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._store = distributed.TCPStore(host, port, timeout=timedelta(seconds=limit))
        self._ranks, self._heard = ranks, dict[int, int]()
        self._names = f"pantoum/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"

    def send(self, rank: int) -> None:
        """One sign of life."""
        self._counted(self._ranks.rank, rank, 1)

    def received(self, rank: int) -> bool:
        """Whether there was one since the last call."""
        before = self._heard.get(rank, 0)
        self._heard[rank] = self._counted(rank, self._ranks.rank, 0)
        return self._heard[rank] > before

    def _counted(self, sender: int, receiver: int, more: int) -> int:
        try:
            return int(self._store.add(f"{self._names}/{sender}/{receiver}", more))
        except RuntimeError:
            self._ranks.lost(None, 0.0)
            return 0


def _broken(problem: Exception) -> RankError:
    return RankError(
        f"gloo reports an error ({problem}): a rank has ended, or the network has failed; the newest "
        "checkpoint is whole, and --resume goes on from it",
        lost=True,
    )


def _bytes(array: Array) -> Any:
    """The memory of an array as a tensor; of one that is read-only, a copy."""
    flat = array.reshape(-1).view(np.uint8)
    return torch.from_numpy(flat if flat.flags.writeable else flat.copy())
