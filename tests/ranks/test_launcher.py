"""The launcher is recognised by the environment alone, and MPI is imported only with one."""

import sys

import pytest

from pantoum.config.launcher import launched_rank, threads_of_a_rank
from pantoum.errors import RankError, SettingError
from pantoum.ranks.opening import open_ranks
from pantoum.ranks.single import SingleRank


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


def test_ranks_of_one_machine_share_its_processors(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8), raising=False)
    here = {"PMI_RANK": "1", "PMI_SIZE": "6"}
    assert threads_of_a_rank({**here, "MPI_LOCALNRANKS": "3"}) == 2
    assert threads_of_a_rank({**here, "MPI_LOCALNRANKS": "64"}) == 1
    assert threads_of_a_rank(here) == 8 and threads_of_a_rank({}) is None
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)
    assert threads_of_a_rank(here) == 1, "bound to a processor"


def test_without_a_launcher_this_process_is_alone(monkeypatch):
    monkeypatch.setenv("PANTOUM_LAUNCHER", "none")
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # an import would fail
    with open_ranks() as ranks:
        assert isinstance(ranks, SingleRank) and ranks.broadcast(b"word") == b"word"
        assert ranks.gather(b"word") == [b"word"]


def test_a_launcher_without_mpi4py_is_told_what_to_install(monkeypatch):
    monkeypatch.delenv("PANTOUM_LAUNCHER", raising=False)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "pantoum.ranks.mpi", raising=False)
    with (
        pytest.raises(RankError, match=r"as rank 1, but mpi4py .* pip install 'pantoum\[mpi\]'"),
        open_ranks(),
    ):
        pass


def test_a_time_limit_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("PMIX_RANK", "0")
    monkeypatch.setenv("PANTOUM_RANK_TIMEOUT", "soon")
    with (
        pytest.raises(SettingError, match="PANTOUM_RANK_TIMEOUT is 'soon': must be a number of seconds"),
        open_ranks(),
    ):
        pass


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
