"""The key-value store that ``torchrun`` keeps for its processes, over all restarts of a job.

Ranks find each other through it, send signs of life, and agree on who speaks when the job fails; a restarted
rank 0 learns from it which run the job has made. Keys of one attempt stand under its number, so that a
restart never reads what processes that have ended wrote.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from torch import distributed

if TYPE_CHECKING:
    from pantoum.training.run_session import LauncherJob

__all__ = ["attempt_prefix", "may_restart", "open_store", "torchrun_job"]

PATIENCE = 20.0
"""Seconds to reach the store, which is there before any process is started."""


def open_store(rank: int, seconds: float) -> distributed.TCPStore:
    """A connection of its own to the store; an operation that waits gives up after so many seconds.
    ``KeyError``, ``ValueError``, ``RuntimeError``: the environment is not that of ``torchrun``, or nobody
    answers."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    here = rank == 0 and not _of_the_launcher()  # then rank 0 has to keep it
    return distributed.TCPStore(
        host, port, is_master=here, timeout=timedelta(seconds=seconds), multi_tenant=True
    )


def attempt_prefix() -> str:
    """The beginning of the keys of this start of the job."""
    return f"pantoum/{os.environ.get('TORCHELASTIC_RUN_ID')}/{_number('TORCHELASTIC_RESTART_COUNT')}/"


def may_restart() -> bool:
    """Whether ``torchrun`` starts all processes again when this attempt has failed."""
    return _number("TORCHELASTIC_RESTART_COUNT") < _number("TORCHELASTIC_MAX_RESTARTS")


def torchrun_job() -> LauncherJob | None:
    """The job of this rank 0, whose run stands under a key that restarts do not change; ``None`` where
    restarts are not asked for, or nothing outlives them."""
    if not _number("TORCHELASTIC_MAX_RESTARTS") or not _of_the_launcher():
        return None
    try:
        store = open_store(0, PATIENCE)
    except (KeyError, ValueError, RuntimeError):
        return None
    from pantoum.training.run_session import LauncherJob

    key = f"pantoum/{os.environ.get('TORCHELASTIC_RUN_ID')}/run"
    made = Path(os.fsdecode(store.get(key))) if store.check([key]) else None
    return LauncherJob(made, lambda run: store.set(key, os.fsencode(run)))


def _of_the_launcher() -> bool:
    """Whether the launcher itself keeps the store."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
