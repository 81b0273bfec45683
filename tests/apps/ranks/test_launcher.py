"""The launcher is recognised by the environment alone, and MPI is imported only with one."""

import os
import sys
from types import SimpleNamespace

import pytest

from pantoum.apps.ranks.group import group as open_ranks
from pantoum.config.launcher import default_threads, launched_rank, require_own_stdin, threads_of_a_rank
from pantoum.config.processors import THREAD_VARIABLES
from pantoum.errors import RankError, SettingError, TextError
from pantoum.training.run_session import group


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}, 3),
        ({"PMI_RANK": "0", "PMI_SIZE": "2"}, 0),
        ({"PMIX_RANK": "1"}, 1),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}, None),
        ({"PMIX_RANK": "1", "PANTOUM_LAUNCHER": "none"}, None),
        ({"PMI_RANK": "one", "SLURM_NTASKS": "4"}, None),
    ],
)
def test_a_launcher_is_known_by_its_variables(environment, rank):
    assert launched_rank(environment) == rank


@pytest.fixture
def processors(monkeypatch):
    """``processors(machine, bound)``: those of the machine, and those to which this process is bound."""

    def set_to(machine, bound):
        monkeypatch.setattr("os.cpu_count", lambda: 999)
        affinity = {0: range(bound), 1: range(machine)}
        monkeypatch.setattr("os.sched_getaffinity", lambda process: affinity[process], raising=False)
        monkeypatch.setattr("pantoum.config.processors.control_group_limit", lambda: None)

    return set_to


RANK_1 = {"PMI_RANK": "1", "PMI_SIZE": "6"}
TASK_1 = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NNODES": "2", "SLURM_CPUS_ON_NODE": "8"}


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, None),
        (RANK_1, 8),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "3"}, 2),
        ({**RANK_1, "MPI_LOCALNRANKS": "3"}, 2),
        ({**RANK_1, "PMI_LOCAL_SIZE": "4"}, 2),
        ({**RANK_1, "MV2_COMM_WORLD_LOCAL_SIZE": "2"}, 4),
        ({**RANK_1, "MPI_LOCALNRANKS": "64"}, 1),
        ({**RANK_1, "MPI_LOCALNRANKS": "none"}, 8),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4", "RANK": "0", "LOCAL_WORLD_SIZE": "2"}, 4),
        ({"PMIX_RANK": "1", **TASK_1}, 4),
        ({"PMIX_RANK": "1", **TASK_1, "SLURM_CPUS_ON_NODE": "6"}, 3),
        ({"PMIX_RANK": "1", **TASK_1, "SLURM_CPUS_PER_TASK": "2"}, 2),
        ({"PMIX_RANK": "1", **TASK_1, "SLURM_CPUS_PER_TASK": "64"}, 4),
        ({"PMIX_RANK": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "7", "SLURM_NNODES": "4"}, 4),
        ({"PANTOUM_LAUNCHER": "none", **TASK_1}, 4),
        ({"PANTOUM_LAUNCHER": "none", **RANK_1, "MPI_LOCALNRANKS": "2"}, None),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_CPUS_PER_TASK": "2"}, None),
    ],
)
def test_ranks_of_one_machine_share_its_processors(processors, environment, threads):
    processors(8, 8)
    assert threads_of_a_rank(environment) == threads


def test_torchrun_shares_the_processors_of_its_task(processors):
    processors(64, 64)
    rank = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "8", "RANK": "0", "LOCAL_WORLD_SIZE": "4"}
    task = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_CPUS_PER_TASK": "16"}
    assert threads_of_a_rank({**rank, **task}) == 4


def test_a_rank_uses_no_more_than_it_is_bound_to(processors):
    here = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}
    processors(8, 1)
    assert threads_of_a_rank(here) == 1
    processors(2, 2)
    assert threads_of_a_rank(here) == 1, "a container with two of the machine's processors, for both ranks"


def test_a_program_that_calls_train_on_every_rank_shares_them_too(processors, monkeypatch):
    processors(8, 8)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4")
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert default_threads() == 2
    monkeypatch.setenv("PANTOUM_THREADS", "5")
    assert default_threads() == 5


def test_without_a_launcher_this_process_is_alone(monkeypatch):
    monkeypatch.setenv("PANTOUM_LAUNCHER", "none")
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # an import would fail
    monkeypatch.setitem(sys.modules, "pantoum.apps.ranks.group", None)
    with group() as ranks:
        assert ranks is None


def test_a_launcher_without_mpi4py_is_told_what_to_install(monkeypatch):
    monkeypatch.delenv("PANTOUM_LAUNCHER", raising=False)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "pantoum.apps.ranks.mpi", raising=False)
    with (
        pytest.raises(RankError, match=r"as rank 1, but mpi4py .* pip install 'pantoum\[mpi\]'"),
        open_ranks(),
    ):
        pass


