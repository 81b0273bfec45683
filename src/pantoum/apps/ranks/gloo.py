"""Ranks that ``torchrun`` has started, over PyTorch's gloo, and NCCL between GPUs: without MPI.

The core trains as it does over MPI, with the same shards and the same bits. In PyTorch (``--device``) the
gradients are tensors, which ``add_up`` sums where they are. Signs of life go through the key-value store of
the launcher, since two threads must not use one gloo connection.

If a rank is lost, each of the others finds out by itself: by the signs of life, or because a connection to it
breaks. The first one to say so writes the line; all end.

``torchrun`` keeps a key-value store for its processes, over all restarts of a job. Ranks find each other
through it, send signs of life, and agree on who speaks when the job fails. Keys of one attempt stand under
its number, so that a restart never reads what processes that have ended wrote. Over all attempts the store
knows only the run that the job makes, so that a restart resumes it (``restarted``).
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, distributed

from pantoum.apps.ranks.transport import Array, Life, Pending, pause_of
from pantoum.errors import RankError, SettingError

__all__ = ["GlooRanks"]


def open_store(rank: int, seconds: float) -> distributed.TCPStore:
    """A connection of its own to the store; an operation that waits gives up after so many seconds.
    ``KeyError``, ``ValueError``, ``RuntimeError``: the environment is not that of ``torchrun``, or nobody
    answers."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    here = rank == 0 and not _of_the_launcher()  # then rank 0 has to keep it
    return distributed.TCPStore(
        host, port, is_master=here, timeout=timedelta(seconds=seconds), multi_tenant=True
    )


def attempt_prefix() -> str:
    """The beginning of the keys of this start of the job."""
    return f"pantoum/{os.environ.get('TORCHELASTIC_RUN_ID')}/{_number('TORCHELASTIC_RESTART_COUNT')}/"


