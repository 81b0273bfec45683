"""Sums over ranks: those of one process, to the bit, for every number of shards and ranks."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.apps.ranks.sums import RankSums
from pantoum.network.gradient import Gradient
from pantoum.training.update.shards import gradient_sum, tree_sum

SIZES = {"matrix": (5, 7), "bias": (3,), "one": (1,)}


def of_shard(shard, place=0):
    """Gradients of a shard, of all rows and of rows in use."""
    draw = np.random.default_rng(shard)
    found = {name: Gradient(draw.standard_normal(shape).astype("f")) for name, shape in SIZES.items()}
    rows_U = np.unique(draw.integers(0, 9, 4))
    found["table"] = Gradient(draw.standard_normal((len(rows_U), 2)).astype("f"), rows_U)
    part = draw.standard_normal((len(rows_U) if shard % 3 else 9, 2)).astype("f")
    return {**found, "of some shards": Gradient(part, rows_U if shard % 3 else None)}


@pytest.mark.parametrize(("count", "ranks"), [(2, 2), (4, 2), (4, 4), (6, 4), (5, 3), (7, 2), (3, 3)])
def test_totals_are_those_of_one_process_on_every_rank(together, count, ranks):
    whole = gradient_sum((0, count), of_shard)

    def work(group):
        sums = RankSums(group, count + 2, count)
        for _ in range(2):  # buffers are used again
            parts = {node: gradient_sum(node, of_shard) for node in sums.nodes}
            found = sums.total(parts)
        return found

    for found in together(ranks, work):
        assert list(found) == list(whole)
        for name, gradient in found.items():
            assert np.array_equal(gradient.values, whole[name].values), name
            assert (gradient.rows_U is None) == (whole[name].rows_U is None)
        assert np.array_equal(found["table"].rows_U, whole["table"].rows_U)


def test_a_rank_sends_twice_its_share_of_the_gradients(together):
    def work(group):
        gradients = {"weights": Gradient(np.zeros(4000, np.float32))}
        return RankSums(group, 4, 4).total({(group.rank, group.rank + 1): gradients})

    together(4, work)
    counts = 3 * 8  # one number to each of the others
    assert together.sent == [2 * 3 * 1000 * 4 + counts] * 4  # 2 (R - 1) / R of 4000 numbers


def test_facts_of_all_shards_come_in_their_order(together):
    def work(group):
        sums = RankSums(group, 6, 5)
        first, end = sums.own
        facts = [[[float(shard), 10.0 * member] for shard in range(first, end)] for member in range(2)]
        return sums.all_facts(facts, finite=group.rank != 1)

    for facts, finite in together(3, work):
        assert facts == [[[float(shard), 10.0 * member] for shard in range(5)] for member in range(2)]
        assert finite is False


@given(st.lists(st.integers(1, 100), max_size=30), st.integers(1, 6))
def test_tasks_are_shared_by_their_costs(costs, count):
    owners = RankSums(SimpleNamespace(rank=0, count=count), count, count).owners(costs)
    assert len(owners) == len(costs) and all(0 <= rank < count for rank in owners)
    work = [0.0] * count
    for cost, owner in zip(costs, owners, strict=True):
        work[owner] += cost
    assert max(work) <= sum(costs) / count + max(costs, default=0), (
        "no rank is idle while another has two tasks"
    )


divided = st.integers(1, 40).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count)))


@given(divided, st.integers(0, 30))
def test_ranks_share_out_the_tree(sizes, more):
    count, ranks = sizes
    sums = [RankSums(SimpleNamespace(rank=rank, count=ranks), count + more, count) for rank in range(ranks)]
    nodes, root = [node for each in sums for node in each.nodes], (0, count)
    assert [each for first, end in nodes for each in range(first, end)] == list(range(count))

    def spelled(known):
        return tree_sum(root, known, lambda left, right: f"({left}{right})")

    def leaf(node):
        return f"{node[0]}," if node[1] - node[0] == 1 else None

    whole = {node: tree_sum(node, leaf, lambda left, right: f"({left}{right})") for node in nodes}
    assert spelled(whole.get) == spelled(leaf)


def test_results_go_from_their_owners_to_all(together):
    def work(group):
        arrays = [np.full(place + 1, 10.0 * group.rank + place) for place in range(5)]
        RankSums(group, 3, 3).spread(arrays, [0, 2, 1, 1, 0])
        return [array.tolist() for array in arrays]

    wanted = [[10.0 * owner + place] * (place + 1) for place, owner in enumerate([0, 2, 1, 1, 0])]
    assert together(3, work) == [wanted] * 3
