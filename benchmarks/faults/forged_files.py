"""Fault test 21: files forged by someone who knows the formats, with hashes that match, in every command.

Each case takes a good file, takes it apart (header, configuration, card, tokenizer, arrays), changes one or a
few parts, puts it together with a hash that matches, and gives it to the commands that people give it to:
`info`, `info --verify`, `generate`, `score`, `evaluate`, `train --data`, `train --resume`. So a forgery
reaches tokenizer, network, n-grams and sampler, not only the reader. A command may answer, or refuse in one
line. These are faults:

    crash     the process ended by a signal
    bug       "a bug in pantoum", a traceback, or an exit code that is none of ours
    lines     a refusal of several lines
    memory    more than 10 times the file and 64 MB were taken
    time      more than 2 s of processor time, and 2 s more for each 10 MB; a case of ten minutes hangs

    python benchmarks/faults/forged_files.py [--count 100000] [--seed 0] [--first 0] [--kind model] [--json]
        [--keep FOLDER]   copies of the files that found a fault
        [--core FILE]     another native core, say one built with AddressSanitizer (LD_PRELOAD its runtime)

A case is repeated from its seed and number: ``--first N --count 1``.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

BATCH = 500
"""Cases of one process: a new one begins with fresh memory."""
MOST_MEMORY = 6 << 30
MEMORY_TIMES, MEMORY_SPARE = 10, 64 << 20
TIME_LEAST, TIME_PER_BYTE = 2.0, 2.0 / 10e6
HANG = 600.0
"""Seconds after which a case shows its stacks and ends."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", help="only this kind: model, size, state, run")
    parser.add_argument("--keep", type=Path, help="folder for copies of what found a fault")
    parser.add_argument("--core", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.worker:
        return work(wanted)
    tally: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    began, number, end = time.perf_counter(), wanted.first, wanted.first + wanted.count
    while number < end:
        number = batch(wanted, number, min(BATCH, end - number), tally, faults)
        print(f"{number - wanted.first}: {dict(tally)}", file=sys.stderr, flush=True)
    result = {
        "cases": wanted.count,
        "seed": wanted.seed,
        "first": wanted.first,
        "seconds": round(time.perf_counter() - began, 1),
        "counts": dict(sorted(tally.items())),
        "faults": faults[:200],
    }
    print(json.dumps(result) if wanted.json else json.dumps(result, indent=1))
    return 1 if faults else 0


def batch(
    wanted: argparse.Namespace, first: int, count: int, tally: Counter[str], faults: list[dict[str, Any]]
) -> int:
    """Run cases in a process of their own, and return the number of the next; a crash ends the process."""
    command = [sys.executable, __file__, "--worker", f"--seed={wanted.seed}", f"--first={first}"]
    command += [f"--count={count}"]
    command += [
        f"--{name}={getattr(wanted, name)}" for name in ("kind", "keep", "core") if getattr(wanted, name)
    ]
    # What is freed goes back at once, so that no later command finds its memory there already.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    told = tempfile.TemporaryFile("w+")  # noqa: SIM115  # no pipe: nobody reads it before the end
    process = subprocess.Popen(command, text=True, env=environment, stdout=subprocess.PIPE, stderr=told)
    assert process.stdout is not None
    at, words = -1, ""
    for line in process.stdout:
        said = json.loads(line)
        if "begin" in said:
            at, words = said["begin"], said["words"]
            continue
        tally["cases"] += 1
        tally[f"kind {said['kind']}"] += 1
        tally.update(said["counts"])
        for fault in said["faults"]:
            tally[f"FAULT {fault['what']}"] += 1
            faults.append(fault)
            print(json.dumps(fault), file=sys.stderr, flush=True)
        at = said["number"] + 1
    code = process.wait()
    told.seek(0)
    if code == 0:
        return first + count
    if at < 0:
        raise SystemExit(f"the process ended before its first case: {told.read()}")
    tally["cases"] += 1
    what = "crash" if code < 0 else "error of this script"
    tally[f"FAULT {what}"] += 1
    faults.append({"what": what, "number": at, "words": words, "code": code, "detail": told.read()[-1600:]})
    print(json.dumps(faults[-1]), file=sys.stderr, flush=True)
    return at + 1


def work(wanted: argparse.Namespace) -> int:
    """The cases of one process, one line of JSON before and after each."""
    import gettext
    import resource

    gettext.find = lambda *_, **__: None  # type: ignore[assignment]  # argparse asks the disk for every word
    report, sys.stderr = os.fdopen(os.dup(1), "w", buffering=1), os.fdopen(os.dup(2), "w", buffering=1)
    import forgeries
    import numpy as np

    if wanted.core:
        from pantoum.kernels.native import library

        library.FILE = wanted.core
        library.HEADER = Path(__file__).parents[2] / "core" / "pantoum_core.h"
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        watch = Watch(place / "said", measure=not wanted.core)
        good = forgeries.Good(place / "good")
        for number in range(wanted.first, wanted.first + wanted.count):
            rng = np.random.default_rng([wanted.seed, number])
            faulthandler.dump_traceback_later(HANG, exit=True, file=sys.stderr)
            case = forgeries.forge(rng, good, place / "case", wanted.kind)
            report.write(json.dumps({"begin": number, "words": case.words}) + "\n")
            counts: Counter[str] = Counter()
            faults: list[dict[str, Any]] = []
            for command in case.commands:
                exit_code, found = watch.run(command, case.size)
                counts["answered" if exit_code == 0 else "refused"] += 1
                for what, detail in found:
                    shown = " ".join(command).replace(str(place), "")
                    faults.append(
                        {
                            "what": what,
                            "number": number,
                            "words": case.words,
                            "command": shown,
                            "detail": detail,
                        }
                    )
            if faults and wanted.keep:
                with contextlib.suppress(OSError):
                    shutil.copytree(
                        place / "case", wanted.keep / f"{wanted.seed}-{number}", dirs_exist_ok=True
                    )
            done = {"number": number, "kind": case.kind, "counts": dict(counts), "faults": faults}
            report.write(json.dumps(done) + "\n")
            shutil.rmtree(place / "case")
    return 0


class Watch:
    """Runs commands within this process and looks at what they say, take and return."""

    def __init__(self, said: Path, *, measure: bool) -> None:
        self._streams = {
            stream: os.open(f"{said}-{stream}", os.O_RDWR | os.O_CREAT | os.O_APPEND) for stream in (1, 2)
        }
        self._measure = measure
        self._take_streams()

    def _take_streams(self) -> None:
        """Empty files for stdout and stderr; a command that ends early turns them elsewhere."""
        for stream, file in self._streams.items():
            os.ftruncate(file, 0)
            os.dup2(file, stream)

    def run(self, command: list[str], size: int) -> tuple[int, list[tuple[str, str]]]:
        """The exit code and the faults of one command on files of ``size`` bytes."""
        from pantoum.cli.main import main as pantoum

        self._take_streams()
        stderr, sys.stderr = sys.stderr, sys.__stderr__
        Path("/proc/self/clear_refs").write_text("5")
        before, began = memory("VmRSS"), time.process_time()
        code = pantoum(command)
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stderr = stderr
        seconds, taken = time.process_time() - began, memory("VmHWM") - before
        said = os.pread(self._streams[2], 1 << 20, 0).decode("utf-8", "replace")
        found = []
        if "a bug in pantoum" in said or "Traceback" in said or code not in (0, 1):
            found.append(("bug", f"exit {code}: {said[-300:]}"))
        refusals = [line for line in said.splitlines() if line.startswith("pantoum ")]
        if code == 1 and (not refusals or not said.rstrip("\n").splitlines()[-1].startswith("pantoum ")):
            found.append(("lines", said[-300:]))
        if self._measure and taken > MEMORY_TIMES * size + MEMORY_SPARE:
            found.append(("memory", f"{taken:,} bytes for {size:,}, exit {code}"))
        if self._measure and seconds > TIME_LEAST + TIME_PER_BYTE * size:
            found.append(("time", f"{seconds:.1f} s for {size:,} bytes, exit {code}"))
        return code, found


def memory(name: str) -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` at most since the last ``clear_refs``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


if __name__ == "__main__":
    sys.exit(main())
