"""An ensemble as its members against an ensemble joined into one wide model: speed and size.

Two working copies of pantoum take turns in one run: the one that this script imports, and an older one
(``--before``, a checkout whose core is built). Each trains an ensemble of 3 x (2 x 208) with n-grams for one
step on a made-up text of 65 symbols, exports it to int8, and serves it from processes of its own
(``processes.py``). Rates are of the least time of a step.

    git worktree add /tmp/before ace4720 && (cd /tmp/before && cmake -S . -B build && cmake --build build \
        && cmake --install build --prefix src)
    PYTHONPATH=src python benchmarks/ensemble.py --before /tmp/before [--seconds 12] [--json]

``--only one,many,score,train``: some of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from processes import Child, Work, serve, start, take_turns

MEMBERS, HIDDEN, LAYERS, EMBEDDING = 3, 208, 2, 64
ORDERS, ROWS = "3,4,5", 8192
SYMBOLS, CHARACTERS = 65, 300_000
TEXTS, TOKENS, SCORED = 256, 20, 64 * 1000
BATCH = 64
THREADS = 2
WORKS = ("one int8", "one float32", "many int8", "many float32", "score float32", "score int8", "train")


def text() -> str:
    """Made up, of 65 symbols, in lines."""
    import random

    draw = random.Random(1)
    letters = [chr(0x21 + number) for number in range(SYMBOLS - 1)]
    lines = ["".join(draw.choices(letters, k=39)) + "\n" for _ in range(CHARACTERS // 40)]
    return "".join(lines)


def made(folder: Path, source: Path) -> dict[str, int]:
    """The files of one working copy; their sizes."""
    folder.mkdir()
    book = folder / "book.txt"
    book.write_text(text())
    shape = f"--members {MEMBERS} --hidden-size {HIDDEN} --num-layers {LAYERS} --embedding-size {EMBEDDING}"
    command = f"train {book} --run {folder / 'run'} --steps 1 {shape} --ngrams {ORDERS} --ngram-rows {ROWS}"
    model, small = folder / "run" / "model.safetensors", folder / "small.safetensors"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    for words in (command.split(), ["export", str(model), "--to", "int8", "--out", str(small)]):
        subprocess.run(
            [sys.executable, "-m", "pantoum", *words, "--quiet"],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return {"float32 bytes": model.stat().st_size, "int8 bytes": small.stat().st_size}


def writing(file: Path, texts: int) -> Work:
    """A token of each of so many texts at a time."""
    import pantoum

    batch = pantoum.load(file).batch()
    for seed in range(texts):
        batch.start("", length=1_000_000, seed=seed, temperature=1.0)

    def step() -> None:
        for _ in range(TOKENS):
            batch.round()

    return Work(step, TOKENS * texts)


def scoring(file: Path, book: Path) -> Work:
    """A text in 64 segments side by side."""
    import pantoum

    model, words = pantoum.load(file), book.read_text()[:SCORED]
    return Work(lambda: model.score(words, "line", streams=64), SCORED)


def training() -> Work:
    """Whole steps of all members: gradients and update."""
    import numpy as np

    from pantoum import kernels
    from pantoum.config import ModelConfig
    from pantoum.data.batches import Batch
    from pantoum.training.assembly import make_backend

    found_in = import_module("pantoum.training.recipe")  # of an older copy; today a folder
    Recipe = getattr(found_in, "Recipe", None) or import_module("pantoum.training.recipe.recipe").Recipe
    orders = tuple(map(int, ORDERS.split(",")))
    config = ModelConfig("gru", HIDDEN, LAYERS, EMBEDDING, ngrams=orders, ngram_rows=ROWS)
    precision = kernels.precisions()[-1]
    recipe = Recipe(
        model=config, batch_size=BATCH, seq_len=BATCH, optimizer="muon", learning_rate=8e-3,
        schedule="linear", warm_up=0.04, weight_decay=0.1, clip=1.0,
        average=0.99, precision=precision, seed=0, members=MEMBERS,
    )  # fmt: skip
    backend = make_backend(recipe, SYMBOLS)
    tokens_BT = np.random.default_rng(0).integers(0, SYMBOLS, (BATCH, BATCH + 1))
    run: dict[str, Any] = {"state": backend.initial_state(BATCH), "step": 0}
    batch = Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], np.zeros((BATCH, BATCH), bool), 0)
    given = (batch,) if "batch" in signature(backend.gradients).parameters else batch[:3]  # of an older copy
    streams_B = np.arange(BATCH)

    def step() -> None:
        found = backend.gradients(*given, run["state"], run["step"], streams_B)
        backend.update(1e-3, 1.0)
        run["state"], run["step"] = found.state, run["step"] + 1

    return Work(step, BATCH * BATCH)


def work(name: str, folder: Path) -> Work:
    """A contestant by its name."""
    kind, precision = (*name.split(), "")[:2]
    file = folder / "small.safetensors" if precision == "int8" else folder / "run" / "model.safetensors"
    if kind == "train":
        return training()
    return (
        scoring(file, folder / "book.txt")
        if kind == "score"
        else writing(file, 1 if kind == "one" else TEXTS)
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="a checkout of an older pantoum, its core built")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each contestant")
    parser.add_argument("--only", default="one,many,score,train")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(partial(work, options.serve, options.folder))
        return
    from measured import machine  # not in the processes of an older copy, which lacks what it imports

    now = Path(machine()["from"]).parent
    sources = {"now": now} | ({"before": options.before / "src"} if options.before else {})
    with tempfile.TemporaryDirectory(prefix="pantoum-") as place:
        sizes = {which: made(Path(place) / which, source) for which, source in sources.items()}
        makers: dict[str, Callable[[], Child]] = {
            f"{which} {name}": partial(
                Child,
                __file__,
                name,
                THREADS,
                "--folder",
                str(Path(place) / which),
                PYTHONPATH=os.pathsep.join([str(source), str(Path(__file__).parent)]),
            )
            for name in WORKS
            if name.split()[0] in options.only.split(",")
            for which, source in sources.items()
        }
        children = start(makers)
        take_turns(children, options.seconds)
        found: dict[str, dict[str, Any]] = {name: child.close() for name, child in children.items()}
    if options.json:
        print(json.dumps({"machine": machine(), "sizes": sizes, "results": found}))
        return
    for key in ("float32 bytes", "int8 bytes"):
        print(f"{key:20}" + "".join(f"{which} {sizes[which][key]:>12,}  " for which in sizes))
    for name in WORKS:
        rates = {which: found.get(f"{which} {name}", {}).get("rate") for which in sources}
        shown = "".join(f"{which} {rate:>12,.0f}  " for which, rate in rates.items() if rate)
        ratio = f"{rates['now'] / rates['before']:.2f} x" if all(rates.values()) and len(rates) == 2 else ""
        if shown:
            print(f"{name:20}{shown}{ratio}  (tokens per second)")


if __name__ == "__main__":
    main()
