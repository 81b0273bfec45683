"""All of `pantoum train` against the bare training step: what batches, the guard, reports, held-out looks,
samples, checkpoints and the end cost.

One run of the real command for --minutes by the clock, at a shape of benchmarks/training.py, over --text or
random characters (96 of them: what is learned does not matter). These are as many for the minutes as 2 MB are
for the default five: a tenth is held out, at most 200,000 tokens, and all of that is scored at a run's end,
which costs the same however short the run was. Before and after it the benchmark's own
step, the same shape and precision, in a process that is stopped meanwhile.

Rates are tokens a second: of the run's training phase alone, and of everything after preparation (reading the
text, measuring the pace). The mark holds the latter, a mean over minutes, against the benchmark's rate, which
is that of its least step. On a machine with neighbours the mean of the very same step is some 5 to 10 % below
its best, whoever runs it; so like is held against like too: the best second of the training phase against the
benchmark's best second, the median one against its median one, the mean against its mean. What those leave is
what `pantoum train` adds.

    python benchmarks/train_rate.py [--shape origin] [--minutes 0.75] [--text FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from contestants import child
from measured import machine
from training import SHAPES

from pantoum import kernels

MARK = 0.9
SYMBOLS = "".join(map(chr, range(32, 127))) + "\n"
BENCH_SECONDS = 8.0
TEXT = 2_000_000
"""Characters for five minutes."""


def trained(text: Path, folder: Path, shape: dict[str, int], minutes: float) -> list[dict[str, Any]]:
    """The records of a run: steps, tokens and seconds of each phase, and the rate since the record before."""
    sizes = {"--hidden-size": "H", "--embedding-size": "H", "--num-layers": "L", "--batch-size": "B",
             "--seq-len": "T"}
    flags = [word for flag, letter in sizes.items() for word in (flag, str(shape[letter]))]
    subprocess.run([sys.executable, "-m", "pantoum", "train", str(text), "--run", str(folder), "--quiet",
                    "--cell", "gru", "--dropout", "0", "--optimizer", "adamw", "--minutes", str(minutes),
                    *flags],
                   check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def by_second(times: list[float], tokens: int) -> list[float]:
    """Rates of consecutive steps, a second of them together at a time."""
    rates, begun, count = list[float](), 0.0, 0
    for each in times:
        begun, count = begun + each, count + 1
        if begun >= 1.0:
            rates.append(count * tokens / begun)
            begun, count = 0.0, 0
    return rates


def spread(rates: list[float], mean: float) -> dict[str, float]:
    """Best and median second, and the mean."""
    return {"best second": max(rates), "median second": statistics.median(rates), "mean": mean}


def main() -> None:
    """The step, the run, the step again."""
    parser = argparse.ArgumentParser(description="all of `pantoum train` against the bare step")
    parser.add_argument("--shape", choices=SHAPES, default="origin")
    parser.add_argument("--minutes", type=float, default=0.75)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    shape, precision, threads = SHAPES[asked.shape], kernels.precisions()[-1], kernels.native.core().threads
    with tempfile.TemporaryDirectory() as place:
        text = asked.text or Path(place, "text.txt")
        if asked.text is None:
            text.write_text("".join(random.Random(0).choices(SYMBOLS, k=int(TEXT * asked.minutes / 5))))
        step = child(f"ours:gru:{precision}", shape, threads).wait()
        if step.missing:
            raise SystemExit(f"the benchmark's step did not start: {step.missing}")
        step.run(BENCH_SECONDS / 2)
        records = trained(text, Path(place, "run"), shape, asked.minutes)
        step.run(BENCH_SECONDS / 2)
        of_step = step.close()
    last = records[-1]
    tokens, phases = shape["B"] * shape["T"], last["phases"]
    bench = {name: of_step[name] for name in ("min", "median", "max")}
    rates = {"benchmark": tokens / bench["min"], "benchmark, median step": tokens / bench["median"],
             "training phase": last["tokens"] / phases["training"],
             "all after preparation": last["tokens"] / (last["seconds"] - phases["preparing"])}
    share = rates["all after preparation"] / rates["benchmark"]
    alike = {"benchmark": spread(by_second(step.times, tokens), tokens * len(step.times) / sum(step.times)),
             "training phase": spread([rate for each in records if (rate := each["tokens_per_second"])],
                                      rates["training phase"])}
    ratios = {name: alike["training phase"][name] / rate for name, rate in alike["benchmark"].items()}
    report = {"machine": machine(), "threads": threads, "shape": shape, "precision": precision,
              "minutes": asked.minutes, "steps": last["step"], "seconds": last["seconds"], "phases": phases,
              "step seconds": bench, "tokens per second": rates, "share": share,
              "share while training": rates["training phase"] / rates["benchmark"],
              "by second": alike, "like against like": ratios, "mark": MARK, "met": share >= MARK}
    if asked.json:
        print(json.dumps(report))
        return
    print(machine())
    print(f"{asked.shape} {shape}, {precision}, {threads} threads; {last['step']} steps in "
          f"{last['seconds']:.1f} s: " + ", ".join(f"{name} {took:.1f} s" for name, took in phases.items()))
    for name, rate in rates.items():
        print(f"  {name:<24}{rate:9,.0f} tokens/s   {rate / rates['benchmark']:6.1%}")
    print(f"{'like against like':<26}{'benchmark':>12}{'training':>12}")
    for name, ratio in ratios.items():
        print(f"  {name:<24}{alike['benchmark'][name]:12,.0f}{alike['training phase'][name]:12,.0f}   "
              f"{ratio:6.1%}")
    print(f"all after preparation, against the benchmark's least step: {share:.3f}, mark {MARK}: "
          f"{'met' if share >= MARK else 'NOT met'}")


if __name__ == "__main__":
    main()
