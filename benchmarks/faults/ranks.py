"""Rows 7 to 9: ranks are killed or stopped, disagree, or lose their launcher; the run goes on.

    python benchmarks/faults/ranks.py mpirun|torchrun [--kills 20] [--stops 5] [--launchers 1] [--others 4]

Each case starts ranks of one thread on a run and ends something at a random instant. One line must name a
rank (with the launcher killed nobody may be able to write it), all processes of the first start must end
within the time limit + 5 s (15 s with the launcher killed), the newest checkpoint must verify, and the final
model file and checkpoint must equal those of a run that was never stopped.

- kill, stop: a rank drawn at random gets SIGKILL or SIGSTOP, so that it is there and does not answer.
- launcher: ``mpirun`` or ``torchrun`` gets SIGKILL.
- other (torchrun): rank 1 is started with another setting, text, arithmetic or version; the line must name
  it, and nothing is left.

Then the run is resumed (`--resume`). ``mpirun``: two or four ranks, 4 shards, resumed on one to four ranks.
Needs mpi4py. ``torchrun``: two ranks, the core and PyTorch by turns.
"""

from __future__ import annotations

import argparse
import hashlib
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pantoum.formats import checkpoint

SHAPE = "--hidden-size 32 --num-layers 2 --batch-size 8 --seq-len 16 --checkpoint-every 10"
NAMED = {
    "mpirun": re.compile(r"rank \d+|Rank: \[?[\w,]*\]?", re.IGNORECASE),
    "torchrun": re.compile(r"^pantoum(?: train)?: (rank \d+) \(host", re.MULTILINE),
}
ENGINES: dict[str, list[str]] = {"core": [], "torch": ["--device", "cpu"]}
START = 120.0
"""Seconds until the ranks have begun and saved a checkpoint, on a busy machine."""
MOST_BEFORE = 3.0
"""Seconds after the first checkpoint at which a rank is ended, at most."""
LAUNCHER_LIMIT = 15.0
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
    engine: str = "core"
    ranks: int = 2
    resumed_on: int = 2
    ended: float = 0.0
    """Seconds from the signal until all ranks of the first start have gone."""
    faults: list[str] = field(default_factory=list)


