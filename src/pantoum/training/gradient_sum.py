"""The gradients of a batch as the sum of those of its shards, added in the tree of ``shards``.

A backward pass leaves its gradients in a workspace, where the next one overwrites them. So each pass is given
the number of a place that is free: the sum of a left half stays in the place of its first shard, where the
sum of the right half, computed in higher places, is added to it. A tree of S shards takes about log2(S) + 1
places; as each holds one shard, that is no more memory than one pass over the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable

from pantoum.network.gradient import Gradient, Gradients
from pantoum.training.shards import Node, halves

__all__ = ["gradient_sum"]


def gradient_sum(
    node: Node, of_shard: Callable[[int, int], Gradients], place: int = 0
) -> dict[str, Gradient]:
    """The sum over the shards of a node, in ``place``. ``of_shard`` computes the gradients of a shard, which
    hold until it is called for the same place again."""
    if node[1] - node[0] == 1:
        return dict(of_shard(node[0], place))
    left, right = halves(node)
    total = gradient_sum(left, of_shard, place)
    more = gradient_sum(right, of_shard, place + 1)
    return {name: own.plus(more[name]) for name, own in total.items()}
