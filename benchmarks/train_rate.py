"""All of `pantoum train` against the bare training step: the cost of batches, the guard, reports,
evaluations, samples, checkpoints and the end.

One run of the real command for --minutes of its own, at a shape of benchmarks/training.py, over --text or
random characters (96 of them: what is learned does not matter). These are as many for the minutes as 2 MB are
for the default five: a tenth is held out, at most 200,000 tokens, and all of that is scored at a run's end,
which costs the same however short the run was.

Both are measured in the same moments, because on a machine with neighbours one and the same step is 15 %
slower in one half minute than in the next. From its first record on, when it is prepared, the run is stopped
by a signal for a second after every two; in that second the benchmark's own step, the same shape and
precision, has the machine: in a process of its own, which is stopped otherwise. Which clock says what:

- The run's time is this script's, from the command's start to its end, less the slices that it was stopped
  and what the run calls preparing (reading the text, measuring the pace), into which no slice falls.
- The bare step's time is its own process', step by step. The first step of each slice, on cold caches, is
  left out; of the run nothing is, though it comes back to cold caches as often: to the run's disadvantage.
- The run's own clock counts the slices, so it is given half as many minutes again. Of those it spends a share
  on evaluations, which weighs half as much again in its own time. An evaluation that a slice interrupts seems
  expensive to it, and the next comes later; so the number of evaluations is reported, and the run's phases.

The mark compares the run's tokens per second with those of the mean bare step: like with like. The share of
the rate that benchmarks/training.py tells, which is the least step's, stands beside it: the bare step's own
mean misses that by 5 to 10 %.

    python benchmarks/train_rate.py [--shape origin] [--minutes 0.75] [--text FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from contestants import child
from measured import machine
from processes import Child
from training import SHAPES

from pantoum import kernels

MARK = 0.9
SYMBOLS = "".join(map(chr, range(32, 127))) + "\n"
SLICE = 1.0
"""Seconds that the bare step has at a time."""
STRETCH = 2.0
"""How many times the last slice the run goes on before the next."""
POLL = 0.02
"""Seconds between two reads of the metrics until the first record is there."""
TEXT = 2_000_000
"""Characters for five minutes."""


def command(text: Path, folder: Path, shape: dict[str, int], minutes: float) -> list[str]:
    """`pantoum train` at the shape, for so many minutes by its own clock."""
    sizes = {
        "--hidden-size": "H",
        "--embedding-size": "H",
        "--num-layers": "L",
        "--batch-size": "B",
        "--seq-len": "T",
    }
    flags = [word for flag, letter in sizes.items() for word in (flag, str(shape[letter]))]
    return [
        sys.executable,
        "-m",
        "pantoum",
        "train",
        str(text),
        "--run",
        str(folder),
        "--quiet",
        "--cell",
        "gru",
        "--dropout",
        "0",
        "--optimizer",
        "adamw",
        "--minutes",
        str(minutes),
        *flags,
    ]


def by_turns(words: list[str], first_record: Path, step: Child) -> tuple[float, float, list[list[float]]]:
    """The command, from its first record on by turns with the step: its seconds, those of them that it was
    stopped, and the times of the steps, a list a slice."""
    stopped, slices, began = 0.0, list[list[float]](), time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as run:
        try:
            while run.poll() is None and not first_record.exists():
                time.sleep(POLL)
            took = SLICE
            while True:
                with suppress(subprocess.TimeoutExpired):
                    run.wait(STRETCH * took)
                    break
                stopped_at = time.perf_counter()
                run.send_signal(signal.SIGSTOP)
                slices.append(step.run(SLICE))
                run.send_signal(signal.SIGCONT)
                took = time.perf_counter() - stopped_at
                stopped += took
                needed(step)
        except BaseException:
            run.kill()
            raise
    if run.returncode:
        raise SystemExit(f"the run ended with code {run.returncode}")
    return time.perf_counter() - began, stopped, slices


def needed(step: Child) -> None:
    """Without it there is nothing to compare with."""
    if step.missing:
        raise SystemExit(f"the benchmark's step is missing: {step.missing}")


def main() -> None:
    """The run and the step by turns, and what comes of it."""
    parser = argparse.ArgumentParser(description="all of `pantoum train` against the bare step")
    parser.add_argument("--shape", choices=SHAPES, default="origin")
    parser.add_argument("--minutes", type=float, default=0.75)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not hasattr(signal, "SIGSTOP"):
        raise SystemExit("this system cannot stop a process for a while, which is how this measures")
    shape, precision, threads = SHAPES[asked.shape], kernels.precisions()[-1], kernels.native.core().threads
    with tempfile.TemporaryDirectory() as place:
        text, folder = asked.text or Path(place, "text.txt"), Path(place, "run")
        if asked.text is None:
            text.write_text("".join(random.Random(0).choices(SYMBOLS, k=int(TEXT * asked.minutes / 5))))
        step = child(f"ours:gru:{precision}", shape, threads).wait()
        needed(step)
        metrics = folder / "metrics.jsonl"
        words = command(text, folder, shape, asked.minutes * (1 + 1 / STRETCH))
        seconds, stopped, slices = by_turns(words, metrics, step)
        step.close()
        records = [json.loads(line) for line in metrics.read_text().splitlines()]
    if not slices:
        raise SystemExit("the run was over before the first slice: give more --minutes")
    last, tokens = records[-1], shape["B"] * shape["T"]
    own = seconds - stopped - last["phases"]["preparing"]
    every, warm = ([took for each in slices for took in each[first:]] for first in (0, 1))
    bare = {
        "bare step, mean": statistics.mean(warm),
        "bare step, least": min(warm),
        "bare step, median": statistics.median(warm),
        "bare step, mean with each slice's first": statistics.mean(every),
    }
    rates = {
        "all after preparation": last["tokens"] / own,
        **{name: tokens / took for name, took in bare.items()},
    }
    shares = {name: rates["all after preparation"] / rates[name] for name in bare}
    share = shares["bare step, mean"]
    report = {
        "machine": machine(),
        "threads": threads,
        "shape": shape,
        "precision": precision,
        "minutes": asked.minutes,
        "steps": last["step"],
        "seconds": own,
        "wall seconds": seconds,
        "stopped": stopped,
        "slices": len(slices),
        "bare steps": len(warm),
        "evaluations": sum(each["valid"] is not None for each in records),
        "phases": last["phases"],
        "tokens per second": rates,
        "shares": shares,
        "share": share,
        "mark": MARK,
        "met": share >= MARK,
    }
    if asked.json:
        print(json.dumps(report))
        return
    print(machine())
    print(
        f"{asked.shape} {shape}, {precision}, {threads} threads; {last['step']} steps and "
        f"{report['evaluations']} evaluations in {own:.1f} s after preparation; {len(warm)} bare steps in "
        f"{len(slices)} slices of {stopped / len(slices):.2f} s"
    )
    print(
        "by the run's clock, which counts the slices: "
        + ", ".join(f"{name} {took:.1f} s" for name, took in last["phases"].items())
    )
    for name, rate in rates.items():
        of_it = f"   the run has {shares[name]:6.1%} of it" if name in shares else ""
        print(f"  {name:<42}{rate:9,.0f} tokens/s{of_it}")
    print(
        f"all after preparation, against the bare step's mean in the same moments: {share:.3f}, "
        f"mark {MARK}: {'met' if share >= MARK else 'NOT met'}; against its least step: "
        f"{shares['bare step, least']:.3f}"
    )


if __name__ == "__main__":
    main()
