"""What the variables of Slurm say of a process, and how many processors it may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from pantoum.config import processors
from pantoum.config.launcher import tasks_here, tasks_of_a_step, unused_tasks
from pantoum.config.processors import control_group_limit, usable_processors

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


def groups(folder: Path, line: str, **files: str) -> tuple[Path, Path]:
    """A tree of control groups and the file that says where in it this process is."""
    control_group_limit.cache_clear()
    for name, text in files.items():
        path = folder / "root" / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    own = folder / "cgroup"
    own.write_text(line)
    return folder / "root", own


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ("0::/\n", {"cpu_max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu_max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu_max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a__b__cpu_max": "max 100000", "a__cpu_max": "300000 100000"}, 3),
        ("0::/a/b\n", {"a__b__cpu_max": "400000 100000", "cpu_max": "200000 100000"}, 2),
        ("4:cpu:/x\n3:memory:/x\n0::/x\n", {"x__cpu_max": "600000 100000"}, 6),
        ("4:cpu:/x\n", {"x__cpu_max": "100000 100000"}, None),
        ("0::/\nnonsense\n::::\n", {"cpu_max": "what is this"}, None),
        ("0::/\n", {"cpu_max": "100000 0"}, None),
        ("0::/../../etc\n", {}, None),
    ],
)
def test_the_least_of_a_group_and_of_those_above_it_counts(
    tmp_path: Path, line: str, files: dict[str, str], expected: int | None
) -> None:
    assert control_group_limit(*groups(tmp_path, line, **files)) == expected


def test_where_there_are_no_groups_nothing_is_limited(tmp_path: Path) -> None:
    control_group_limit.cache_clear()
    assert control_group_limit(tmp_path, tmp_path / "none") is None


def test_a_container_has_no_more_processors_than_time_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = usable_processors()
    root, own = groups(tmp_path, "0::/", cpu_max="100000 100000")
    monkeypatch.setattr(processors, "control_group_limit", lambda: control_group_limit(root, own))
    assert usable_processors() == 1 <= before
