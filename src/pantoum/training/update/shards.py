"""Shards of a batch: the rows of each, the rank that computes it, and the tree in which results are added.

Floating-point addition is not associative, so a gradient that is the same to the bit on any number of ranks
needs an order of addition that does not depend on them. A run therefore divides its batch into a fixed number
of shards. The results of the shards are the leaves of a binary tree, and each node is the sum of its left and
its right half. A rank computes a contiguous range of shards; the sums of whole subtrees within that range are
its own work, the nodes above need other ranks (``rank_sums``).

Shapes: B streams, S shards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

__all__ = ["Node", "Shards", "halves", "tree_sum"]

T = TypeVar("T")

Node: TypeAlias = tuple[int, int]
"""A node of the tree: the shards from the first number up to, but not including, the second."""


@dataclass(frozen=True)
class Shards:
    """How a batch of ``batch_size`` streams is divided among shards, and these among ranks."""

    batch_size: int
    count: int = 1
    """S, at most B."""
    ranks: int = 1
    """At most S."""

    @property
    def root(self) -> Node:
        """The node of all shards."""
        return 0, self.count

    def node(self, rank: int) -> Node:
        """The shards of a rank; their numbers differ by one at most."""
        return rank * self.count // self.ranks, (rank + 1) * self.count // self.ranks

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

    def subtrees(self, rank: int) -> list[Node]:
        """The largest nodes of the tree that lie within the shards of a rank, from left to right."""
        return _within(self.root, self.node(rank))


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


def _within(node: Node, bounds: Node) -> list[Node]:
    if bounds[0] <= node[0] and node[1] <= bounds[1]:
        return [node]
    if node[1] <= bounds[0] or bounds[1] <= node[0]:
        return []
    left, right = halves(node)
    return _within(left, bounds) + _within(right, bounds)
