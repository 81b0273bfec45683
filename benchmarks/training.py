"""Whole training steps of the native core against PyTorch, TensorFlow and JAX, and the marks set for them.

One run gives all: our cells in both precisions, the peers (``contestants.py`` says which and how), the rate
of a large matrix product, one thread against two, and our steps beside a loop that never rests on one of
the cores. The processes take turns (``processes.py``); rates count the nominal products of a step and its
least time. Run it in an environment with the peers (benchmarks/requirements.txt) and pantoum:

    python benchmarks/training.py [--json] [--shape origin] [--seconds 4] [--only gru,torch]
    python benchmarks/training.py --only ours:gru:bf16 --threads 1,2 --no-busy
    python benchmarks/training.py --starts 20 [--shape small]

``--starts``: how often a process that has measured nothing before chooses the faster precision of our GRU, as
``train --minutes`` does, quiet and beside a loop that never rests. A choice is right that is within 2 %.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Any

from contestants import Shape, child
from measured import machine, parser, print_marks
from processes import Child, say, start, take_turns

SHAPES = {
    "origin": {"B": 100, "T": 30, "H": 512, "L": 3, "V": 98},
    "small": {"B": 32, "T": 64, "H": 256, "L": 2, "V": 98},
}
OURS = [f"ours:{cell}:{p}" for cell in ("gru", "gru-before", "lstm") for p in ("bf16", "float32")]
GRU_PEERS = ["torch:gru:float32", "torch:gru:bf16", "tensorflow:gru:float32", "jax:gru:float32"]
LSTM_PEERS = ["torch:lstm:float32", "torch:lstm:bf16"]
CONTESTANTS = ["product:float32", "product:bf16", *OURS, *GRU_PEERS, *LSTM_PEERS]
BEST = "ours:gru:bf16"
BUSY_TURNS, BUSY_SECONDS = 3, 1.5
CHOOSE = """
import sys
from pantoum.training.fastest import fastest_precision
H, B, T = map(int, sys.argv[1:])
print(fastest_precision(H, B * T, B).precision)
"""
MARKS: list[tuple[str, str, float]] = [
    ("share of the bf16 product rate", "origin", 0.85),
    ("GRU bf16 x nn.GRU float32", "origin", 2.5),
    ("GRU bf16 x nn.GRU float32", "small", 3.0),
    ("GRU bf16 x best peer", "origin", 1.2),
    ("GRU bf16 x best peer", "small", 2.0),
    ("LSTM bf16 x best peer", "origin", 1.15),
    ("LSTM bf16 x best peer", "small", 1.05),
    ("LSTM bf16 x nn.LSTM float32", "origin", 1.9),
    ("GRU float32 x nn.GRU float32", "origin", 1.2),
    ("GRU float32 x nn.GRU float32", "small", 1.8),
    ("before / after, at most", "origin", 1.4),
    ("before / after, at most", "small", 1.4),
    ("one thread / two threads", "origin", 1.85),
    ("one thread / two threads", "small", 1.85),
    ("busy / alone, at most", "origin", 2.2),
    ("busy / alone, at most", "small", 2.2),
]


def measure(shape: Shape, names: list[str], seconds: float, threads: list[int], busy: bool) -> dict[str, Any]:
    """All of them in turns; then the best of ours beside a busy loop."""
    makers = {name: partial(child, name, shape, max(threads)) for name in names}
    if BEST in names:
        makers |= {
            f"{BEST}@{count}": partial(child, BEST, shape, count)
            for count in threads
            if count != max(threads)
        }
    children = start(makers)
    take_turns(children, seconds)
    found: dict[str, Any] = {"contestants": {}, "missing": {}}
    for name, each in children.items():
        times = list(each.times)  # those beside a loop do not count
        if name == BEST and busy and times:
            found["busy"] = beside_a_loop(each)
            each.times = times
        of = each.close()
        if each.missing is None and times:
            found["contestants"][name] = {**of, "gflops": of["rate"]}
        else:
            found["missing"][name] = each.missing
    return found


def beside_a_loop(child: Child) -> dict[str, float]:
    """Medians of its steps, by turns alone and with a loop that never rests on one of the cores."""
    alone, busy = list[float](), list[float]()
    for _ in range(BUSY_TURNS):
        alone += child.run(BUSY_SECONDS / 2)
        loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(loop.pid, {min(os.sched_getaffinity(0))})
        time.sleep(0.2)
        busy += child.run(BUSY_SECONDS)
        loop.kill()
        loop.wait()
    say("beside a busy loop: done")
    return {"alone": statistics.median(alone), "busy": statistics.median(busy)}


def chosen(shape: Shape) -> str:
    """The precision that a process chooses whose cache is empty."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-c", CHOOSE, *(str(shape[name]) for name in "HBT")]
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def starts(count: int, shape: Shape, seconds: float, threads: int) -> dict[str, Any]:
    """The rate of each precision, and how many starts choose right, quiet and busy."""
    names = {precision: f"ours:gru:{precision}" for precision in ("float32", "bf16")}
    children = start({p: partial(child, name, shape, threads) for p, name in names.items()})
    take_turns(children, seconds)
    times = {p: min(each.times) for p, each in children.items() if each.missing is None}
    for each in children.values():
        each.close()
    right = {p for p, took in times.items() if took <= min(times.values()) / 0.98}
    found: dict[str, Any] = {"seconds": times, "starts": count}
    found["quiet"] = sum(chosen(shape) in right for _ in range(count))
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        found["busy"] = sum(chosen(shape) in right for _ in range(count))
    finally:
        loop.kill()
        loop.wait()
    return found


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Every figure that a mark is set for, as far as its contestants ran. Ratios are of least times."""
    seen = found["contestants"]
    times = {name: each["min"] for name, each in seen.items()}
    result: dict[str, float] = {}

    def compare(what: str, slower: str, faster: str) -> None:
        if slower in times and faster in times:
            result[what] = times[slower] / times[faster]

    for precision in ("float32", "bf16"):
        product, own = f"product:{precision}", f"ours:gru:{precision}"
        if product in seen and own in seen:
            result[f"share of the {precision} product rate"] = seen[own]["gflops"] / seen[product]["gflops"]
    for cell, peers in (("GRU", GRU_PEERS), ("LSTM", LSTM_PEERS)):
        name = cell.lower()
        for precision in ("float32", "bf16"):
            compare(
                f"{cell} {precision} x nn.{cell} float32", f"torch:{name}:float32", f"ours:{name}:{precision}"
            )
        ran = [peer for peer in peers if peer in times]
        if ran:
            compare(f"{cell} bf16 x best peer", min(ran, key=times.__getitem__), f"ours:{name}:bf16")
    compare("before / after, at most", "ours:gru-before:bf16", BEST)
    compare("before / after, float32", "ours:gru-before:float32", "ours:gru:float32")
    compare("one thread / two threads", f"{BEST}@1", BEST)
    if "busy" in found:
        result["busy / alone, at most"] = found["busy"]["busy"] / found["busy"]["alone"]
    return result


def judged(what: str, shape: str, value: float) -> dict[str, Any]:
    """A figure with its mark, if there is one for this shape; a ratio of times has to be below it."""
    mark, most = (
        {(name, where): mark for name, where, mark in MARKS}.get((what, shape)),
        what.endswith("at most"),
    )
    if mark is None:
        return {"mark": what, "figure": value, "wanted": "", "holds": True}
    holds = value <= mark if most else value >= mark
    return {"mark": what, "figure": value, "wanted": f"{'<=' if most else '>='} {mark:g}", "holds": holds}


def show(report: dict[str, Any]) -> None:
    """The report for people."""
    print(report["machine"])
    print(f"{report['threads']} threads, {report['took']} s in all")
    for name, found in report["shapes"].items():
        print(f"\n{name}: " + " ".join(f"{k}={v}" for k, v in SHAPES[name].items()))
        for contestant, r in found["contestants"].items():
            print(
                f"  {contestant:24} min {r['min'] * 1e3:7.1f} ms  median {r['median'] * 1e3:7.1f}  "
                f"max {r['max'] * 1e3:7.1f}  ({r['steps']} steps)  {r['gflops']:5.0f} GFLOP/s"
            )
        if found["missing"]:
            print("  NOT MEASURED: " + ", ".join(f"{name} ({why})" for name, why in found["missing"].items()))
        print_marks(found["ratios"])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=4, help="for each contestant at each shape")
    options.add_argument(
        "--threads",
        default=f"1,{os.cpu_count()}",
        help="the most: for all; fewer: for our GRU in bf16 beside it",
    )
    options.add_argument("--shape", choices=SHAPES)
    options.add_argument("--only", help="contestants whose names contain one of these, with commas")
    options.add_argument("--no-busy", action="store_true", help="leave the busy loop out")
    options.add_argument("--starts", type=int, help="count right choices of the precision instead")
    asked = options.parse_args()
    if asked.starts:
        for name in [asked.shape] if asked.shape else SHAPES:
            print(name, json.dumps(starts(asked.starts, SHAPES[name], asked.seconds, os.cpu_count() or 1)))
        return
    words = asked.only.split(",") if asked.only else [""]
    names = [name for name in CONTESTANTS if any(word in name for word in words)]
    threads = [int(count) for count in asked.threads.split(",")]
    began = time.perf_counter()
    report: dict[str, Any] = {"machine": machine(), "threads": max(threads), "shapes": {}}
    for name in [asked.shape] if asked.shape else SHAPES:
        say(f"{name}:")
        found = measure(SHAPES[name], names, asked.seconds, threads, not asked.no_busy)
        found["ratios"] = [judged(what, name, value) for what, value in ratios(found).items()]
        report["shapes"][name] = found
    report["took"] = round(time.perf_counter() - began, 1)
    if asked.json:
        print(json.dumps(report))
    else:
        show(report)


if __name__ == "__main__":
    main()
