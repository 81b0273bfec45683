"""Two checkouts beside each other: training, writing, scoring and start-up, in turns of whole processes.

    python benchmarks/beside.py ../before . [--rounds 7] [--works "256 texts" "LSTM"] [--json]

Each checkout has a built core. A turn is a process that imports one of them and does all works once; the
checkouts take turns. Works use the public interface alone, so that any two commits can be compared: the
seconds of a training step are those between the reports of a run, which leave out preparing and evaluating.
The ratio of a work is the least time of the first checkout divided by that of the second: above 1 the second
is faster. The median of the ratios of the turns, pair by pair, stands beside it. ``--works``: those alone
whose names contain one of these words.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SHAPES = {
    "train GRU 3 x 512, 100 x 30": {"hidden_size": 512, "num_layers": 3, "batch_size": 100, "seq_len": 30},
    "train GRU 2 x 256, 32 x 64": {"hidden_size": 256, "num_layers": 2, "batch_size": 32, "seq_len": 64},
    "train LSTM 2 x 256, 32 x 64": {
        "cell": "lstm",
        "hidden_size": 256,
        "num_layers": 2,
        "batch_size": 32,
        "seq_len": 64,
    },
}
STEPS = {512: 12, 256: 60}
WRITTEN, SCORED = 6000, 60_000


def corpus(folder: Path) -> Path:
    """A text of 600 KB: the source of Python's standard library."""
    text = folder / "text.txt"
    if not text.exists():
        sources = sorted(Path(os.__file__).parent.glob("*.py"))
        text.write_text("".join(each.read_text("utf-8", "replace") for each in sources)[:600_000], "utf-8")
    return text


def turn(folder: Path, wanted: list[str]) -> dict[str, float]:
    """All works that are wanted once, in seconds."""

    def asked(work: str) -> bool:
        return not wanted or any(words in work for words in wanted)

    def took(work: str, do: Callable[[], object]) -> None:
        if asked(work):
            began = time.perf_counter()
            do()
            found[work] = time.perf_counter() - began

    began = time.perf_counter()
    import pantoum

    found = {"import": time.perf_counter() - began}
    text = corpus(folder)
    for name, shape in SHAPES.items():
        for precision in ("float32", "bf16"):
            if not asked(f"{name}, {precision}"):
                continue
            seconds, last = [], [0.0, 0]

            def reported(report: object, seconds: list[float] = seconds, last: list[float] = last) -> None:
                now, step = time.perf_counter(), getattr(report, "step", 0)
                if step > last[1] > 0:
                    seconds.append((now - last[0]) / (step - last[1]))
                last[:] = [now, step]

            steps = STEPS[int(str(shape["hidden_size"]))]
            with tempfile.TemporaryDirectory() as run:
                began = time.perf_counter()
                pantoum.train(
                    str(text),
                    run=str(Path(run) / "run"),
                    steps=steps,
                    valid_fraction=0.0,
                    tokens="characters",
                    precision=precision,
                    checkpoint_every=10**6,
                    on_report=reported,
                    threads=2,
                    **shape,
                )
                whole = (time.perf_counter() - began) / steps
            found[f"{name}, {precision}"] = min(seconds) if seconds else whole
    for file, precision in (("model.safetensors", "float32"), ("int8.safetensors", "int8")):
        model = pantoum.load(folder / file)
        took(
            f"write one text, {precision}",
            lambda model=model: model.generate("def ", length=WRITTEN, seed=1),
        )
        took(
            f"write 256 texts, {precision}",
            lambda model=model: model.generate("def ", length=WRITTEN // 60, seed=1, count=256),
        )
        scored = text.read_text("utf-8")[:SCORED]
        took(f"score, {precision}", lambda model=model, scored=scored: model.score(scored, by="line"))
    for name, command in (("--help", ["--help"]), ("info", ["info", str(folder / "model.safetensors")])):
        line = [sys.executable, "-m", "pantoum", *command]
        took(
            f"pantoum {name}",
            lambda line=line: subprocess.run(line, stdout=subprocess.DEVNULL, check=True, timeout=60),
        )
    return found


def make_models(folder: Path, checkout: Path) -> None:
    """A model of 3 x 512 units, and the same in int8, by the first checkout."""
    code = (
        "import pantoum, sys; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "pantoum.train(str(folder / 'text.txt'), run=str(folder / 'run'), steps=8, hidden_size=512,"
        " num_layers=3, batch_size=32, seq_len=30, tokens='characters')\n"
        "(folder / 'run' / 'model.safetensors').rename(folder / 'model.safetensors')\n"
        "from pantoum.api import export\n"
        "export(str(folder / 'model.safetensors'), to='int8', out=str(folder / 'int8.safetensors'))\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    """Turns of both checkouts, and their ratios."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("checkouts", nargs=2, type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--works", nargs="+", default=[], metavar="WORDS")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    before, after = (each.resolve() for each in arguments.checkouts)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpus(folder)
        make_models(folder, before)
        turns: dict[Path, list[dict[str, float]]] = {before: [], after: []}
        for number in range(arguments.rounds):
            for checkout in (before, after) if number % 2 == 0 else (after, before):
                env = {**os.environ, "PYTHONPATH": str(checkout / "src"), "BESIDE_TURN": str(folder)}
                done = subprocess.run(
                    [sys.executable, __file__, *arguments.works],
                    env=env,
                    stdout=subprocess.PIPE,
                    check=True,
                    text=True,
                )
                turns[checkout].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    rows = {}
    for name in turns[before][0]:
        ours, theirs = ([each[name] for each in turns[checkout]] for checkout in (after, before))
        rows[name] = {
            "before": min(theirs),
            "after": min(ours),
            "ratio": min(theirs) / min(ours),
            "median of pairs": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        }
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'work':40} {'before':>10} {'after':>10} {'ratio':>7} {'median':>7}")
    for name, row in rows.items():
        print(
            f"{name:40} {row['before'] * 1e3:8.2f}ms {row['after'] * 1e3:8.2f}ms "
            f"{row['ratio']:7.3f} {row['median of pairs']:7.3f}"
        )


if __name__ == "__main__":
    if "BESIDE_TURN" in os.environ:
        print(json.dumps(turn(Path(os.environ["BESIDE_TURN"]), sys.argv[1:])))
    else:
        main()
