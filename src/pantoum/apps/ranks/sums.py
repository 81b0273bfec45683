"""The sum over all shards of a batch where ranks have computed them: the nodes of the tree above each rank.

A rank computes a contiguous range of shards; the sums of whole subtrees within that range are its own work.
An array is cut into one slice per rank. Every rank sends slice k of its sums to rank k, which adds what it
receives in the order of the tree, and then sends the total of its slice to all. So the additions are shared
out, too, and a rank of R sends and receives 2 (R - 1) / R times the size of the gradients, if its shards are
one subtree. The totals lie where the first of the rank's own sums was.

Gradients of rows in use (n-grams) are few; their rows and values go to all ranks, and each adds them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from pantoum.apps.ranks.transport import Ranks
from pantoum.seams import Array, Gradient, Node, Shards, Workspace, halves, tree_sum

__all__ = ["RankSums", "Sums", "node_of", "subtrees"]

Sums: TypeAlias = Mapping[Node, Mapping[str, Gradient]]
"""The sums of the gradients over the shards of some subtrees."""


def node_of(shards: Shards, rank: int, ranks: int) -> Node:
    """The shards of a rank; their numbers differ by one at most."""
    return rank * shards.count // ranks, (rank + 1) * shards.count // ranks


def subtrees(node: Node, bounds: Node) -> list[Node]:
    """The largest nodes of a tree that lie within some shards, from left to right."""
    if bounds[0] <= node[0] and node[1] <= bounds[1]:
        return [node]
    if node[1] <= bounds[0] or bounds[1] <= node[0]:
        return []
    left, right = halves(node)
    return subtrees(left, bounds) + subtrees(right, bounds)


class RankSums:
    """The share of a rank (``training.update.backend.Share``); owns the arrays that it receives into."""

    def __init__(self, ranks: Ranks, batch_size: int, shards: int) -> None:
        """``batch_size``: of all ranks together."""
        self.ranks, self.rank = ranks, ranks.rank
        self.shards = Shards(batch_size, shards)
        self.own = node_of(self.shards, ranks.rank, ranks.count)
        nodes = [node_of(self.shards, rank, ranks.count) for rank in range(ranks.count)]
        self._nodes = [subtrees(self.shards.root, node) for node in nodes]
        """The subtrees of each rank."""
        self.nodes = self._nodes[ranks.rank]
        self._workspace = Workspace()

    def total(self, sums: Sums) -> dict[str, Gradient]:
        """The gradients of the whole batch from the sums of this rank's subtrees, which are used up."""
        first = next(iter(sums.values()))
        counts = self._row_counts(sums, list(first))
        to_all = [name for name, known in counts.items() if max(known.values()) >= 0]
        totals = self._of_all(sums, {name: counts[name] for name in to_all})
        whole = [name for name in counts if name not in totals]
        parts = {node: {name: part[name] for name in whole} for node, part in sums.items()}
        self._reduce(parts)
        self._totals_to_all(next(iter(parts.values())))
        return {name: totals.get(name, gradient) for name, gradient in first.items()}

    def all_facts(
        self, facts: Sequence[Sequence[Sequence[float]]], finite: bool
    ) -> tuple[list[list[list[float]]], bool]:
        """Numbers of the shards of this rank, by member, as those of all shards; and whether something that
        should be finite is finite on every rank."""
        own_MSK = np.array(facts, np.float64)
        M, _, K = own_MSK.shape
        counts = [sum(end - first for first, end in nodes) for nodes in self._nodes]
        sent = np.concatenate([own_MSK.reshape(-1), [float(finite)]])
        parts = self._to_all(sent, [M * count * K + 1 for count in counts])
        by_rank = [part[:-1].reshape(M, count, K) for part, count in zip(parts, counts, strict=True)]
        return np.concatenate(by_rank, axis=1).tolist(), all(part[-1] for part in parts)

    def _to_all(self, own: Array, sizes: Sequence[int]) -> list[Array]:
        """The vectors of all ranks, of these sizes, in the order of ranks."""
        found = [own if rank == self.rank else np.empty(size, own.dtype) for rank, size in enumerate(sizes)]
        others = [rank for rank in range(len(sizes)) if rank != self.rank]
        self.ranks.exchange([(rank, own) for rank in others], [(rank, found[rank]) for rank in others])()
        return found

    def _reduce(self, sums: Sums) -> None:
        """This rank's slice of each array becomes the total."""
        first = next(iter(sums.values()))
        slices: dict[str, dict[Node, Gradient]] = {name: {} for name in first}
        outgoing, incoming = list[tuple[int, Array]](), list[tuple[int, Array]]()
        for name in first:
            size, dtype = first[name].values.size, first[name].values.dtype
            own = self._slice(size, self.rank)
            for rank in range(self.ranks.count):
                if rank == self.rank:
                    for node, part in sums.items():
                        slices[name][node] = replace(part[name], values=part[name].values.reshape(-1)[own])
                    continue
                theirs = self._slice(size, rank)
                outgoing += [(rank, part[name].values.reshape(-1)[theirs]) for part in sums.values()]
                for node in self._nodes[rank]:
                    array = self._workspace.array(f"{name} {node}", (own.stop - own.start,), dtype)
                    slices[name][node] = replace(first[name], values=array)
                    incoming.append((rank, array))
        self.ranks.exchange(outgoing, incoming)()
        for name in first:
            flat = first[name].values.reshape(-1)
            total = tree_sum(self.shards.root, slices[name].get, Gradient.plus)
            np.copyto(flat[self._slice(flat.size, self.rank)], total.values)

    def _totals_to_all(self, gradients: Mapping[str, Gradient]) -> None:
        """The slice of each gradient that this rank has goes to all ranks."""
        outgoing, incoming = list[tuple[int, Array]](), list[tuple[int, Array]]()
        for gradient in gradients.values():
            flat = gradient.values.reshape(-1)
            own = flat[self._slice(flat.size, self.rank)]
            for rank in range(self.ranks.count):
                if rank != self.rank:
                    outgoing.append((rank, own))
                    incoming.append((rank, flat[self._slice(flat.size, rank)]))
        self.ranks.exchange(outgoing, incoming)()

    def _slice(self, size: int, rank: int) -> slice:
        """The slice of a rank of an array of this size."""
        return slice(rank * size // self.ranks.count, (rank + 1) * size // self.ranks.count)

    def _row_counts(self, sums: Sums, names: Sequence[str]) -> dict[str, dict[Node, int]]:
        """The number of rows in use of each gradient at each node of all ranks; of a gradient of all n rows
        ``~n``, which is negative. Which of both a gradient is may depend on the size of a shard."""
        own = [
            ~len(part[name].values) if part[name].rows_U is None else len(part[name].values)
            for part in sums.values()
            for name in names
        ]
        parts = self._to_all(np.array(own), [len(names) * len(each) for each in self._nodes])
        found: dict[str, dict[Node, int]] = {name: {} for name in names}
        for listed, part in zip(self._nodes, parts, strict=True):
            for node, row in zip(listed, part.reshape(len(listed), len(names)).tolist(), strict=True):
                for name, count in zip(names, row, strict=True):
                    found[name][node] = count
        return found

    def _of_all(self, sums: Sums, counts: Mapping[str, Mapping[Node, int]]) -> dict[str, Gradient]:
        """The totals of these gradients, which every rank sends to all."""
        known: dict[str, dict[Node, Gradient]] = {}
        outgoing, incoming = list[tuple[int, Array]](), list[tuple[int, Array]]()
        others = [rank for rank in range(self.ranks.count) if rank != self.rank]
        for name, by_node in counts.items():
            known[name] = {node: part[name] for node, part in sums.items()}
            like = next(iter(sums.values()))[name]
            for part in sums.values():
                rows_U, values = part[name].rows_U, np.ascontiguousarray(part[name].values)
                arrays = [values] if rows_U is None else [rows_U, values]
                outgoing += [(rank, array) for rank in others for array in arrays]
            for rank in others:
                for node in self._nodes[rank]:
                    rows_U, size = None, ~by_node[node]
                    if by_node[node] >= 0:
                        size = by_node[node]
                        rows_U = np.empty(size, np.int64)
                        incoming.append((rank, rows_U))
                    values = np.empty((size, *like.values.shape[1:]), like.values.dtype)
                    incoming.append((rank, values))
                    known[name][node] = replace(like, values=values, rows_U=rows_U)
        self.ranks.exchange(outgoing, incoming)()
        return {name: tree_sum(self.shards.root, known[name].get, Gradient.plus) for name in counts}

    def owners(self, costs: Sequence[float]) -> list[int]:
        """Which rank does each task: the costliest task first, to the rank with the least work so far. Every
        rank finds the same."""
        work, found = [0.0] * self.ranks.count, [0] * len(costs)
        for task in sorted(range(len(costs)), key=lambda task: (-costs[task], task)):
            rank = work.index(min(work))
            found[task] = rank
            work[rank] += costs[task]
        return found

    def spread(self, arrays: Sequence[Array], owners: Sequence[int]) -> None:
        """Each array goes from its owner to all other ranks, into the array at its place there."""
        held = list(zip(arrays, owners, strict=True))
        others = [rank for rank in range(self.ranks.count) if rank != self.rank]
        outgoing = [(rank, array) for rank in others for array, owner in held if owner == self.rank]
        self.ranks.exchange(outgoing, [(owner, array) for array, owner in held if owner != self.rank])()
