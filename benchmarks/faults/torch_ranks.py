"""Rows 7 to 9 under ``torchrun``: ranks are killed or stopped, disagree, or lose their launcher.

    python benchmarks/faults/torch_ranks.py [--kills 8] [--stops 3] [--launchers 2] [--others 4] [--json]

Each case trains on two ranks, the core and PyTorch by turns, with ``--max-restarts 2``.

- kill, stop: a rank drawn at random gets SIGKILL or SIGSTOP at a random instant. One line must name it,
  within the time limit + 5 s the ranks must be gone, and the job must go on by itself from its newest
  checkpoint. After a kill it must be further than before within 15 s. The final files must equal those of a
  job that was left alone.
- launcher: ``torchrun`` gets SIGKILL. The ranks must end within 15 s, and ``--resume`` must lead to the same
  files.
- other: rank 1 is started with another setting, text or version. One line must name it, and nothing is left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ranks import bits, waited

from pantoum.formats import checkpoint

SHAPE = "--hidden-size 32 --num-layers 2 --batch-size 8 --seq-len 16 --shards 2 --checkpoint-every 10"
NAMED = re.compile(r"^pantoum(?: train)?: (rank \d+) \(host", re.MULTILINE)
ENGINES: dict[str, list[str]] = {"core": [], "torch": ["--device", "cpu"]}
START = 120.0
"""Seconds until two ranks have imported PyTorch and saved a checkpoint, on a busy machine."""
MOST_BEFORE = 2.0
"""Seconds after the first checkpoint at which a rank is ended, at most."""
RECOVERED, LAUNCHER_LIMIT = 15.0, 15.0
TRAIN = "train {text} --run {folder} --steps 20 {shape}"
OTHER = {
    "setting": f"exec {{python}} -m pantoum {TRAIN} --seed $RANK",
    "text": "[ $RANK = 1 ] && more=.old; exec {python} -m pantoum " + TRAIN.replace("{text}", "{text}$more"),
    "arithmetic": "[ $RANK = 1 ] && export PANTOUM_ISA=numpy PANTOUM_REQUIRE_CORE=0; "
    f"exec {{python}} -m pantoum {TRAIN}",
    "version": "exec {python} -c \"import os, sys, pantoum.config as c; c.VERSION += os.environ['RANK']; "
    "sys.argv[0] = 'pantoum'; from pantoum.__main__ import entry; entry()\" "
    f"{TRAIN}",
}
"""How rank 1 differs, as lines for a shell."""


@dataclass
class Case:
    """What became of one case."""

    how: str
    engine: str
    ended: float = 0.0
    """Seconds from the signal until all ranks of the first start have gone."""
    further: float = 0.0
    """Seconds from the signal until a checkpoint was newer than before."""
    faults: list[str] = field(default_factory=list)


def environment(timeout: float) -> dict[str, str]:
    hidden = ("RANK", "WORLD_SIZE", "PANTOUM_LAUNCHER")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    threads = {"OMP_NUM_THREADS": "1", "PANTOUM_THREADS": "1"}
    return {**clean, **threads, "PANTOUM_RANK_TIMEOUT": str(timeout)}


def launched(*command: str, timeout: float, restarts: int = 0, module: bool = True) -> subprocess.Popen[str]:
    """``torchrun`` with two ranks, in a session of its own."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launcher += ["--max-restarts", str(restarts), *(["-m", "--"] if module else ["--no-python", "--"])]
    return subprocess.Popen(
        [*launcher, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=environment(timeout),
    )  # fmt: skip


def processes(folder: Path) -> dict[int, int]:
    """The processes of the ranks that train in a folder, by their ranks."""
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            if str(folder).encode() not in words or b"torch.distributed.run" in words:
                continue
            known = dict(each.partition(b"=")[::2] for each in (entry / "environ").read_bytes().split(b"\0"))
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found[int(known[b"RANK"])] = int(entry.name)
    return found


def newest_step(folder: Path) -> int:
    return max(checkpoint.steps(folder), default=0)


def broken(
    case: Case, folder: Path, text: Path, shape: list[str], draw: random.Random, timeout: float
) -> str:
    """Start the job, end a rank or the launcher, wait for the end of the job; what it told."""
    asked = ["pantoum", "train", str(text), "--run", str(folder), *shape, *ENGINES[case.engine]]
    job = launched(*asked, timeout=timeout, restarts=2)
    waited(lambda: newest_step(folder) > 0 or job.poll() is not None, START)
    time.sleep(draw.uniform(0.0, MOST_BEFORE))
    first = processes(folder)
    if sorted(first) != [0, 1]:
        case.faults.append(f"ranks {sorted(first)} before the signal")
        job.kill()
        return job.communicate()[1]
    began = time.monotonic()
    if case.how == "launcher":
        job.kill()
        limit = LAUNCHER_LIMIT
    else:
        rank, limit = draw.choice([0, 1]), timeout + 5.0
        os.kill(first[rank], signal.SIGKILL if case.how == "kill" else signal.SIGSTOP)
        case.how = f"{case.how} rank {rank}"
    if not waited(lambda: not set(first.values()) & set(processes(folder).values()), limit):
        case.faults.append(f"ranks are still there after {limit:.0f} s: {processes(folder)}")
    case.ended = round(time.monotonic() - began, 2)
    before = newest_step(folder)
    if case.how != "launcher":
        waited(lambda: newest_step(folder) > before or job.poll() is not None, START)
        case.further = round(time.monotonic() - began, 2)
        if case.how.startswith("kill") and case.further > RECOVERED:
            case.faults.append(f"no further after {RECOVERED:.0f} s")
    told = job.communicate(timeout=300.0)[1]
    for process in processes(folder).values():
        os.kill(process, signal.SIGKILL)
    if case.how == "launcher":
        resumed = launched(
            "pantoum", "train", "--run", str(folder), "--resume", *ENGINES[case.engine], timeout=60.0
        )
        told += resumed.communicate(timeout=300.0)[1]
        job = resumed
    if job.returncode:
        case.faults.append(f"the job ends with {job.returncode}: {told[-800:]!r}")
    return told


def other(case: Case, folder: Path, text: Path, shape: list[str], timeout: float) -> str:
    """Start ranks that differ."""
    line = OTHER[case.how.partition(" ")[2]].format(
        python=sys.executable, text=text, folder=folder, shape=" ".join([*shape[:-2], *ENGINES[case.engine]])
    )
    job = launched("bash", "-c", line, timeout=timeout, module=False)
    began = time.monotonic()
    told = job.communicate(timeout=START)[1]
    case.ended = round(time.monotonic() - began, 2)
    if not job.returncode or folder.exists():
        case.faults.append(f"it ends with {job.returncode}, the folder is there: {folder.exists()}")
    return told


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--stops", type=int, default=3)
    parser.add_argument("--launchers", type=int, default=2)
    parser.add_argument("--others", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1000, help="enough for some seconds of training")
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    draw, cases = random.Random(asked.seed), list[Case]()
    shape = [*SHAPE.split(), "--steps", str(asked.steps)]
    with tempfile.TemporaryDirectory() as place:
        text = Path(place) / "text.txt"
        words = ["north", "south", "east", "west", "wind", "rain", "sun", "and", "then", "again", "\n"]
        text.write_text(" ".join(draw.choices(words, k=20_000)))
        shutil.copy(text, f"{text}.old")
        reference = {}
        for engine, more in ENGINES.items():
            whole = Path(place) / engine
            launched(
                "pantoum", "train", str(text), "--run", str(whole), *shape, *more, timeout=60.0
            ).communicate()
            reference[engine] = bits(whole)
        hows = ["kill"] * asked.kills + ["stop"] * asked.stops + ["launcher"] * asked.launchers
        hows += [f"other {name}" for name in list(OTHER)[: asked.others]]
        for number, how in enumerate(hows):
            case = Case(how, list(ENGINES)[number % 2])
            folder = Path(place) / f"case-{number}"
            if how.startswith("other"):
                told, expected = other(case, folder, text, shape, asked.timeout), ["rank 1"]
            else:
                told = broken(case, folder, text, shape, draw, asked.timeout)
                expected = [case.how.partition(" ")[2]] if how != "launcher" else []
                if bits(folder) != reference[case.engine]:
                    case.faults.append("other bits than those of the job that was left alone")
                if checkpoint.newest(folder) is None:
                    case.faults.append("no checkpoint verifies")
            if expected and NAMED.findall(told) != expected:
                case.faults.append(f"named are {NAMED.findall(told)}, not {expected}: {told[-600:]!r}")
            if "bug in pantoum" in told:
                case.faults.append(f"odd: {told[-600:]!r}")
            shutil.rmtree(folder, ignore_errors=True)
            cases.append(case)
            shown = "; ".join(case.faults) or "as it should be"
            line = (
                f"{case.how}, {case.engine}, ended in {case.ended:.1f} s, further after {case.further:.1f} s"
            )
            print(f"{number + 1}/{len(hows)} {line}: {shown}", file=sys.stderr, flush=True)
    summary: dict[str, Any] = {
        "cases": len(cases),
        "without_fault": sum(not case.faults for case in cases),
        "longest_until_ended": max((case.ended for case in cases), default=0.0),
        "longest_until_further": max((case.further for case in cases), default=0.0),
    }
    print(json.dumps({**summary, "all": [asdict(case) for case in cases]}) if asked.json else summary)
    sys.exit(any(case.faults for case in cases))


if __name__ == "__main__":
    main()
