"""Every claim of the README, checked: the short ones are measured again, for the long ones the log is quoted.

    python benchmarks/claims.py [--only training,startup] [--list] [--json]       (`make bench`)

The scripts run one after the other, alone, in under an hour of both cores; what each says is printed as it
comes, a script that fails or takes too long is named at the end, and the exit code says whether one did.
Peers that are not installed are left out by their scripts. ``docs/log`` has the figures of what takes longer:
the newest section with such a heading is printed as it stands, with its command.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
LOG = HERE.parent / "docs" / "log"


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
LOGGED = (
    ("quality", "minutes, NumPy only"),
    ("quality", "Quality"),
    ("faults", "SIGKILL"),
    ("faults", "refused, damaged and forged"),
    ("precision", "bf16 costs"),
    ("recipe-search", ""),
)
"""The log's page, and words of the heading, for what takes longer."""


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


def logged() -> list[str]:
    """The newest section of the log for each of ``LOGGED``; the newest stands first on a page."""
    found = []
    for page, words in LOGGED:
        sections = (LOG / f"{page}.md").read_text(encoding="utf-8").split("\n## ")[1:]
        found += ["## " + each.rstrip() for each in sections if words in each.partition("\n")[0]][:1]
    return found


def main() -> int:
    """Measure what is short, quote what is long."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="names, parted by commas")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    names = asked.only.split(",") if asked.only else [claim.name for claim in CLAIMS]
    chosen = [claim for claim in CLAIMS if claim.name in names]
    if asked.list:
        print("\n".join(f"{claim.name:12} {claim.says} (at most {claim.minutes:g} min)" for claim in chosen))
        return 0
    out = sys.stderr if asked.json else sys.stdout
    results = [measure(claim, out) for claim in chosen]
    quoted = logged()
    print("\n== Longer than an hour allows: from docs/log\n", *quoted, sep="\n\n", file=out)
    failed = [f"{each['name']} ({each['problem']})" for each in results if each["problem"]]
    if asked.json:
        print(json.dumps({"measured": results, "logged": quoted}))
    print("\nall of them ran" if not failed else "\nNOT MEASURED: " + ", ".join(failed), file=out)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