def launched(launcher: str, ranks: int, *words: str, timeout: float) -> subprocess.Popen[str]:
    """Ranks in a session of their own: of ``pantoum train`` with these words, or of a shell's line."""
    if launcher == "mpirun":
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        mpirun = shutil.which("mpirun") or str(Path(sys.executable).parent / "mpirun")
        command = [
            mpirun,
            "-n",
            str(ranks),
            "--oversubscribe",
            *root,
            sys.executable,
            "-m",
            "pantoum",
            *words,
        ]
    else:
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(ranks),
        ]
        command += ["--no-python", "--", *words] if words[0] == "bash" else ["-m", "--", "pantoum", *words]
    hidden = ("RANK", "WORLD_SIZE", "PANTOUM_LAUNCHER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"OMP_NUM_THREADS": "1", "PANTOUM_THREADS": "1", "PANTOUM_RANK_TIMEOUT": str(timeout)}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )


def processes(folder: Path) -> dict[int, int]:
    """The processes of the ranks that train in a folder, by their ranks."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if (
                str(folder).encode() not in words
                or (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            ):
                continue
            known = dict(each.partition(b"=")[::2] for each in (entry / "environ").read_bytes().split(b"\0"))
            rank = known.get(b"OMPI_COMM_WORLD_RANK", known.get(b"RANK"))
            if rank is not None:  # the launcher has none
                found[int(rank)] = int(entry.name)
    return found


def bits(folder: Path) -> str:
    """A hash of the model file and of every array of the last checkpoint."""
    newest, total = checkpoint.newest(folder), hashlib.sha256((folder / "model.safetensors").read_bytes())
    if newest is None:
        return "no checkpoint"
    for name, array in sorted(newest.arrays.items()):
        total.update(name.encode() + array.tobytes())
    return f"{newest.step} {total.hexdigest()}"


def newest_step(folder: Path) -> int:
    return max(checkpoint.steps(folder), default=0)


def waited(until: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def broken(case: Case, folder: Path, text: Path, shape: list[str], draw: random.Random, asked: Any) -> str:
    """Start the run, end a rank or the launcher, and go on to the end; what was told until the job ended."""
    words = ["train", str(text), "--run", str(folder), *shape, *ENGINES[case.engine]]
    job = launched(asked.launcher, case.ranks, *words, timeout=asked.timeout)
    waited(lambda: newest_step(folder) > 0 or job.poll() is not None, START)
    time.sleep(draw.uniform(0.0, MOST_BEFORE))
    first = processes(folder)
    if len(first) != case.ranks:
        case.faults.append(f"ranks {sorted(first)} before the signal")
        job.kill()
        return job.communicate()[1]
    began = time.monotonic()
    if case.how == "launcher":
        job.kill()
        limit = LAUNCHER_LIMIT
    else:
        rank, limit = draw.choice(sorted(first)), asked.timeout + 5.0
        os.kill(first[rank], signal.SIGKILL if case.how == "kill" else signal.SIGSTOP)
        case.how = f"{case.how} rank {rank}"
    if not waited(lambda: not set(first.values()) & set(processes(folder).values()), limit):
        case.faults.append(f"ranks are still there after {limit:.0f} s: {processes(folder)}")
    case.ended = round(time.monotonic() - began, 2)
    told = job.communicate(timeout=300.0)[1]
    for process in processes(folder).values():
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
    if checkpoint.newest(folder) is None:
        case.faults.append("no checkpoint verifies")
    words = ["train", "--run", str(folder), "--resume", *ENGINES[case.engine]]
    resumed = launched(asked.launcher, case.resumed_on, *words, timeout=60.0)
    rest = resumed.communicate(timeout=300.0)[1]
    if resumed.returncode:
        case.faults.append(f"resuming ends with {resumed.returncode}: {rest[-800:]!r}")
    return told


def other(case: Case, folder: Path, text: Path, shape: list[str], asked: Any) -> str:
    """Start ranks that differ."""
    line = OTHER[case.how.partition(" ")[2]].format(
        python=sys.executable, text=text, folder=folder, shape=" ".join([*shape[:-2], *ENGINES[case.engine]])
    )
    job, began = launched("torchrun", 2, "bash", "-c", line, timeout=asked.timeout), time.monotonic()
    told = job.communicate(timeout=START)[1]
    case.ended = round(time.monotonic() - began, 2)
    if not job.returncode or folder.exists():
        case.faults.append(f"it ends with {job.returncode}, the folder is there: {folder.exists()}")
    return told


def require_a_name(case: Case, told: str, launcher: str) -> None:
    """What the output must say."""
    named = NAMED[launcher].findall(told)
    if launcher == "torchrun" and case.how != "launcher":
        expected = "rank 1" if case.how.startswith("other") else case.how.partition(" ")[2]
        if named != [expected]:
            case.faults.append(f"named are {named}, not {expected}: {told[-600:]!r}")
    elif not named and case.how != "launcher":
        case.faults.append(f"no rank is named: {told[-300:]!r}")
    if "bug in pantoum" in told or (launcher == "mpirun" and "Traceback" in told):
        case.faults.append(f"odd: {told[-600:]!r}")


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("launcher", choices=NAMED)
    for name, count in {"kills": 20, "stops": 5, "launchers": 1, "others": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--steps", type=int, default=1000, help="enough for some seconds of training")
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    own = asked.launcher == "mpirun"
    engines = ["core"] if own else list(ENGINES)
    draw, cases = random.Random(asked.seed), list[Case]()
    shape = [*SHAPE.split(), "--shards", "4" if own else "2", "--steps", str(asked.steps)]
    hows = ["kill"] * asked.kills + ["stop"] * asked.stops + ["launcher"] * asked.launchers
    hows += [] if own else [f"other {name}" for name in list(OTHER)[: asked.others]]
    with tempfile.TemporaryDirectory() as place:
        text, reference = Path(place) / "text.txt", {}
        words = ["north", "south", "east", "west", "wind", "rain", "sun", "and", "then", "again", "\n"]
        text.write_text(" ".join(draw.choices(words, k=20_000)))
        shutil.copy(text, f"{text}.old")
        for engine in engines:
            whole = Path(place) / engine
            command = ["train", str(text), "--run", str(whole), *shape, *ENGINES[engine]]
            launched(asked.launcher, 1 if own else 2, *command, timeout=60.0).communicate()
            reference[engine] = bits(whole)
        for number, how in enumerate(hows):
            case, folder = Case(how, engines[number % len(engines)]), Path(place) / f"case-{number}"
            if own:
                case.ranks, case.resumed_on = draw.choice([2, 4]), draw.choice([1, 2, 3, 4])
            if how.startswith("other"):
                told = other(case, folder, text, shape, asked)
            else:
                told = broken(case, folder, text, shape, draw, asked)
                if bits(folder) != reference[case.engine]:
                    case.faults.append("other bits than those of a run that was never stopped")
            require_a_name(case, told, asked.launcher)
            shutil.rmtree(folder, ignore_errors=True)
            cases.append(case)
            shown = "; ".join(case.faults) or "as it should be"
            print(
                f"{number + 1}/{len(hows)} {case.how}, {case.engine}, ended in {case.ended:.1f} s: {shown}",
                file=sys.stderr,
                flush=True,
            )
    summary: dict[str, Any] = {"cases": len(cases), "without_fault": sum(not case.faults for case in cases)}
    summary["longest_until_ended"] = max((case.ended for case in cases), default=0.0)
    print(json.dumps({**summary, "all": [asdict(case) for case in cases]}) if asked.json else summary)
    sys.exit(any(case.faults for case in cases))


if __name__ == "__main__":
    main()
