"""The claims that are measured in under an hour; for those that take longer see docs/log.

    python benchmarks/claims.py [--only training,startup] [--list] [--json]       (`make bench`)

The scripts run one after the other, alone, in under an hour of both cores; what each says is printed as it
comes, a script that fails or takes too long is named at the end, and the exit code says whether one did.
Peers that are not installed are left out by their scripts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from measured import parser

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Claim:
    """A claim and the script that measures it."""

    name: str
    says: str
    command: tuple[str, ...]
    minutes: float
    """Longer than this, and it is stopped."""


CLAIMS = (
    Claim("startup", "the first character comes in a third of a second", ("startup.py", "--runs", "11"), 2),
    Claim("training", "a step runs near the machine's product rate", ("training.py",), 12),
    Claim("inference", "writing runs at the memory's rate", ("inference.py",), 15),
    Claim("prepare", "text is prepared in bounded memory", ("prepare.py",), 8),
    Claim("memory", "training needs little more than the model", ("memory.py",), 4),
)


def measure(claim: Claim, out: TextIO) -> dict[str, Any]:
    """Run its script, pass on what it says."""
    print(
        f"\n== {claim.name}: {claim.says}\n$ python benchmarks/{' '.join(claim.command)}",
        file=out,
        flush=True,
    )
    began = time.perf_counter()
    script, *flags = claim.command
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / script), *flags],
            timeout=60 * claim.minutes,
            stdout=subprocess.PIPE,
            text=True,
        )
        problem = None if done.returncode == 0 else f"exit code {done.returncode}"
        answer = done.stdout
    except subprocess.TimeoutExpired:
        problem, answer = f"not done after {claim.minutes:g} minutes", ""
    print(answer or problem, file=out, flush=True)
    return {"name": claim.name, "seconds": time.perf_counter() - began, "problem": problem, "answer": answer}


def main() -> int:
    """Measure one after the other."""
    options = parser(__doc__)
    options.add_argument("--only", help="names, parted by commas")
    options.add_argument("--list", action="store_true")
    asked = options.parse_args()
    names = asked.only.split(",") if asked.only else [claim.name for claim in CLAIMS]
    chosen = [claim for claim in CLAIMS if claim.name in names]
    if asked.list:
        print("\n".join(f"{claim.name:12} {claim.says} (at most {claim.minutes:g} min)" for claim in chosen))
        return 0
    out = sys.stderr if asked.json else sys.stdout
    results = [measure(claim, out) for claim in chosen]
    failed = [f"{each['name']} ({each['problem']})" for each in results if each["problem"]]
    if asked.json:
        print(json.dumps({"measured": results}))
    print("\nall of them ran" if not failed else "\nNOT MEASURED: " + ", ".join(failed), file=out)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
