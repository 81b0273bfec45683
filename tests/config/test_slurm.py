"""What the variables of Slurm say of a process."""

from __future__ import annotations

import pytest

from pantoum.config.launcher import tasks_here, tasks_of_a_step, unused_tasks

TASK = {"SLURM_PROCID": "0"}


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({}, 1),
        ({"SLURM_NTASKS": "4"}, 1),  # a shell of salloc
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, 1),  # a batch script
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_ARRAY_TASK_ID": "7"}, 1),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"}, 1),  # srun -n 1
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "2"}, 2),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, 4),
        ({"SLURM_PROCID": "1"}, 2),
        ({"SLURM_PROCID": "one", "SLURM_NTASKS": "4"}, 1),
    ],
)
def test_srun_starts_several_tasks_a_batch_script_is_alone(environment: dict[str, str], count: int) -> None:
    assert tasks_of_a_step(environment) == count


def test_a_batch_script_may_leave_tasks_unused() -> None:
    assert unused_tasks({**TASK, "SLURM_NTASKS": "4"}) == 4
    assert unused_tasks({**TASK, "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"}) == 1
    assert unused_tasks({"SLURM_NTASKS": "4"}) == 1, "not in a job"


def test_tasks_are_shared_by_nodes() -> None:
    assert tasks_here({**TASK, "SLURM_NTASKS_PER_NODE": "3"}) == 3
    assert tasks_here({**TASK, "SLURM_NTASKS": "5", "SLURM_NNODES": "2"}) == 3
    assert tasks_here({**TASK, "SLURM_NTASKS": "5"}) == 5
    assert tasks_here(TASK) is None and tasks_here({"SLURM_NTASKS_PER_NODE": "3"}) is None
