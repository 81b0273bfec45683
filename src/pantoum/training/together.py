"""A session of training on all ranks: rank 0 trains, the others serve it, all end together.

Before anything is read or made, the ranks compare what they were started with: the version of pantoum, the
arithmetic, the texts and settings as given. (The text itself cannot differ: rank 0 alone reads it.) Rank 0
reports an error; the others end with one that says so. Whatever breaks in the middle of an exchange cannot
be told to a rank that waits in it, so it ends the whole job.

A rank other than 0 does what rank 0 commands (``ranked_backend``), until rank 0 has ended (``Worker``). It
reads no text, writes no file and tells nobody anything. A signal to stop is left to rank 0, which gets it
from the launcher, too, and saves a checkpoint.
"""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pantoum import kernels
from pantoum.config import AUTO, VERSION, TrainSettings, require
from pantoum.config.plain import Plain
from pantoum.data.batches import Batch
from pantoum.errors import PantoumError, RankError, SettingError
from pantoum.network.network_state import NetworkState
from pantoum.ranks.interface import Ranks
from pantoum.training.assembly import TrainingEngine, make_backend
from pantoum.training.parallel.outer_step import OuterStep
from pantoum.training.parallel.rank_commands import COUNTS, command, next_command, receive_arrays, send_arrays
from pantoum.training.parallel.spread_reading import read_for_rank_0
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.result import RunResult
from pantoum.training.run.signals import NAMES
from pantoum.training.update.backend import SharedBackend
from pantoum.training.update.rank_sums import RankSums
from pantoum.training.update.shards import Shards

__all__ = ["facts", "for_ranks", "serve", "train_on_all", "work"]


def facts(texts: Sequence[str], settings: Mapping[str, object], engine: str = "core") -> dict[str, str]:
    """What all ranks must have in common, by names that a person knows; ``engine``: what trains."""
    given = {name: str(value) for name, value in settings.items()}
    return {
        "pantoum": VERSION,
        "arithmetic": "numpy" if kernels.without_core() is not None else "native core",
        "precisions": ", ".join(kernels.precisions()),
        "texts": ", ".join(texts),
        **given,
        "engine": engine,
    }


def train_on_all(ranks: Ranks, known: Mapping[str, str], train: Callable[[], RunResult]) -> RunResult:
    """``train`` on rank 0, while the other ranks ``serve``; ``known``: the facts of this rank."""
    try:
        _compare(ranks, known)
        result = train()
    except (PantoumError, SystemExit) as problem:
        if isinstance(problem, RankError) and problem.lost:
            ranks.abort(str(problem))
        command(ranks, "end", error=str(problem), result=None)
        raise
    except BaseException as problem:
        ranks.abort(f"{ranks.place(0)}: {type(problem).__name__}: {problem}")
    command(ranks, "end", error=None, result=result.to_dict())
    return result


def serve(
    ranks: Ranks, known: Mapping[str, str], engine: Callable[[], TrainingEngine | None] | None = None
) -> RunResult:
    """What a rank other than 0 does; the result of rank 0, without its records. ``engine``: gives what trains
    in place of the core."""
    ranks.gather(json.dumps(known).encode())
    try:
        found = work(ranks, engine)
    except RankError as problem:
        if problem.told:
            raise
        ranks.abort(str(problem) if problem.lost else f"{ranks.place(ranks.rank)}: {problem}")
    except BaseException as problem:
        ranks.abort(f"{ranks.place(ranks.rank)}: {type(problem).__name__}: {problem}")
    plain = {
        **found,
        "run": Path(found["run"]),
        "model": Path(found["model"]),
        "notes": tuple(found["notes"]),
    }
    return RunResult(**plain, rank=ranks.rank)


def for_ranks(settings: TrainSettings, count: int) -> TrainSettings:
    """The settings of a new run on so many ranks: as many shards, unless there are to be more."""
    if settings.resume:
        return settings
    require(
        settings.sync_every == 1 or count > 1,
        "sync_every",
        settings.sync_every,
        "needs several ranks",
        "start them with mpirun -n R or torchrun, or leave it out",
    )
    if count == 1:
        return settings
    if settings.batch_size != AUTO and int(settings.batch_size) < count:
        raise SettingError(
            "batch_size",
            settings.batch_size,
            f"must be at least the number of ranks, {count}: each trains on streams of its own",
            "give a larger one, or start fewer ranks",
        )
    if settings.shards == AUTO:
        return replace(settings, shards=count)
    if int(settings.shards) < count:
        raise SettingError(
            "shards",
            settings.shards,
            f"must be at least the number of ranks, {count}",
            f"give --shards {count}, or start fewer ranks",
        )
    require(
        settings.sync_every == 1 or settings.shards == count,
        "shards",
        settings.shards,
        f"must be the number of ranks, {count}, with sync_every: each makes updates from streams of its own",
        "leave it out",
    )
    return settings


def _compare(ranks: Ranks, known: Mapping[str, str]) -> None:
    """``RankError`` that names the first rank which differs from rank 0, and in what."""
    for rank, message in enumerate(ranks.gather(json.dumps(known).encode())):
        theirs = json.loads(message)
        for name in (*known, *theirs):
            if theirs.get(name) != known.get(name):
                raise RankError(
                    f"{ranks.place(rank)} differs from rank 0: {name} is {theirs.get(name)!r} there and "
                    f"{known.get(name)!r} here; start the same command with the same pantoum on every rank"
                )


