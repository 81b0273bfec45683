"""One run as a job of Slurm by submitit, which goes on in a new job when its time is up.

pip install submitit
python examples/clusters/with_submitit.py book.txt runs/book        without Slurm: in a process of its own
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import submitit

import pantoum


class Training:
    """What a job does; a new one goes on from the newest checkpoint."""

    def __call__(self, text: str, run: str, **budget: Any) -> str:
        begun = Path(run, "config.json").exists()
        return str(
            pantoum.train(() if begun else text, run=run, resume=begun, progress=False, **budget).folder
        )

    def checkpoint(self, *given: Any, **budget: Any) -> Any:
        """Called when the time is nearly up: the job to start in place of this one."""
        return submitit.helpers.DelayedSubmission(self, *given, **budget)


if __name__ == "__main__":
    executor = submitit.AutoExecutor("runs/jobs")
    executor.update_parameters(timeout_min=120, cpus_per_task=2)
    print(executor.submit(Training(), *sys.argv[1:3], minutes=5).result())
