"""A job whose launcher starts the command again when a process has failed (``torchrun --max-restarts``).

The same command would then begin a second run, or be refused because the folder exists. So the launcher
remembers the folder that the first start has made, and a later start goes on with that run: with the budget
and the settings that it began with. A folder that another job has made is never entered in this way. A
command with ``--resume`` needs none of this: it is right as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pantoum.config import TrainSettings

__all__ = ["Job", "after_restart"]

OF_THE_COMMAND = ("stop_after", "checkpoint_every", "data", "keep_data", "device")
"""Settings that a run does not keep: they are those of each command."""


class Job(Protocol):
    """What the launcher remembers from one start of the command to the next."""

    @property
    def run(self) -> Path | None:
        """The folder of the run that this job has made."""
        ...

    def remember(self, run: Path) -> None:
        """This job has made this folder."""


def after_restart(
    job: Job, settings: TrainSettings, texts: Sequence[str]
) -> tuple[TrainSettings, Sequence[str]]:
    """Settings and texts with which to go on with the run of the job; those given if it has none yet."""
    made = None if settings.resume else job.run
    if made is None or not made.is_dir():
        return settings, texts
    kept = {name: getattr(settings, name) for name in OF_THE_COMMAND}
    return TrainSettings(run=str(made), resume=True, **kept), ()
