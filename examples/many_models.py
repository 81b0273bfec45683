"""Many models at once: twelve settings, trained by two workers, compared in one table.

    python examples/many_models.py book.txt --minutes 2          by joblib (pip install joblib)
    python examples/many_models.py book.txt --minutes 2 --dask   by dask (pip install 'dask[distributed]')

The text is prepared once, and all runs read its tokens. Each worker is a process that trains one run after
the other; `threads` shares out the cores. With `--dask ADDRESS` the workers are those of a cluster, whose
machines must see the folder of the runs. Without a text, the models learn the source of Python's argparse.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pantoum

SWEEP: dict[str, tuple[Any, ...]] = {
    "cell": ("gru", "lstm"),
    "hidden_size": (64, 128),
    "learning_rate": (0.002, 0.005, 0.01),
}


def settings() -> Iterator[dict[str, Any]]:
    """Every combination: 2 x 2 x 3."""
    for values in product(*SWEEP.values()):
        yield dict(zip(SWEEP, values, strict=True))


def train(folder: str, data: str, threads: int, budget: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """Train one model, in whatever process this is called; the folder of its run."""
    name = "-".join(str(value) for value in chosen.values())
    run = pantoum.train(
        data=data, run=Path(folder, name), threads=threads, progress=False, **budget, **chosen
    )
    return str(run.folder)


def by_joblib(workers: int, *arguments: Any) -> list[str]:
    """All runs in processes of joblib."""
    from joblib import Parallel, delayed

    found: list[str] = Parallel(n_jobs=workers)(delayed(train)(*arguments, each) for each in settings())
    return found


def by_dask(workers: int, address: str, *arguments: Any) -> list[str]:
    """All runs on workers of dask: of a cluster, or of this machine."""
    from dask.distributed import Client

    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with Client(address) if address else Client(**local) as client:
        calls = [client.submit(train, *arguments, each, pure=False) for each in settings()]
        return list(client.gather(calls))


def main(argv: list[str] | None = None) -> list[str]:
    """Train all of them and print the table."""
    parser = argparse.ArgumentParser(description="train many models at once and compare them")
    parser.add_argument("text", nargs="?", default=argparse.__file__)
    parser.add_argument("--out", default="runs/many", metavar="DIR", help="the folder of the runs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1.0, help="of each run")
    parser.add_argument("--steps", type=int, help="of each run, in place of minutes")
    parser.add_argument(
        "--dask",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="of a scheduler; without it one is started here",
    )
    asked = parser.parse_args(argv)
    folder = Path(asked.out).absolute()
    budget = {"minutes": asked.minutes} if asked.steps is None else {"steps": asked.steps}
    prepared = pantoum.prepare(asked.text, folder / "text")
    threads = max(1, (os.cpu_count() or 1) // asked.workers)
    arguments = (str(folder), str(prepared.folder), threads, budget)
    if asked.dask is None:
        runs = by_joblib(asked.workers, *arguments)
    else:
        runs = by_dask(asked.workers, asked.dask, *arguments)
    runs = [os.path.relpath(run) for run in runs]
    print(pantoum.compare(runs))
    return runs


if __name__ == "__main__":
    main()
