"""Shards of a batch: a fixed tree of additions, the same gradients and bits however they are divided."""

import threading
import time
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.data.batches import Batch
from pantoum.errors import RunError, SettingError
from pantoum.formats import checkpoint, model_file
from pantoum.kernels import native, precisions, without_core
from pantoum.network import LanguageModel
from pantoum.network.candidates import CandidateSampler
from pantoum.network.gradient import Gradient
from pantoum.network.program import Program
from pantoum.training.update.backend import LocalBackend
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.optimizer import make_optimizer
from pantoum.training.update.shards import Shards, gradient_sum, tree_sum

V, B, T = 9, 7, 5
SHAPES = [
    ModelConfig("gru", 6, 2, 4),
    ModelConfig("lstm", 6, 1, 6, tied=True),
    ModelConfig("gru", 6, 1, None, ngrams=(2, 3), ngram_rows=32),
]


def backend(shards, config=SHAPES[0], kind="muon", **settings):
    model = LanguageModel(V, config=config, seed=3)
    optimizer = make_optimizer(kind, model, 0.1)
    return LocalBackend([MemberLearner(model, optimizer, seed=3, average=0.9, **settings)], shards)


def trained(backend, steps=4, rate=0.01):
    """The last result and a snapshot, from a state that is not zero, with resets in the middle."""
    draw, state = np.random.default_rng(4), backend.initial_state(B)
    for step in range(steps):
        tokens_BT = draw.integers(0, V, (B, T + 1))
        reset_BT = draw.random((B, T)) < 0.1
        batch = Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], reset_BT, 0)
        result = backend.gradients(batch, state, step, np.arange(B))
        backend.update(rate, 0.5)
        state = result.state
    return result, backend.snapshot()


divided = st.integers(1, 40).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count)))


@given(divided, st.integers(0, 30))
def test_every_stream_is_in_one_shard(sizes, more):
    shards = Shards(sizes[0] + more, sizes[1])
    streams = [shards.streams((each, each + 1)) for each in range(shards.count)]
    assert [each for rows in streams for each in range(rows.start, rows.stop)] == list(
        range(shards.batch_size)
    )