def test_a_time_limit_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("PMIX_RANK", "0")
    monkeypatch.setenv("PANTOUM_RANK_TIMEOUT", "soon")
    with (
        pytest.raises(SettingError, match="PANTOUM_RANK_TIMEOUT is 'soon': it must be a number of seconds"),
        open_ranks(),
    ):
        pass


def test_ranks_of_which_mpi_knows_nothing_are_refused(monkeypatch):
    alone = SimpleNamespace(count=1, close=lambda: None)
    monkeypatch.setitem(sys.modules, "pantoum.apps.ranks.mpi", SimpleNamespace(MpiRanks=lambda _: alone))
    monkeypatch.setenv("PMI_RANK", "0")
    with open_ranks() as ranks:
        assert ranks is None, "the only one, as far as anybody knows"
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(RankError, match="as rank 0 among others, but mpi4py finds no other"), open_ranks():
        pass


def test_tasks_of_srun_without_mpi_are_refused(monkeypatch):
    for name, value in TASK_1.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RankError, match=r"as task 1 of 4 without MPI, .* `srun --mpi=pmix`"), open_ranks():
        pass
    monkeypatch.setenv("PANTOUM_LAUNCHER", "none")
    with open_ranks() as ranks:
        assert ranks is None


def test_a_batch_script_with_several_tasks_trains_alone_and_says_so(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "0")
    with open_ranks() as ranks:
        assert ranks is None
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with (
        pytest.warns(UserWarning, match="this Slurm job has 4 tasks, but only one trains"),
        open_ranks() as ranks,
    ):
        assert ranks is None


TORCHRUN = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, "an MPI launcher"),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, "an MPI launcher"),
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, None),
        ({"PMI_RANK": "1", "PANTOUM_LAUNCHER": "none"}, None),
        ({**TORCHRUN, "RANK": "0"}, None),
        ({**TORCHRUN, "RANK": "1"}, "of which rank 0 alone may read stdin"),
    ],
)
def test_stdin_is_read_where_no_launcher_stands_before_it(monkeypatch, environment, why):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if why is None:
        require_own_stdin()
    else:
        with pytest.raises(TextError, match=rf"cannot read '-': .*{why}.*; write the text to a file"):
            require_own_stdin()


def test_stdin_by_another_name_is_refused_other_pipes_are_not(monkeypatch):
    monkeypatch.setenv("PMIX_RANK", "0")
    (one, _), (other, _) = pipes = os.pipe(), os.pipe()
    monkeypatch.setattr("os.fstat", lambda number, honest=os.fstat: honest(one if number == 0 else number))
    require_own_stdin("/dev/fd/9", os.fstat(other))
    with pytest.raises(TextError, match="cannot read '/dev/stdin'"):
        require_own_stdin("/dev/stdin", os.fstat(one))
    for number in sum(pipes, ()):
        os.close(number)


@pytest.mark.parametrize(
    "command", ["train - --steps 2", "evaluate {m} -", "score {m}", "generate {m} --prompt -"]
)
def test_no_command_waits_for_a_stdin_that_may_never_end(monkeypatch, capsys, tmp_path, command):
    import pantoum
    from pantoum.cli.main import main

    (tmp_path / "text.txt").write_text("a short text, and again a short text. " * 40)
    tiny = {"hidden_size": 8, "num_layers": 1, "batch_size": 2, "progress": False}
    run = pantoum.train(tmp_path / "text.txt", run=tmp_path / "run", steps=1, **tiny)
    monkeypatch.setenv("PANTOUM_THREADS", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    monkeypatch.setattr("pantoum.training.run_session.launched", lambda: False)
    monkeypatch.chdir(tmp_path)
    assert main(command.format(m=run.folder).split()) == 1
    assert "cannot read '-': an MPI launcher has started this process" in capsys.readouterr().err


def test_rank_0_alone_shows_a_plan(monkeypatch, capsys, tmp_path):
    from pantoum.cli.main import main

    monkeypatch.setenv("PANTOUM_THREADS", "1")
    monkeypatch.delenv("PANTOUM_LAUNCHER", raising=False)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    (tmp_path / "text.txt").write_text("a short text, and again a short text. " * 200)
    for rank, shown in (("0", True), ("1", False)):
        monkeypatch.setenv("OMPI_COMM_WORLD_RANK", rank)
        assert main(["train", str(tmp_path / "text.txt"), "--steps", "9", "--plan"]) == 0
        assert bool(capsys.readouterr().out) is shown
