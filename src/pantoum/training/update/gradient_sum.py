"""The gradients of a batch as the sum of those of its shards, added in the tree of ``shards``.

A backward pass leaves its gradients in a workspace, where the next one overwrites them. So each pass is given
the number of a place that is free: the sum of a left half stays in the place of its first shard, where the
sum of the right half, computed in higher places, is added to it. A tree of S shards takes about log2(S) + 1
places; as each holds one shard, that is no more memory than one pass over the whole batch.

A node of the tree that has as many shards as there are threads is computed side by side, each shard by one
thread in a place of its own. The other nodes are computed shard after shard, each call by all threads. The
bits are the same: the tree is, and the kernels do not depend on threads.
"""

from __future__ import annotations

from collections.abc import Callable

from pantoum.kernels.threads import Callers
from pantoum.network.gradient import Gradient, Gradients
from pantoum.training.update.shards import Node, halves, tree_sum

__all__ = ["gradient_sum", "side_by_side"]


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
