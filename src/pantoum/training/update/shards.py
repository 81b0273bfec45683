"""Shards of a batch: the rows of each, and the tree in which results are added.

Floating-point addition is not associative, so a gradient that is the same to the bit on any number of ranks
needs an order of addition that does not depend on them. A run therefore divides its batch into a fixed number
of shards. The results of the shards are the leaves of a binary tree, and each node is the sum of its left and
its right half.

The gradients of a batch are the sum of those of its shards, added in this tree (``gradient_sum``). A backward
pass leaves its gradients in a workspace, where the next one overwrites them. So each pass is given
the number of a place that is free: the sum of a left half stays in the place of its first shard, where the
sum of the right half, computed in higher places, is added to it. A tree of S shards takes about log2(S) + 1
places; as each holds one shard, that is no more memory than one pass over the whole batch.

A node of the tree that has as many shards as there are threads is computed side by side, each shard by one
thread in a place of its own. The other nodes are computed shard after shard, each call by all threads. The
bits are the same: the tree is, and the kernels do not depend on threads.

Shapes: B streams, S shards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from pantoum.kernels import Array
from pantoum.kernels.threads import Callers
from pantoum.network.gradient import Gradient, Gradients

T = TypeVar("T")

Node: TypeAlias = tuple[int, int]
"""A node of the tree: the shards from the first number up to, but not including, the second."""


@dataclass(frozen=True)
class Shards:
    """How a batch of ``batch_size`` streams is divided among shards."""

    batch_size: int
    count: int = 1
    """S, at most B."""

    @property
    def root(self) -> Node:
        """The node of all shards."""
        return 0, self.count

    def streams(self, node: Node) -> slice:
        """The streams of these shards; the sizes of shards differ by one at most."""
        first, end = node
        return slice(first * self.batch_size // self.count, end * self.batch_size // self.count)

    def mean(self, values: Sequence[float]) -> float:
        """The mean over the batch of one mean per shard."""

        def weighted(node: Node) -> float | None:
            rows = self.streams(node)
            share = (rows.stop - rows.start) / self.batch_size
            return values[node[0]] * share if node[1] - node[0] == 1 else None

        return tree_sum(self.root, weighted, float.__add__)


def tree_sum(node: Node, known: Callable[[Node], T | None], add: Callable[[T, T], T]) -> T:
    """The value of a node: known, or the sum of its halves."""
    found = known(node)
    if found is not None:
        return found
    left, right = halves(node)
    return add(tree_sum(left, known, add), tree_sum(right, known, add))


def halves(node: Node) -> tuple[Node, Node]:
    """The two nodes below a node of several shards."""
    first, end = node
    middle = (first + end) // 2
    return (first, middle), (middle, end)


def gradient_sum(
    node: Node, of_shard: Callable[[int, int], Gradients], place: int = 0, callers: Callers | None = None
) -> dict[str, Gradient]:
    """The sum over the shards of a node, in ``place``. ``of_shard`` computes the gradients of a shard, which
    hold until it is called for the same place again; ``callers`` call it at the same time."""
    first, end = node
    if callers is not None and callers.count == end - first:
        found = callers.each(of_shard, range(first, end), range(place, place + callers.count))

        def leaf(node: Node) -> dict[str, Gradient] | None:
            return dict(found[node[0] - first]) if node[1] - node[0] == 1 else None

        return tree_sum(node, leaf, lambda left, right: _added(left, right, callers))
    if end - first == 1:
        return dict(of_shard(first, place))
    left, right = halves(node)
    total = gradient_sum(left, of_shard, place, callers)
    more = gradient_sum(right, of_shard, place + 1, callers)
    return _added(total, more, callers)


def side_by_side(node: Node, count: int) -> bool:
    """Whether ``count`` shards of the tree of a node are computed at the same time."""
    size = node[1] - node[0]
    return size == count > 1 or (size > count and any(side_by_side(half, count) for half in halves(node)))


def _added(
    total: dict[str, Gradient], more: dict[str, Gradient], callers: Callers | None
) -> dict[str, Gradient]:
    """The first, with the second added; the callers share out the parameters."""

    def add(names: list[str]) -> dict[str, Gradient]:
        return {name: total[name].plus(more[name]) for name in names}

    if callers is None:
        return add(list(total))
    names = sorted(total, key=lambda name: -total[name].values.size)
    parts = callers.each(add, [names[start :: callers.count] for start in range(callers.count)])
    found = {name: gradient for part in parts for name, gradient in part.items()}
    return {name: found[name] for name in total}


class Share(Protocol):
    """The part of a run's work that this process does, where several train together."""

    shards: Shards
    """Those of the batch of all processes."""
    rank: int
    """The number of this process."""
    own: Node
    """The shards of this process."""
    nodes: list[Node]
    """The subtrees of shards that this process adds up by itself."""

    def total(self, sums: Mapping[Node, Gradients]) -> dict[str, Gradient]:
        """The gradients of the whole batch from the sums over ``nodes``, which are used up."""

    def all_facts(
        self, facts: Sequence[Sequence[Sequence[float]]], finite: bool
    ) -> tuple[list[list[list[float]]], bool]:
        """Numbers of the shards of this process, by member, as those of all shards; and whether something
        that should be finite is finite in every process."""

    def owners(self, costs: Sequence[float]) -> list[int]:
        """The process that does each task of these costs."""

    def spread(self, arrays: Sequence[Array], owners: Sequence[int]) -> None:
        """Each array goes from its owner to all other processes."""
