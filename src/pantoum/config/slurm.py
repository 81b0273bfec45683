"""What Slurm says of this process: which task of how many it is, and the processors that are meant for it.

``srun`` starts the tasks of a step. A batch script and the tasks of a job array have variables of Slurm, too:
such a process is alone, however many tasks the job may start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["processors_of_a_node", "processors_of_a_task", "tasks_here", "tasks_of_a_step", "unused_tasks"]

GROUP = re.compile(r"([0-9]{1,9})(?:\(x([0-9]{1,9})\))?", re.ASCII)
"""Nodes with the same number of tasks: ``2(x3)`` is three nodes of two tasks."""


def tasks_of_a_step(environment: Mapping[str, str]) -> int:
    """The tasks that ``srun`` has started together with this process; 1 if it is no such task."""
    task = _number(environment, "SLURM_PROCID")
    if task is None:
        return 1
    # A batch script is task 0, and has the number of tasks of its job, but not that of a step.
    others = _number(environment, "SLURM_NTASKS") if task > 0 else 1
    return max(1, _number(environment, "SLURM_STEP_NUM_TASKS") or others or task + 1)


def unused_tasks(environment: Mapping[str, str]) -> int:
    """The tasks that the job of this batch script may start; 1 elsewhere."""
    batch = _number(environment, "SLURM_PROCID") == 0 and "SLURM_STEP_NUM_TASKS" not in environment
    return (_number(environment, "SLURM_NTASKS") or 1) if batch else 1


def tasks_here(environment: Mapping[str, str]) -> int | None:
    """The tasks on the node of this task; ``None`` if Slurm does not say it."""
    if _number(environment, "SLURM_PROCID") is None:
        return None
    node = _number(environment, "SLURM_NODEID") or 0
    for name in ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"):
        if (found := _of_node(environment.get(name, ""), node)) is not None:
            return found
    if (found := _number(environment, "SLURM_NTASKS_PER_NODE")) is not None:
        return max(1, found)
    tasks = _number(environment, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    nodes = _number(environment, "SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES")
    return None if tasks is None else max(1, -(-tasks // max(1, nodes or 1)))


def processors_of_a_task(environment: Mapping[str, str]) -> int | None:
    """``--cpus-per-task``; ``None`` if it was not given."""
    return _number(environment, "SLURM_CPUS_PER_TASK") or None


def processors_of_a_node(environment: Mapping[str, str]) -> int | None:
    """The processors of this node that belong to the job; ``None`` outside a job."""
    return _number(environment, "SLURM_CPUS_ON_NODE") or None


def _of_node(text: str, node: int) -> int | None:
    """The tasks of a node, from a list such as ``2(x3),1``; beyond its end the most of any node."""
    groups = [group for part in text.split(",") if (group := GROUP.fullmatch(part)) is not None]
    if len(groups) <= text.count(","):
        return None  # a part is of another form
    for group in groups:
        node -= int(group[2] or 1)
        if node < 0:
            return max(1, int(group[1]))
    return max(1, *(int(group[1]) for group in groups))


def _number(environment: Mapping[str, str], *names: str) -> int | None:
    """The first of these variables that is a whole number."""
    found = (environment.get(name, "") for name in names)
    return next((int(value) for value in found if re.fullmatch("[0-9]{1,9}", value, re.ASCII)), None)
