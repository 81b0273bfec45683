"""Whether a launcher has started this process with others, by its environment alone.

``mpirun`` of Open MPI and MPICH, ``srun --mpi=pmix`` and their relatives tell each process its rank in an
environment variable, as PyTorch's ``torchrun`` does. Without one of these nothing of MPI is imported.
``PANTOUM_LAUNCHER=none`` hides them: for a process that was itself started by a rank, and is none.

Slurm says which task of how many a process is, and which processors are meant for it. ``srun`` starts the
tasks of a step. A batch script and the tasks of a job array have variables of Slurm, too: such a process is
alone, however many tasks the job may start.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping

from pantoum.config.processors import machine_processors, thread_limit, usable_processors
from pantoum.errors import TextError

RANK = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
SIZE = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
LOCAL_SIZE = (
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "PMI_LOCAL_SIZE",
)


def launched(environment: Mapping[str, str] | None = None) -> bool:
    """Whether a launcher may have started this process with others."""
    environment = os.environ if environment is None else environment
    if environment.get("PANTOUM_LAUNCHER") == "none":
        return False
    return any(name in environment for name in (*RANK, "TORCHELASTIC_RUN_ID", "SLURM_PROCID"))


def launched_rank(environment: Mapping[str, str] | None = None) -> int | None:
    """The rank that an MPI launcher gave this process; ``None`` without a launcher, or if it started one
    process only."""
    environment = os.environ if environment is None else environment
    if environment.get("PANTOUM_LAUNCHER") == "none" or _count(environment, *SIZE) == 1:
        return None
    return _count(environment, *RANK)


def launched_count() -> int:
    """How many ranks an MPI launcher has started at least, as far as the environment says it."""
    rank = launched_rank(os.environ)
    if rank is None:
        return 1
    return max(rank + 1, _count(os.environ, *SIZE) or tasks_of_a_step(os.environ))


def follows(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this process is a rank other than 0, of any launcher: rank 0 answers for all."""
    environment = os.environ if environment is None else environment
    if torchrun_count(environment) > 1:
        return bool(_count(environment, "RANK"))
    return bool(launched_rank(environment))


def threads_of_a_rank(environment: Mapping[str, str] | None = None) -> int | None:
    """The threads of a rank, or of one of several tasks of ``srun``: the processors that it may use, shared
    with the others on its machine, and no more than ``--cpus-per-task``. ``None`` for a process alone."""
    environment = os.environ if environment is None else environment
    by_torchrun = torchrun_count(environment) > 1
    if not by_torchrun and launched_rank(environment) is None and tasks_of_a_step(environment) == 1:
        return None
    here = ("LOCAL_WORLD_SIZE",) if by_torchrun else LOCAL_SIZE
    local = _count(environment, *here) or tasks_here(environment) or 1
    processors = min(machine_processors(), processors_of_a_node(environment) or machine_processors())
    shares = [usable_processors(), processors // local]
    if (given := processors_of_a_task(environment)) is not None:
        shares.append(given // local if by_torchrun else given)  # a task of Slurm is torchrun, not a rank
    return max(1, min(shares))


def default_threads() -> int:
    """The threads of this process where nobody asks for others."""
    return thread_limit() or threads_of_a_rank() or usable_processors()


def torchrun_count(environment: Mapping[str, str] | None = None) -> int:
    """How many processes PyTorch's ``torchrun`` has started together with this one; 1 without it."""
    environment = os.environ if environment is None else environment
    if environment.get("PANTOUM_LAUNCHER") == "none" or "TORCHELASTIC_RUN_ID" not in environment:
        return 1
    return _count(environment, "WORLD_SIZE") or 1


def require_own_stdin(name: str = "-", status: os.stat_result | None = None) -> None:
    """``TextError`` if a launcher stands between this process and the stdin of the person who typed ``name``.
    ``status``: of a file, which is refused only if it is stdin by another name, as ``/dev/stdin``.

    The processes of ``torchrun`` have one stdin, which rank 0 alone may read. Launchers of MPI copy it: Open
    MPI 5 was seen to keep back its end, so that a reader waits for ever, and is known to repeat parts of it
    (openpmix/prrte, issues 2373 and 2579).
    """
    if status is not None and not _is_stdin(status):
        return
    if launched_rank() is not None:
        why = "an MPI launcher has started this process, and such launchers do not pass stdin on reliably"
    elif follows():
        why = "torchrun has started several processes, of which rank 0 alone may read stdin"
    else:
        return
    raise TextError(
        f"cannot read {name!r}: {why}; write the text to a file and name that, or set PANTOUM_LAUNCHER=none "
        "if this process is not a rank"
    )


def _is_stdin(status: os.stat_result) -> bool:
    """Whether a file is the pipe that is stdin; a file there can be opened and read by every process."""
    try:
        return stat.S_ISFIFO(status.st_mode) and os.path.samestat(status, os.fstat(0))
    except OSError:  # stdin is closed
        return False


def tasks_of_a_step(environment: Mapping[str, str]) -> int:
    """The tasks that ``srun`` has started together with this process; 1 if it is no such task."""
    task = _count(environment, "SLURM_PROCID")
    if task is None:
        return 1
    # A batch script is task 0, and has the number of tasks of its job, but not that of a step.
    others = _count(environment, "SLURM_NTASKS") if task > 0 else 1
    return max(1, _count(environment, "SLURM_STEP_NUM_TASKS") or others or task + 1)


def unused_tasks(environment: Mapping[str, str]) -> int:
    """The tasks that the job of this batch script may start; 1 elsewhere."""
    batch = _count(environment, "SLURM_PROCID") == 0 and "SLURM_STEP_NUM_TASKS" not in environment
    return (_count(environment, "SLURM_NTASKS") or 1) if batch else 1


def tasks_here(environment: Mapping[str, str]) -> int | None:
    """The tasks on the node of this task, if all nodes have as many; ``None`` if Slurm does not say it."""
    if _count(environment, "SLURM_PROCID") is None:
        return None
    if (found := _count(environment, "SLURM_NTASKS_PER_NODE")) is not None:
        return max(1, found)
    tasks = _count(environment, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    nodes = _count(environment, "SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES")
    return None if tasks is None else max(1, -(-tasks // max(1, nodes or 1)))


def processors_of_a_task(environment: Mapping[str, str]) -> int | None:
    """``--cpus-per-task``; ``None`` if it was not given."""
    return _count(environment, "SLURM_CPUS_PER_TASK") or None


def processors_of_a_node(environment: Mapping[str, str]) -> int | None:
    """The processors of this node that belong to the job; ``None`` outside a job."""
    return _count(environment, "SLURM_CPUS_ON_NODE") or None


def _count(environment: Mapping[str, str], *names: str) -> int | None:
    """The first of these variables that is a whole number."""
    found = (environment.get(name, "") for name in names)
    return next((int(value) for value in found if re.fullmatch("[0-9]{1,9}", value, re.ASCII)), None)
