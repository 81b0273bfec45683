"""``--sync-every N``: ranks that make updates by themselves and combine their weights after every N-th."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from pantoum.config import TrainSettings
from pantoum.data.batches import Batch
from pantoum.errors import CheckpointError, RunError, SettingError
from pantoum.formats import checkpoint
from pantoum.network.gradient import Gradient
from pantoum.ranks.interface import SingleRank
from pantoum.training.assembly import make_backend
from pantoum.training.keep_best import KeepBest
from pantoum.training.parallel import outer_step
from pantoum.training.parallel.outer_step import OuterStep
from pantoum.training.parallel.rank_commands import command
from pantoum.training.parallel.ranked_backend import RankedBackend
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import Outlook, Recipe
from pantoum.training.together import work as follow
from pantoum.training.update.backend import LocalBackend

SETTINGS = {
    "adamw": {"optimizer": "adamw", "ngrams": "2,3", "ngram_rows": 512},
    "muon": {"optimizer": "muon", "members": 2},
    "words": {"tokens": "words", "softmax": "sampled:4", "tied": True},
    "in bf16": {"gradient_precision": "bf16", "ngrams": "2", "ngram_rows": 512},
}


def test_the_outer_step_is_nesterov_momentum_on_the_mean_difference(together):
    draw = np.random.default_rng(1)
    matrix = draw.standard_normal((9, 4))
    first = {"matrix": matrix, "wide": matrix.T.copy(), "bias": draw.standard_normal(3)}
    moves = draw.standard_normal((3, 2, 9, 4))  # of rank, round

    def work(ranks):
        weights = {name: array.copy() for name, array in first.items()}
        outer = OuterStep(ranks, weights)
        for number in range(2):
            rows = slice(None) if number else slice(2, 4)  # in the first round few rows change
            weights["matrix"][rows] += moves[ranks.rank, number, rows]
            weights["wide"].T[rows] += moves[ranks.rank, number, rows]
            outer.step()
        return weights

    wanted, momentum = first["matrix"].copy(), 0.0
    for number, move in enumerate(moves.mean(axis=0)):
        difference = -move * (1.0 if number else np.isin(np.arange(9), (2, 3))[:, None])
        momentum = outer_step.MOMENTUM * momentum + difference
        wanted -= outer_step.RATE * (difference + outer_step.MOMENTUM * momentum)
    found = together(3, work)
    for weights in found:
        np.testing.assert_allclose(weights["matrix"], wanted, rtol=1e-12)
        np.testing.assert_array_equal(weights["matrix"], found[0]["matrix"])
        np.testing.assert_array_equal(weights["matrix"], weights["wide"].T)
        np.testing.assert_array_equal(weights["bias"], first["bias"])


def test_in_bf16_the_change_of_each_rank_and_their_sum_are_rounded(together):
    draw = np.random.default_rng(1)
    first, moves = draw.standard_normal((9, 4)).astype("f"), draw.standard_normal((3, 9, 4)).astype("f")

    def work(bf16, ranks):
        weights = {"matrix": first.copy()}
        outer = OuterStep(ranks, weights, bf16)
        weights["matrix"] += moves[ranks.rank]
        outer.step()
        return weights["matrix"]

    exact = together(3, partial(work, False))[0]
    sent = together.sent[0]
    found = together(3, partial(work, True))
    assert together.sent[0] < 0.6 * sent
    differences = [Gradient(first - (first + move)).rounded() for move in moves]
    total = differences[0].plus(differences[1].plus(differences[2])).values  # the tree of three
    wanted = first - outer_step.RATE * (1.0 + outer_step.MOMENTUM) * (total / 3)
    for weights in found:
        np.testing.assert_allclose(weights, wanted, rtol=1e-6)
        np.testing.assert_array_equal(weights, found[0])
    np.testing.assert_allclose(found[0], exact, atol=0.02)
    assert not np.array_equal(found[0], exact)


def test_of_a_table_only_changed_rows_are_sent(together):
    def work(ranks):
        weights = {"table": np.zeros((4000, 3), np.float32)}
        outer = OuterStep(ranks, weights)
        weights["table"][[7, 9 + ranks.rank]] = 1.0
        outer.step()
        return weights["table"][7:11, 0].tolist()

    halfway = [1.0 + outer_step.MOMENTUM, 0.0] + [(1.0 + outer_step.MOMENTUM) / 2] * 2
    assert together(2, work) == [pytest.approx([outer_step.RATE * each for each in halfway])] * 2
    assert max(together.sent) < 100  # two rows: their numbers and values


def test_between_synchronisations_each_rank_trains_as_if_it_were_alone(run, tmp_path, monkeypatch):
    """The weights after two updates and a synchronisation, from two backends that know of no ranks."""
    batches, states, alone = [], [], []
    honest = RankedBackend.gradients

    def gradients(self, batch, state, step, streams):
        if step == 0:
            begun = self._local.snapshot()
            for _ in range(2):
                backend = make_backend(self._recipe, self._vocab_size)
                backend.restore(begun)
                alone.append(backend)
                states.append(backend.initial_state(3))
        if step < 2:
            batches.append((batch, streams))
        return honest(self, batch, state, step, streams)

    rates, update = [], RankedBackend.update
    monkeypatch.setattr(RankedBackend, "gradients", gradients)
    monkeypatch.setattr(
        RankedBackend, "update", lambda self, *each: (rates.append(each), update(self, *each))
    )
    run(2, "run", steps=4, sync_every=2, optimizer="muon", stop_after=2)
    monkeypatch.undo()
    begun, ended = alone[0].snapshot(), []
    for rank, rows in enumerate((slice(0, 3), slice(3, 6))):
        for step, (batch, streams) in enumerate(batches):
            found = alone[rank].gradients(batch.rows(rows), states[rank], step, streams[rows])
            alone[rank].update(*rates[step])
            states[rank] = found.state
        ended.append(alone[rank].snapshot())
    kept = checkpoint.newest(tmp_path / "run").arrays
    for name, weights in kept.items():
        if name.startswith("weights."):
            move = np.mean([each[name] - begun[name] for each in ended], axis=0)
            by = outer_step.RATE * (1.0 + outer_step.MOMENTUM)
            np.testing.assert_allclose(weights, begun[name] + by * move, atol=1e-6)
            np.testing.assert_array_equal(weights, kept["rank1." + name])
        elif name.startswith("optimizer."):
            np.testing.assert_array_equal(weights, ended[0][name])
            np.testing.assert_array_equal(kept["rank1." + name], ended[1][name])
    assert not np.array_equal(ended[0]["averaged.head.weight"], ended[1]["averaged.head.weight"])


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_stopped_between_two_synchronisations_and_resumed(run, settings):
    run(2, "whole", steps=9, sync_every=4, **settings)
    run(2, "cut", steps=9, sync_every=4, stop_after=3, **settings)
    run(2, "cut", resume=True, stop_after=6)
    run(2, "cut", resume=True)
    assert run.bits("cut") == run.bits("whole")


def losses_that_are_not_numbers(monkeypatch, from_step):
    """From this step on, so many losses of all ranks are NaN as the number in the list says, which counts
    down."""
    honest, left = RankedBackend.gradients, [0]

    def gradients(self, *arguments):
        found = honest(self, *arguments)
        bad = arguments[2] >= from_step and left[0] > 0
        left[0] -= bad
        return type(found)(float("nan"), found.accuracy, found.gradient_norm, found.state) if bad else found

    monkeypatch.setattr(RankedBackend, "gradients", gradients)
    return left


def test_a_rollback_is_that_of_a_run_that_was_stopped_before_it(run, monkeypatch):
    left = losses_that_are_not_numbers(monkeypatch, from_step=7)
    left[0] = 4  # three in a row, and one of those after the rollback
    whole = run(2, "whole", steps=12, sync_every=3)[0]
    run(2, "cut", steps=12, sync_every=3, stop_after=5)
    left[0] = 4
    cut = run(2, "cut", resume=True)[0]
    assert any("ROLLED BACK to step 6" in note for note in whole.notes), whole.notes
    assert any("ROLLED BACK to step 6" in note for note in cut.notes)
    assert run.bits("cut") == run.bits("whole")


def test_a_rollback_to_the_start_reaches_every_rank(run, tmp_path, monkeypatch):
    losses_that_are_not_numbers(monkeypatch, from_step=2)[0] = 3
    result = run(2, "run", steps=8, sync_every=4)[0]
    assert any("ROLLED BACK to step 0" in note for note in result.notes), result.notes
    kept = checkpoint.newest(tmp_path / "run").arrays
    assert kept["optimizer.steps"] == kept["rank1.optimizer.steps"] == 8


def test_gradients_that_are_not_finite_stay_on_their_rank(run, tmp_path, monkeypatch):
    honest = LocalBackend.gradients

    def gradients(self, *arguments):
        found = honest(self, *arguments)
        if arguments[3][0] == 3 and arguments[2] == 1:  # on rank 1, in the second step
            self.learners[0].gradient_norm = float("inf")
            found = type(found)(found.loss, found.accuracy, float("inf"), found.state)
        return found

    monkeypatch.setattr(LocalBackend, "gradients", gradients)
    result = run(2, "run", steps=6, sync_every=3)[0]
    kept = checkpoint.newest(tmp_path / "run").arrays
    assert result.finished and not any("skipped" in note for note in result.notes)
    assert (kept["optimizer.steps"][0], kept["rank1.optimizer.steps"][0]) == (6, 5)
    np.testing.assert_array_equal(kept["weights.head.weight"], kept["rank1.weights.head.weight"])


def test_evaluations_between_synchronisations_use_the_mean_of_all_ranks(run, tmp_path, monkeypatch):
    seen, honest = {}, KeepBest.monitor

    def monitor(self, step, backend):
        for part, averaged in (("weights", False), ("averaged", True)):
            for name, array in backend.weights(averaged).items():
                seen[step, part, name] = array.copy()
        return honest(self, step, backend)

    monkeypatch.setattr(KeepBest, "monitor", monitor)
    run(2, "run", steps=5, sync_every=3, ngrams="2", ngram_rows=512)
    kept = checkpoint.newest(tmp_path / "run").arrays
    assert {step for step, _, _ in seen} == {3, 5}  # the last two updates are not combined
    for (step, part, name), array in seen.items():
        own = f"{part}.{name}" if f"{part}.{name}" in kept else f"weights.{name}"
        if step == 5:
            np.testing.assert_array_equal(array, (kept[own] + kept["rank1." + own]) / 2)
            assert not np.array_equal(kept[own], kept["rank1." + own]), own


def test_updates_send_few_bytes(together):
    def work(every, ranks):
        if ranks.rank:
            return follow(ranks)
        settings = TrainSettings(hidden_size=64, num_layers=1, batch_size=6, seq_len=8, sync_every=every)
        recipe = replace(choose(settings, Outlook(1000, 20, steps=16)), shards=2)
        backend = RankedBackend(make_backend(recipe, 20), ranks, recipe, 20, 6)
        state, draw, sent = backend.initial_state(6), np.random.default_rng(1), []
        for step in range(24):
            tokens_BT, no_BT = draw.integers(0, 20, (6, 9)), np.zeros((6, 8), bool)
            batch = Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], no_BT, 0)
            found = backend.gradients(batch, state, step, np.arange(6))
            backend.update(0.01, 1.0)
            state = found.state
            sent.append(together.sent[0])
        command(ranks, "end", error=None, result={})
        return sent[-1] - sent[7]  # the weights are sent before the first step

    often, seldom = (together(2, partial(work, every))[0] for every in (1, 8))
    assert seldom < often / 6


def test_the_number_of_ranks_is_kept(run, story, tmp_path):
    run(2, "run", steps=6, sync_every=2, stop_after=3)
    for count in (1, 3):
        with pytest.raises(RunError, match=f"each of the 2 ranks .* and {count} were started; start 2"):
            run(count, "run", resume=True)
    assert run(2, "run", resume=True)[0].finished


def test_what_makes_no_sense_is_refused(run, story, tmp_path):
    with pytest.raises(SettingError, match="sync_every is 4: it needs several ranks; start them with mpirun"):
        run(1, "run", steps=4, sync_every=4)
    with pytest.raises(SettingError, match="shards is 4: it must be the number of ranks, 2, with sync_every"):
        run(2, "run", steps=4, sync_every=4, shards=4)
    with pytest.raises(SettingError, match="sync_every is 0: it must be a whole number from 1"):
        run(2, "run", steps=4, sync_every=0)
    assert not (tmp_path / "run").exists()


def test_one_is_as_before(run):
    for name, settings in (("as-before", {}), ("every-update", {"sync_every": 1})):
        run(2, name, steps=3, **settings)
    assert run.bits("as-before") == run.bits("every-update")


def test_a_checkpoint_without_the_arrays_of_a_rank_is_refused(run, tmp_path):
    run(2, "run", steps=3, sync_every=2)
    found = checkpoint.newest(tmp_path / "run")
    recipe, ranks = Recipe.from_spec(found.state["recipe"]), SingleRank()
    ranks.count = 2
    vocab_size = len(found.arrays["weights.embedding.weight"])
    backend = RankedBackend(make_backend(recipe, vocab_size), ranks, recipe, vocab_size, 6)
    backend.restore(found.arrays)
    lacking = {name: array for name, array in found.arrays.items() if not name.startswith("rank1.weights")}
    with pytest.raises(CheckpointError, match=r"checkpoint array weights\.\S+ is missing"):
        backend.restore(lacking)
