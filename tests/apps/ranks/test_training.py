"""One run on several ranks: the bits of one process, stopped and resumed on any number, and how it ends."""

import contextlib
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

import pantoum
from pantoum.apps.ranks.group import RankGroup
from pantoum.config import CELLS, TrainSettings
from pantoum.errors import DivergedError, RankError, RunError, SettingError
from pantoum.formats import checkpoint
from pantoum.kernels import precisions
from pantoum.training import run_session


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_number_of_ranks_changes_no_bit(run, tmp_path, optimizer, precision):
    if precision not in precisions():
        pytest.skip(f"SKIP SKIP SKIP  this machine has no {precision}")
    for count in (1, 2, 4):
        settings = {"optimizer": optimizer, "precision": precision, "ngrams": "2,3", "ngram_rows": 512}
        run(count, f"on-{count}", steps=6, shards=4, **settings)
    assert len({run.bits(f"on-{count}") for count in (1, 2, 4)}) == 1


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_trains_on_two_ranks_as_on_one(run, tmp_path, cell):
    extra = {"embedding_size": None} if cell == "lstm" else {"num_layers": 2}
    for count in (1, 2):
        run(count, f"on-{count}", steps=3, shards=2, cell=cell, **extra)
    assert run.bits("on-1") == run.bits("on-2")


@pytest.mark.parametrize(
    ("steps", "more"), [(3, {"softmax": "sampled:4"}), (17, {"spelling": 0.3, "neighbours": 4})]
)
def test_words_on_two_ranks_are_those_of_one(run, steps, more):
    """With what they know of each word; words move with their parts at the 16th step."""
    for count in (1, 2):
        run(count, f"on-{count}", steps=steps, shards=2, tokens="words", tied=True, **more)
    assert run.bits("on-1") == run.bits("on-2")


def test_stopped_on_four_ranks_resumed_on_two_and_one(run, tmp_path):
    run(1, "whole", steps=9, shards=4, members=2)
    run(4, "cut", steps=9, shards=4, members=2, stop_after=3)
    run(2, "cut", resume=True, stop_after=5)
    run(3, "cut", resume=True, stop_after=7)
    run(1, "cut", resume=True)
    assert run.bits("cut") == run.bits("whole")


def test_all_ranks_have_the_result(run, tmp_path):
    found = run(2, "run", steps=3)
    assert [each.rank for each in found] == [0, 1] and len({each.model for each in found}) == 1
    assert found[0].validation == found[1].validation and found[1].finished
    assert checkpoint.newest(tmp_path / "run").state["recipe"]["shards"] == 2, "as many as ranks"
    assert [each.already for each in run(2, "run", resume=True)] == [True, True]


def test_a_rollback_reaches_every_rank(run, tmp_path, monkeypatch):
    from pantoum.apps.ranks.backend import RankedBackend
    from pantoum.training.update.backend import LocalBackend

    def on(count, name):
        honest, left = backend_of(count).gradients, [5]

        def gradients(self, *arguments):
            found = honest(self, *arguments)
            bad = arguments[2] >= 4 and left[0] > 0
            left[0] -= bad
            return replace(found, loss=float("nan")) if bad else found

        monkeypatch.setattr(backend_of(count), "gradients", gradients)
        result = run(count, name, steps=8, shards=2)[0]
        monkeypatch.setattr(backend_of(count), "gradients", honest)
        assert any("ROLLED BACK" in note for note in result.notes)

    def backend_of(count):
        return LocalBackend if count == 1 else RankedBackend

    on(1, "on-1")
    on(2, "on-2")
    assert run.bits("on-1") == run.bits("on-2")


def test_a_rank_that_was_started_differently_is_named(run, story, tmp_path, together):
    def work(ranks):
        asked = {"run": str(tmp_path / "run"), "seed": ranks.rank, **run.shape}
        return run_session.train_together(
            RankGroup(ranks), [str(story)], asked, lambda *_: pytest.fail("it has begun")
        )

    with pytest.raises(
        RankError, match=r"rank 1 \(a thread\) differs from rank 0: seed is '1' there and '0'"
    ):
        together(3, work)
    assert not (tmp_path / "run").exists()


def test_an_error_of_rank_0_ends_the_others_quietly(run, tmp_path, together):
    run(2, "run", steps=2)
    with pytest.raises(RunError, match="exists already"):
        run(2, "run", steps=2)

    def work(ranks):
        def diverges():
            raise DivergedError("it diverged")

        if ranks.rank == 0:
            return RankGroup(ranks).run({}, diverges, lambda: None)
        with pytest.raises(RankError, match="rank 0 has ended: it diverged") as caught:
            RankGroup(ranks).run({}, diverges, lambda: None)
        return caught.value.told

    with pytest.raises(DivergedError):
        together(2, work)


def test_a_rank_that_fails_ends_all(run, monkeypatch):
    from pantoum.apps.ranks.backend import Worker

    def update(self, rate, clip):
        raise MemoryError("no memory left")

    monkeypatch.setattr(Worker, "update", update)
    with pytest.raises(RankError):
        run(2, "run", steps=3)


def test_more_ranks_than_streams_are_refused(run, tmp_path):
    with pytest.raises(SettingError, match="batch_size is 2: it must be at least the number of ranks, 3"):
        run(3, "run", steps=2, batch_size=2)
    assert not (tmp_path / "run").exists()


def test_a_device_is_not_shared_by_mpi_ranks(tmp_path, monkeypatch):
    monkeypatch.setattr("pantoum.apps.ranks.group.gather", lambda ranks, message: [message, message])
    monkeypatch.setattr("pantoum.apps.ranks.group.command", lambda *_, **words: None)
    ranks = SimpleNamespace(rank=0, count=2, restarted=lambda run: False)
    group = contextlib.nullcontext(RankGroup(ranks))
    monkeypatch.setattr("pantoum.training.run_session.group", lambda: group)
    monkeypatch.setattr(
        "pantoum.training.run_session.engine", lambda settings: SimpleNamespace(name="a device")
    )
    with pytest.raises(SettingError, match="device is 'cpu': it cannot be used with MPI ranks"):
        pantoum.train("no text", run=str(tmp_path / "run"), device="cpu")
    assert not (tmp_path / "run").exists()


def test_more_ranks_than_shards_are_refused(run):
    with pytest.raises(SettingError, match="shards is 2: it must be at least the number of ranks, 3"):
        run(3, "run", steps=2, shards=2)
    run(1, "run", steps=4, shards=2, stop_after=2)
    with pytest.raises(
        RunError, match="shards is 2: the run can be shared by no more ranks than that, and 3"
    ):
        run(3, "run", resume=True)


def test_minutes_choose_a_larger_model_for_more_ranks(monkeypatch):
    from pantoum.training import pace
    from pantoum.training.recipe.choose import choose
    from pantoum.training.recipe.recipe import Outlook

    monkeypatch.setattr(pace, "operations_a_second", lambda *_: 1e9)
    outlook, chosen = Outlook(10**9, 64), partial(choose, TrainSettings(shards=4))
    found = [pace.chosen_by_pace(chosen, outlook, None, 3600.0, 3600.0, ranks=ranks) for ranks in (1, 4)]
    sizes = [recipe.work(64) for recipe, _ in found]
    assert sizes[1] > 1.5 * sizes[0]