def _of_the_launcher() -> bool:
    """Whether the launcher itself keeps the store."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


PATIENCE = timedelta(days=30)
"""How long gloo waits: a rank may evaluate for long without a message. ``life`` finds ranks that are lost."""
ARRIVAL = 60.0
"""Seconds, at least, within which all ranks must have been started."""
BEATS = 3
"""Signs of life that a rank must miss in a row to be the one that broke a connection."""


class GlooRanks:
    """All ranks that the launcher has started."""

    def __init__(self, limit: float) -> None:
        """``limit``: seconds without a sign of life after which a rank counts as dead."""
        try:
            self.rank, self.count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
            self._store = open_store(self.rank, max(limit, ARRIVAL))
            self._places = self._met()
            self.overlaps = len({host for host, _ in self._places}) > 1
            distributed.init_process_group(
                "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
                store=distributed.PrefixStore(attempt_prefix() + "gloo", self._store),
                rank=self.rank,
                world_size=self.count,
                timeout=PATIENCE,
            )
        except (KeyError, ValueError, RuntimeError) as problem:
            raise RankError(
                f"torchrun has started this process, but its ranks cannot be joined ({problem}); start them "
                "again, or set PANTOUM_LAUNCHER=none to train alone"
            ) from None
        self._beats = _StoreBeats(self, limit)
        self._pause = pause_of(limit)
        beats = self._beats
        self._life = Life(beats.send, beats.received, self.rank, self.count, limit, self.lost)

    def place(self, rank: int) -> str:
        """Number, host and process of a rank."""
        host, process = self._places[rank]
        return f"rank {rank} (host {host}, process {process})"

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Pending:
        """Send and receive; nothing is waited for yet."""
        with self.unbroken():
            requests = [distributed.irecv(_bytes(array), rank) for rank, array in incoming if array.size]
            requests += [distributed.isend(_bytes(array), rank) for rank, array in outgoing if array.size]
        return partial(self._wait, requests)

    def add_up(self, tensor: Tensor) -> Pending:
        """Begin the sum of this tensor over all ranks, in place, where it is; the same bits on every rank."""
        with self.unbroken():
            return partial(self._wait, [distributed.all_reduce(tensor, async_op=True)])

    def _wait(self, requests: list[Any]) -> None:
        with self.unbroken():
            for request in requests:
                request.wait()

    def collected(self, tensor: Tensor) -> list[Tensor]:
        """This tensor of every rank, all of one size, in the order of ranks."""
        found = [torch.empty_like(tensor) for _ in range(self.count)]
        with self.unbroken():
            distributed.all_gather(found, tensor)
        return found

    def restarted(self, run: str | None) -> bool:
        """``--max-restarts`` starts the same command again. The store then knows the folders that were
        missing before: a run that was there when the job began is of another job, and is never entered."""
        if not (_number("TORCHELASTIC_MAX_RESTARTS") and _of_the_launcher()):
            return False
        if run is None:
            rule = "must be named where --max-restarts is given: a restart goes on with the run of that name"
            raise SettingError("run", None, rule, "give --run DIR")
        key = f"pantoum/{os.environ.get('TORCHELASTIC_RUN_ID')}/run/{Path(run).absolute()}"
        if not Path(run).exists():
            self._store.set(key, "made")
            return False
        return bool(self._store.check([key]))

    def abort(self, why: str) -> NoReturn:
        """Say why, unless another rank has said what ended the job, and end this rank. The launcher then ends
        the others."""
        self._say(why)
        os._exit(1)

    def close(self) -> None:
        """No sign of life is expected or sent any more."""
        self._life.close()
        distributed.destroy_process_group()

    def lost(self, rank: int | None, silent: float) -> NoReturn:
        """Called by the thread of ``life``."""
        if rank is None:
            self.abort(f"{self.place(self.rank)}: the launcher has ended, so this rank ends")
        self._say(f"{self.place(rank)} has not answered for {silent:.0f} s, so all ranks end; {ADVICE}")
        self._end_stopped(rank)
        os._exit(1)

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """While inside, an error of gloo or NCCL becomes one that names the rank which has ended."""
        try:
            yield
        except RuntimeError as problem:
            raise self._broken(problem) from None

    def _broken(self, problem: RuntimeError) -> RankError:
        """A connection breaks on all ranks at once if one has ended, so each waits to see which rank gives no
        sign of life before it ends itself."""
        before = self._beats.heard_of_all()
        if not self._told():
            time.sleep(BEATS * self._pause)
        after = self._beats.heard_of_all()
        ended = [rank for rank, count in before.items() if after.get(rank) == count]
        what = f"{self.place(ended[0])} has ended" if ended else f"the network has failed ({problem})"
        return RankError(f"{what}, so all ranks end; {ADVICE}", lost=True)

    def _say(self, why: str) -> None:
        """Write the line that ends the job; only the first rank of all does."""
        if not self._told(1):
            sys.stderr.write(f"pantoum: {why}\n")
            sys.stderr.flush()

    def _told(self, more: int = 0) -> bool:
        """Whether a rank has written that line before; ``more``: 1 if this rank is about to."""
        try:
            return int(self._store.add(f"{attempt_prefix()}told", more)) > more
        except RuntimeError:  # the store has ended with the launcher
            return False

    def _end_stopped(self, rank: int) -> None:
        """A stopped process ends on SIGKILL alone, which the launcher sends after 30 s. So a rank of the same
        launcher is ended here."""
        host, process = self._places[rank]
        if host == platform.node() and _parent(process) == os.getppid():
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)

    def _met(self) -> list[tuple[str, int]]:
        """Host and process of every rank, once all have been started."""
        names = f"{attempt_prefix()}place/"
        self._store.set(f"{names}{self.rank}", f"{os.getpid()} {platform.node()}")
        found = list[tuple[str, int]]()
        for rank in range(self.count):
            try:
                process, _, host = self._store.get(f"{names}{rank}").decode(errors="replace").partition(" ")
            except RuntimeError:
                raise RuntimeError(f"rank {rank} was not started") from None
            found.append((host, int(process)))
        return found


class _StoreBeats:
    """Signs of life: counters in the store of the launcher, ``SENDER/RECEIVER``."""

    def __init__(self, ranks: GlooRanks, limit: float) -> None:
        self._store = open_store(ranks.rank, limit)
        self._ranks, self._heard = ranks, dict[int, int]()

    def send(self, rank: int) -> None:
        """One sign of life."""
        self._counted(self._ranks.rank, rank, 1)

    def received(self, rank: int) -> bool:
        """Whether there was one since the last call."""
        before = self._heard.get(rank, 0)
        self._heard[rank] = self._counted(rank, self._ranks.rank, 0)
        return self._heard[rank] > before

    def heard_of_all(self) -> dict[int, int]:
        """How many signs of life each other rank has sent: to rank 0, and rank 0 to this one."""
        own, count = self._ranks.rank, self._ranks.count
        return {rank: self._counted(rank, 0 if rank else own, 0) for rank in range(count) if rank != own}

    def _counted(self, sender: int, receiver: int, more: int) -> int:
        try:
            return int(self._store.add(f"{attempt_prefix()}{sender}/{receiver}", more))
        except RuntimeError:
            self._ranks.lost(None, 0.0)


ADVICE = (
    "the newest checkpoint is intact; --resume continues from it with as many ranks as there are shards, or "
    "fewer"
)


def _parent(process: int) -> int | None:
    """The parent of a process, where the system tells it in ``/proc``."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _bytes(array: Array) -> Any:
    """The memory of an array as a tensor; of one that is read-only, a copy."""
    flat = array.reshape(-1).view(np.uint8)
    return torch.from_numpy(flat if flat.flags.writeable else flat.copy())
