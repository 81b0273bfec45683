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
        [--keep FOLDER]   copies of the files that had a fault
        [--core FILE]     another native core, say one built with AddressSanitizer (LD_PRELOAD its runtime)

A case is repeated from its seed and number: ``--first N --count 1``.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from drawn_cases import Teller, in_processes, parser

KINDS = ("model", "size", "state", "run")
BATCH = 500
"""Cases of one process: a new one begins with fresh memory."""
MOST_MEMORY = 6 << 30
MEMORY_TIMES, MEMORY_SPARE = 10, 64 << 20
TIME_LEAST, TIME_PER_BYTE = 2.0, 2.0 / 10e6
HANG = 600.0
"""Seconds after which a case shows its stacks and ends."""


def main() -> int:
    options = parser(__doc__, 100_000, KINDS)
    options.add_argument("--core", type=Path, help="another native core")
    asked = options.parse_args()
    if asked.worker:
        return work(asked)
    more = [f"--core={asked.core}"] if asked.core else []
    # What is freed goes back at once, so that no later command finds its memory there already.
    return in_processes(
        __file__, asked, BATCH, *more, MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536"
    )


def work(asked: argparse.Namespace) -> int:
    """Do the cases of a process."""
    import gettext
    import resource

    gettext.find = lambda *_, **__: None  # type: ignore[assignment]  # argparse asks the disk for every word
    teller, sys.stderr = Teller(), os.fdopen(os.dup(2), "w", buffering=1)
    import forgeries
    import numpy as np

    if asked.core:
        from pantoum.kernels.native import library

        library.FILE = asked.core
        library.HEADER = Path(__file__).parents[2] / "core" / "pantoum_core.h"
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        watch = Watch(place / "said", measure=not asked.core)
        good = forgeries.Good(place / "good")
        for number in range(asked.first, asked.first + asked.count):
            rng = np.random.default_rng([asked.seed, number])
            faulthandler.dump_traceback_later(HANG, exit=True, file=sys.stderr)
            case = forgeries.forge(rng, good, place / "case", asked.kind)
            teller.begins(number, case.words)
            counts, faults = Counter({f"kind {case.kind}": 1}), list[Any]()
            for command in case.commands:
                exit_code, found = watch.run(command, case.size)
                counts["answered" if exit_code == 0 else "refused"] += 1
                shown = " ".join(command).replace(str(place), "")
                faults += ([what, case.words, shown, detail] for what, detail in found)
            if faults and asked.keep:
                with contextlib.suppress(OSError):
                    kept = asked.keep / f"{asked.seed}-{number}"
                    shutil.copytree(place / "case", kept, dirs_exist_ok=True)
            teller.ended(number, counts, faults)
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
