"""Whether an MPI launcher or ``torchrun`` has started this process, by its environment alone.

``mpirun`` of Open MPI and MPICH, ``srun --mpi=pmix`` and their relatives tell each process its rank in an
environment variable. Without one of these nothing of MPI is imported. ``PANTOUM_LAUNCHER=none`` hides them:
for a process that was itself started by a rank, and is none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pantoum.config.processors import usable_processors

__all__ = ["launched_rank", "threads_of_a_rank", "torchrun_count", "under_torchrun"]

RANK = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
SIZE = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
LOCAL_SIZE = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE", "LOCAL_WORLD_SIZE")


def launched_rank(environment: Mapping[str, str] | None = None) -> int | None:
    """The rank that the launcher gave this process; ``None`` without a launcher, or if it started one process
    only."""
    environment = os.environ if environment is None else environment
    if environment.get("PANTOUM_LAUNCHER") == "none" or _number(environment, SIZE) == 1:
        return None
    return _number(environment, RANK)


def threads_of_a_rank(environment: Mapping[str, str] | None = None) -> int | None:
    """The threads of a rank: the processors that it may use, shared with the other ranks of its machine.
    ``None`` without a launcher."""
    environment = os.environ if environment is None else environment
    if launched_rank(environment) is None and torchrun_count(environment) == 1:
        return None
    local = _number(environment, LOCAL_SIZE) or 1
    return max(1, min(usable_processors(), (os.cpu_count() or 1) // local))


def torchrun_count(environment: Mapping[str, str] | None = None) -> int:
    """How many processes PyTorch's ``torchrun`` has started together with this one; 1 without it."""
    environment = os.environ if environment is None else environment
    return (_number(environment, ("WORLD_SIZE",)) or 1) if under_torchrun(environment) else 1


def under_torchrun(environment: Mapping[str, str] | None = None) -> bool:
    """Whether ``torchrun`` has started this process."""
    environment = os.environ if environment is None else environment
    return environment.get("PANTOUM_LAUNCHER") != "none" and "TORCHELASTIC_RUN_ID" in environment


def _number(environment: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    """The first of these variables that is a whole number."""
    found = (environment.get(name, "") for name in names)
    return next((int(value) for value in found if value.isascii() and value.isdigit()), None)
