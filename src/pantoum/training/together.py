"""A session of training on all ranks: rank 0 trains, the others serve it, all end together.

Before anything is read or made, the ranks compare what they were started with: the version of pantoum, the
arithmetic, the texts and settings as given. (The text itself cannot differ: rank 0 alone reads it.) Rank 0
reports an error; the others end with one that says so. Whatever breaks in the middle of an exchange cannot
be told to a rank that waits in it, so it ends the whole job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pantoum import kernels
from pantoum.config import AUTO, VERSION, TrainSettings, require
from pantoum.errors import PantoumError, RankError, SettingError
from pantoum.ranks.interface import Ranks
from pantoum.training.assembly import TrainingEngine
from pantoum.training.parallel.rank_commands import command
from pantoum.training.result import RunResult
from pantoum.training.worker import work

__all__ = ["facts", "for_ranks", "serve", "train_on_all"]


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
            "give a larger batch_size, or start fewer ranks",
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