@given(st.integers(1, 12))
def test_a_sum_is_that_of_its_tree_to_the_bit(count):
    draw = np.random.default_rng(count)
    dense = [draw.standard_normal(11).astype(np.float32) for _ in range(count)]
    places = np.empty((5, 11), np.float32)  # log2(12) + 1: no tree of twelve shards takes more

    def left_in_its_place(shard, place):
        places[place] = dense[shard]
        rows_U = np.array([shard // 2, count])
        return {"all": Gradient(places[place]), "rows": Gradient(np.full((2, 1), shard + 1.0), rows_U)}

    found = gradient_sum((0, count), left_in_its_place)
    by_tree = tree_sum((0, count), lambda n: dense[n[0]] if n[1] - n[0] == 1 else None, np.add)
    assert np.array_equal(found["all"].values, by_tree)
    whole = np.zeros(count + 1)
    np.add.at(whole, np.arange(count) // 2, np.arange(1, count + 1))
    whole[count] = count * (count + 1) / 2
    assert np.array_equal(found["rows"].values[:, 0], whole[found["rows"].rows_U])
    assert (np.diff(found["rows"].rows_U) > 0).all() and whole[found["rows"].rows_U].sum() == whole.sum()


@pytest.mark.parametrize("config", SHAPES, ids=lambda config: config.cell)
@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_give_the_gradients_of_the_whole_batch(config, count):
    whole, parts = backend(1, config), backend(count, config)
    one, other = trained(whole, 1), trained(parts, 1)
    assert other[0].loss == pytest.approx(one[0].loss, rel=1e-6)
    assert other[0].accuracy == pytest.approx(one[0].accuracy)
    assert other[0].gradient_norm == pytest.approx(one[0].gradient_norm, rel=1e-5)
    for mine, theirs in zip(parts.learners, whole.learners, strict=True):
        for name, gradient in mine._gradients.items():
            np.testing.assert_allclose(gradient.values, theirs._gradients[name].values, rtol=1e-3, atol=1e-6)
    for mine, theirs in zip(other[0].state.arrays, one[0].state.arrays, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_a_number_of_shards_is_part_of_the_arithmetic():
    found = [trained(backend(count))[1]["weights.stack.0.weight_hh"] for count in (1, 2, 2)]
    assert not np.array_equal(found[0], found[1]) and np.array_equal(found[1], found[2])


@pytest.fixture
def threads():
    """``threads(count)``: so many for a call of the core, until the end of the test."""
    if without_core() is not None:
        pytest.skip("SKIP SKIP SKIP  no native core here")
    before = native.core().threads
    yield native.core().set_threads
    native.core().set_threads(before)


@pytest.fixture
def callers(monkeypatch):
    """The shards' backward passes: the threads that began them, in this order."""
    honest, found = Program.gradients, []

    def gradients(self, *arguments, **named):
        found.append(threading.current_thread())
        return honest(self, *arguments, **named)

    monkeypatch.setattr(Program, "gradients", gradients)
    return found


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("config", SHAPES, ids=lambda config: config.cell)
def test_threads_change_no_bit(threads, config, precision):
    if precision not in precisions():
        pytest.skip(f"SKIP SKIP SKIP  no native core with {precision} here")
    for shards in (2, 3, 4):
        found = []
        for count in (1, 2, 3, 4):
            threads(count)
            found.append(trained(backend(shards, config, precision=precision))[1])
        for other in found[1:]:
            assert all(np.array_equal(array, other[name]) for name, array in found[0].items())


@pytest.mark.parametrize(
    ("shards", "count", "beside"),
    [(2, 2, 2), (3, 2, 2), (4, 2, 4), (4, 4, 4), (4, 3, 0), (2, 1, 0), (1, 2, 0)],
)
def test_as_many_shards_as_threads_are_computed_side_by_side(threads, callers, shards, count, beside):
    threads(count)
    before = threading.active_count()
    trained(backend(shards), steps=1)
    main = threading.current_thread()
    assert len(callers) == shards and sum(each is not main for each in callers) == beside
    assert threading.active_count() <= before and native.core().threads == count


def test_an_error_of_one_shard_ends_the_step(threads, monkeypatch):
    threads(2)
    honest, before = Program.gradients, threading.active_count()

    def gradients(self, inputs_BT, targets_BT, state, wanted, **named):
        if 0 in wanted.streams:
            raise MemoryError("no memory left")
        return honest(self, inputs_BT, targets_BT, state, wanted, **named)

    monkeypatch.setattr(Program, "gradients", gradients)
    with pytest.raises(MemoryError):
        trained(backend(2), steps=1)
    assert threading.active_count() <= before


@pytest.fixture
def calls(monkeypatch):
    """The calls of the core: (thread, operation, arguments). Packing takes a while."""
    core, found = native.core(), []
    honest = core.call

    def call(name, *arguments, **named):
        found.append((threading.current_thread(), name, arguments or named))
        if name == "pack":
            time.sleep(0.01)
        return honest(name, *arguments, **named)

    monkeypatch.setattr(core, "call", call)
    return found


def address(array):
    """Where an array of a call stands, given as an array or as its address; 0: there is none."""
    return array.ctypes.data if isinstance(array, np.ndarray) else int(array or 0)


def test_shards_side_by_side_share_packed_matrices(threads, calls):
    threads(2)
    once, found = backend(2, kind="adamw"), []
    for _ in range(2):
        trained(once, steps=1)
        found.append(
            [
                (each, address(passed["weight"]), passed["transposed"])
                for each, name, passed in calls
                if name == "pack"
            ]
        )
        calls.clear()
    first, second = found
    assert len({each[1:] for each in first}) == len(first) > 0, "each matrix once for each product"
    assert len(second) == len(first)
    assert {each for each, *_ in second} == {threading.main_thread()}, "by all threads, before the shards"


def test_shards_side_by_side_share_no_memory_to_write_to(threads, calls):
    threads(2)
    trained(backend(2), steps=1)
    written = ("hidden", "operands", "d_projection", "d_operands", "d_weight", "d_bias_rows")
    memory = {}
    for each, name, passed in calls:
        if name.startswith("scan"):
            places = (address(passed.get(key)) for key in written)
            memory.setdefault(each, set()).update(place for place in places if place)
    one, other = memory.values()
    assert one and other and not one & other


def test_a_run_keeps_its_shards(run, tmp_path):
    for name in ("whole", "cut"):
        run(
            name, steps=6, shards=3, dropout=0.2, ngrams="2,3", **({"stop_after": 3} if name == "cut" else {})
        )
    with pytest.raises(RunError, match="shards is 2, the run has 3"):
        run("cut", resume=True, shards=2)
    run("cut", resume=True, shards=3)
    whole, cut = (tmp_path / name / "model.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes() and model_file.read(cut).card["settings"]["shards"] == 3


def test_a_run_of_before_shards_has_one(run, tmp_path):
    run("run", steps=4, stop_after=2)
    found = checkpoint.newest(tmp_path / "run")
    spec = {**found.state, "recipe": {k: v for k, v in found.state["recipe"].items() if k != "shards"}}
    checkpoint.commit(tmp_path / "run", 2, found.arrays, spec)
    assert run("run", resume=True).finished


def test_more_shards_than_streams_are_refused(run, tmp_path):
    with pytest.raises(SettingError, match="shards is 5: it must be at most the batch size, 4"):
        run("run", steps=2, shards=5)
    short = tmp_path / "short.txt"
    short.write_text("a short text of few tokens, for four streams are too many here")
    with (
        pytest.raises(SettingError, match="shards is 4: it must be at most the batch size, 3"),
    ):
        run("run", texts=[str(short)], steps=2, shards=4, seq_len=16)
    assert not (tmp_path / "run").exists()


def test_a_batch_that_is_chosen_holds_shards_of_one_size(run, tmp_path):
    found = run("run", steps=2, batch_size="auto", shards=3)
    assert found.finished and checkpoint.newest(tmp_path / "run").state["batch_size"] % 3 == 0


def test_sums_of_rows_are_summed_by_row():
    parts = [Gradient(np.ones((2, 3)), np.array(rows)) for rows in ([0, 4], [1, 4], [4, 9])]
    total = reduce(Gradient.plus, parts)
    assert total.rows_U.tolist() == [0, 1, 4, 9] and total.values[:, 0].tolist() == [1, 1, 3, 1]


@pytest.mark.parametrize("config", SHAPES[:2])
def test_candidates_of_each_shard_add_up_to_the_gradient_of_the_batch(config):
    sampler = CandidateSampler(np.ones(V), V, seed=0)  # all symbols: exact
    whole, _ = trained(backend(1, config), steps=2)
    for shards in (1, 3):
        result, _ = trained(backend(shards, config, sampler=sampler), steps=2)
        assert result.loss == pytest.approx(whole.loss, rel=1e-4)
        assert result.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-3)
