"""Ranks that are threads of this process: the same promises as MPI's, without a launcher."""

from __future__ import annotations

import hashlib
import queue
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pytest

from pantoum.apps.ranks.group import RankGroup
from pantoum.apps.ranks.transport import Array
from pantoum.config import TrainSettings
from pantoum.errors import RankError
from pantoum.formats import checkpoint
from pantoum.training.begin import TrainingCommand
from pantoum.training.result import RunResult
from pantoum.training.run_session import train, train_together
from pantoum.training.update.backend import TrainingEngine

PATIENCE = 120.0


class Group:
    """What the threads share: a queue from each rank to each other."""

    def __init__(self, count: int, patience: float) -> None:
        self.count, self.patience = count, patience
        self.queues = {(a, b): queue.Queue[bytes]() for a in range(count) for b in range(count)}
        self.ended = threading.Event()
        self.sent = [0] * count
        """Bytes that each rank has sent."""


class ThreadRanks:
    """One of them."""

    def __init__(self, rank: int, group: Group) -> None:
        self.rank, self.count, self._group = rank, group.count, group

    overlaps = True
    """Whether PyTorch begins its sums early."""

    def place(self, rank: int) -> str:
        return f"rank {rank} (a thread)"

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Callable[[], None]:
        for rank, array in outgoing:
            assert array.flags.c_contiguous and rank != self.rank
            if array.size:
                self._put(rank, array.tobytes())

        def wait() -> None:
            for rank, array in [each for each in incoming if each[1].size]:
                content = self._get(rank)
                assert len(content) == array.nbytes, "sizes agree"
                array.reshape(-1)[:] = np.frombuffer(content, array.dtype)

        return wait

    def restarted(self, run: str | None) -> bool:
        return False

    def abort(self, why: str) -> NoReturn:
        self._group.ended.set()
        raise RankError(why)

    def close(self) -> None:
        """Nothing is held."""

    def _put(self, rank: int, content: bytes) -> None:
        self._group.sent[self.rank] += len(content)
        self._group.queues[self.rank, rank].put(content)

    def _get(self, rank: int) -> bytes:
        for _ in range(int(self._group.patience / 0.05)):
            if self._group.ended.is_set():
                raise RankError("another rank has ended the job")
            try:
                return self._group.queues[rank, self.rank].get(timeout=0.05)
            except queue.Empty:
                continue
        raise RankError(f"{self.place(rank)} has not answered")


Together = Callable[..., list[Any]]


@pytest.fixture
def together() -> Together:
    """``together(count, work)``: what ``work(ranks)`` gives on each rank. An error on one ends all, and
    the error is raised here."""

    def run(count: int, work: Callable[[ThreadRanks], Any], patience: float = PATIENCE) -> list[Any]:
        group = Group(count, patience)
        run.sent = group.sent
        found: list[Any] = [None] * count
        errors: list[BaseException | None] = [None] * count

        def one(rank: int) -> None:
            try:
                found[rank] = work(ThreadRanks(rank, group))
            except BaseException as problem:
                errors[rank] = problem
                group.ended.set()

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(1, count)]
        for thread in threads:
            thread.start()
        one(0)
        for thread in threads:
            thread.join(patience + 5.0)
        assert all(queue.empty() for queue in group.queues.values()) or any(errors), "every message was read"
        for problem in errors:
            if problem is not None:
                raise problem
        return found

    return run


class Runs:
    """Trains small models on ranks that are threads; ``run(2, "name", steps=8, ...)`` gives their results."""

    shape: ClassVar = {
        "hidden_size": 12,
        "num_layers": 1,
        "embedding_size": 6,
        "batch_size": 6,
        "seq_len": 8,
        "dropout": 0.2,
    }

    def __init__(self, story: Path, folder: Path, together: Together) -> None:
        self._texts, self._folder, self._together = [str(story)], folder, together

    def __call__(self, count: int, name: str, **settings: Any) -> list[RunResult]:
        asked = {
            "run": str(self._folder / name),
            **({} if settings.get("resume") else self.shape),
            **settings,
        }
        if count == 1:
            return [train(TrainingCommand(TrainSettings(**asked), self._texts))]

        def work(ranks: ThreadRanks) -> RunResult:
            def session(chosen: TrainSettings, engine: TrainingEngine | None) -> RunResult:
                return train(TrainingCommand(chosen, self._texts, engine=engine))

            return train_together(RankGroup(ranks), self._texts, asked, session)

        return self._together(count, work)

    def bits(self, name: str) -> str:
        """The model file and every array that a resumed run has."""
        folder = self._folder / name
        newest, total = (
            checkpoint.newest(folder),
            hashlib.sha256((folder / "model.safetensors").read_bytes()),
        )
        for key, array in sorted(newest.arrays.items()):
            total.update(key.encode() + array.tobytes())
        return f"{newest.step} {total.hexdigest()}"


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """Some 6,000 characters of words at random."""
    draw = random.Random(2)
    words = ["north", "south", "east", "west", "wind", "rain", "sun", "and", "then", "again"]
    path = tmp_path / "story.txt"
    path.write_text("".join(" ".join(draw.choices(words, k=6)) + "\n" for _ in range(200)))
    return path


@pytest.fixture
def run(story: Path, tmp_path: Path, together: Together) -> Runs:
    """Trains on ranks."""
    return Runs(story, tmp_path, together)
