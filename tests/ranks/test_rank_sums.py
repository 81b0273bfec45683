"""Sums over ranks: those of one process, to the bit, for every number of shards and ranks."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.errors import RankError
from pantoum.network.gradient import Gradient
from pantoum.training.update.rank_sums import RankSums, shared_out, spread
from pantoum.training.update.shards import gradient_sum

SIZES = {"matrix": (5, 7), "bias": (3,), "one": (1,)}


def of_shard(shard, place=0):
    """Gradients of a shard, of all rows and of rows in use."""
    draw = np.random.default_rng(shard)
    found = {name: Gradient(draw.standard_normal(shape).astype("f")) for name, shape in SIZES.items()}
    rows_U = np.unique(draw.integers(0, 9, 4))
    found["table"] = Gradient(draw.standard_normal((len(rows_U), 2)).astype("f"), rows_U)
    part = draw.standard_normal((len(rows_U) if shard % 3 else 9, 2)).astype("f")
    return {**found, "of some shards": Gradient(part, rows_U if shard % 3 else None)}


def in_bf16(shard, place=0):
    """The same, rounded."""
    return {name: gradient.rounded() for name, gradient in of_shard(shard).items()}


@pytest.mark.parametrize("leaf", [of_shard, in_bf16])
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(("count", "ranks"), [(2, 2), (4, 2), (4, 4), (6, 4), (5, 3), (7, 2), (3, 3)])
def test_totals_are_those_of_one_process_on_every_rank(together, count, ranks, direct, leaf):
    whole = gradient_sum((0, count), leaf)

    def work(group):
        sums = RankSums(group, count + 2, count, direct)
        for _ in range(2):  # buffers are used again
            parts = {node: gradient_sum(node, leaf) for node in sums.shards.subtrees(group.rank)}
            found = sums.total(parts)
        return found

    for found in together(ranks, work):
        assert list(found) == list(whole)
        for name, gradient in found.items():
            assert np.array_equal(gradient.values, whole[name].values), name
            assert (gradient.rows_U is None) == (whole[name].rows_U is None)
        assert np.array_equal(found["table"].rows_U, whole["table"].rows_U)


@pytest.mark.parametrize("leaf", [of_shard, in_bf16])
@pytest.mark.parametrize("overlaps", [True, False])
def test_sums_that_begin_early_are_the_same(together, leaf, overlaps):
    whole = gradient_sum((0, 3), leaf)

    def work(group):
        group.overlaps = overlaps
        sums, own = RankSums(group, 5, 3), (group.rank, group.rank + 1)
        for _ in range(2):
            found = leaf(group.rank)
            for names in (["matrix"], ["one", "bias"]):
                sums.begin({own: {name: found[name] for name in names}})
            total = sums.total({own: found})
        return total

    for found in together(3, work):
        assert list(found) == list(whole)
        for name, gradient in found.items():
            np.testing.assert_array_equal(gradient.values, whole[name].values, err_msg=name)
    adding = [thread for thread in threading.enumerate() if thread.name.startswith("pantoum-sums")]
    for thread in adding:  # each ends when nothing is left to add
        thread.join(120.0)
    assert not any(thread.is_alive() for thread in adding)


def test_an_error_in_a_sum_that_began_early_is_raised_by_its_rank(together):
    def work(group):
        sums, own = RankSums(group, 2, 2), (group.rank, group.rank + 1)
        found = {"matrix": of_shard(group.rank)["matrix"]}
        if group.rank:
            return  # this rank has ended
        sums.begin({own: found})
        sums.total({own: found})

    with pytest.raises(RankError, match=r"rank 1 .* has not answered"):
        together(2, work, patience=0.2)


@pytest.mark.parametrize("size", [4, 2])
def test_a_rank_sends_twice_its_share_of_the_gradients(together, size):
    def work(group):
        gradient = Gradient(np.zeros(4000, np.float32))
        gradients = {"weights": gradient if size == 4 else gradient.rounded()}
        return RankSums(group, 4, 4).total({(group.rank, group.rank + 1): gradients})

    together(4, work)
    counts = 3 * 8  # one number to each of the others
    assert together.sent == [2 * 3 * 1000 * size + counts] * 4  # 2 (R - 1) / R of 4000 numbers


def test_facts_of_all_shards_come_in_their_order(together):
    def work(group):
        sums = RankSums(group, 6, 5)
        first, end = sums.shards.node(group.rank)
        facts = [[[float(shard), 10.0 * member] for shard in range(first, end)] for member in range(2)]
        return sums.all_facts(facts, finite=group.rank != 1)

    for facts, finite in together(3, work):
        assert facts == [[[float(shard), 10.0 * member] for shard in range(5)] for member in range(2)]
        assert finite is False


@given(st.lists(st.integers(1, 100), max_size=30), st.integers(1, 6))
def test_tasks_are_shared_by_their_costs(costs, count):
    owners = shared_out(costs, count)
    assert len(owners) == len(costs) and all(0 <= rank < count for rank in owners)
    work = [0.0] * count
    for cost, owner in zip(costs, owners, strict=True):
        work[owner] += cost
    assert max(work) <= sum(costs) / count + max(costs, default=0), (
        "no rank is idle while another has two tasks"
    )


def test_results_go_from_their_owners_to_all(together):
    def work(group):
        arrays = [np.full(place + 1, 10.0 * group.rank + place) for place in range(5)]
        spread(group, arrays, [0, 2, 1, 1, 0])
        return [array.tolist() for array in arrays]

    wanted = [[10.0 * owner + place] * (place + 1) for place, owner in enumerate([0, 2, 1, 1, 0])]
    assert together(3, work) == [wanted] * 3