def work(ranks: Ranks, engine: Callable[[], TrainingEngine | None] | None = None) -> dict[str, Any]:
    """Serve rank 0 until it ends; what it says the session came to. ``engine``: gives what trains in place of
    the core."""
    with _signals_left_to_rank_0():
        worker = Worker(ranks, engine)
        while True:
            words = next_command(ranks)
            op = words.pop("op")
            if op == "end":
                break
            getattr(worker, op)(**words)
    if words["error"] is not None:
        raise RankError(f"rank 0 has ended: {words['error']}", told=True)
    found: dict[str, Plain] = words["result"]
    return found


class Worker:
    """The commands, one method each."""

    def __init__(self, ranks: Ranks, engine: Callable[[], TrainingEngine | None] | None = None) -> None:
        self._ranks, self._engine = ranks, engine
        self._backend: SharedBackend | None = None
        self._rows = 0
        self._outer: OuterStep | None = None
        """What combines the weights of ranks that make updates by themselves."""
        self._sound = True
        """Whether the gradients of the last batch are finite."""
        self._states: dict[int, NetworkState] = {}
        """The last two states of this rank's streams, by their numbers."""

    def build(
        self, recipe: Mapping[str, Plain], vocab_size: int, batch_size: int, arrays: list[list[Any]]
    ) -> None:
        """Networks and optimisers, with the arrays of rank 0."""
        made, ranks = Recipe.from_spec(recipe), self._ranks
        shards = Shards(batch_size, made.shards, ranks.count)
        rows = shards.streams(shards.node(ranks.rank))
        self._rows = rows.stop - rows.start
        received = receive_arrays(ranks, arrays)
        local = make_backend(made, vocab_size, counts_V=received.get(COUNTS), drawn=False)
        local.restore(received)
        engine = None if self._engine is None else self._engine()
        backend: SharedBackend = local if engine is None else engine.take_over(local, made, vocab_size)
        self._outer = None
        if made.syncs_weights:
            self._outer = OuterStep(ranks, local.parameters, made.gradient_precision == "bf16")
            self._outer.restore(received)
        else:
            backend.join(RankSums(ranks, batch_size, made.shards))
        self._backend, self._states = backend, {}

    def states(self, number: int, arrays: list[list[Any]]) -> None:
        """The states of this rank's streams."""
        found = tuple(np.empty((self._rows, *row), np.dtype(dtype)) for dtype, row in arrays)
        self._ranks.exchange([], [(0, array) for array in found if array.size])()
        self._states = {number: NetworkState(found)}

    def gradients(
        self, step: int, epoch: int, steps: int, dtypes: list[str], before: int, after: int
    ) -> None:
        """This rank's part of a batch."""
        shape = self._rows, steps
        shapes = shape, shape, (self._rows,), shape
        sent = [np.empty(each, np.dtype(dtype)) for each, dtype in zip(shapes, dtypes, strict=False)]
        self._ranks.exchange([], [(0, each) for each in sent])()
        inputs_BT, targets_BT, streams = sent[0].astype(np.int32), sent[1].astype(np.int32), sent[2]
        batch = Batch(inputs_BT, targets_BT, sent[3] if len(sent) > 3 else np.zeros(shape, bool), epoch)
        own = self._states[before]
        found = self._built.gradients(batch, own, step, streams)
        self._sound = math.isfinite(found.loss) and math.isfinite(found.gradient_norm)
        self._states = {before: own, after: found.state if found.state.finite else own}

    def update(self, rate: float, clip: float | None) -> None:
        """The update that every rank makes. One that makes its own leaves out what is not finite, as rank 0
        judges its own gradients alone."""
        if self._sound:
            self._built.update(rate, clip)

    def synchronize(self) -> None:
        """Combine the weights of all ranks."""
        assert self._outer is not None
        self._outer.step()

    def weights(self, averaged: bool, names: list[str]) -> None:
        """This rank's weights of these names to rank 0."""
        own = self._built.weights(averaged)
        assert own is not None
        send_arrays(self._ranks, [own[name] for name in names], [0])

    def send(self) -> None:
        """All arrays of this rank to rank 0."""
        send_arrays(self._ranks, self._built.snapshot().values(), [0])

    def collect(self) -> None:
        """The arrays of the optimiser, which rank 0 is about to save."""
        self._built.collect()

    def gather(self, number: int) -> None:
        """The states of this rank's streams to rank 0."""
        arrays = [np.ascontiguousarray(array) for array in self._states[number].arrays]
        self._ranks.exchange([(0, array) for array in arrays if array.size], [])()

    def read(self, **words: Any) -> None:
        """Some spans of the held-out text, with weights of rank 0."""
        read_for_rank_0(self._ranks, **words)

    @property
    def _built(self) -> SharedBackend:
        assert self._backend is not None
        return self._backend


@contextmanager
def _signals_left_to_rank_0() -> Iterator[None]:
    """While inside, signals to stop are not heeded; in the main thread only, where Python allows it."""
    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)] if main else []
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
