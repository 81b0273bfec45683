"""The gradients of a batch as the sum of those of its shards, added in the tree of ``shards``.

A backward pass leaves its gradients in the workspace of the program, where the next one overwrites them. So
the left half of a sum is copied into buffers of this object, which serve from step to step: about log2(S)
sets of them for S shards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pantoum.kernels import Array
from pantoum.network.gradient import Gradient, Gradients
from pantoum.training.shards import Node, tree_sum

__all__ = ["GradientSum"]


@dataclass
class _Sum:
    gradients: dict[str, Gradient]
    buffers: dict[str, Array] | None = None
    """The buffers that hold the gradients; ``None``: they are where the backward pass left them."""


class GradientSum:
    """Adds the gradients of shards and owns the buffers for it."""

    def __init__(self) -> None:
        self._all: list[dict[str, Array]] = []
        self._free: list[dict[str, Array]] = []

    def begin(self) -> None:
        """The sums of the last step are not needed any more."""
        self._free = list(self._all)

    def over(
        self, node: Node, gradients: Callable[[int], Gradients], keep: bool = False
    ) -> dict[str, Gradient]:
        """The sum over the shards of a node; ``gradients`` computes those of one shard. It holds until
        ``begin``; that of a single shard only until the next backward pass, unless ``keep`` is true."""

        def known(node: Node) -> _Sum | None:
            return _Sum(dict(gradients(node[0]))) if node[1] - node[0] == 1 else None

        found = tree_sum(node, known, self._added, self._kept)
        return (self._kept(found) if keep else found).gradients

    def _kept(self, found: _Sum) -> _Sum:
        if found.buffers is not None:
            return found
        if not self._free:
            self._free.append(_empty_like(found.gradients))
            self._all.append(self._free[-1])
        buffers, copied = self._free.pop(), dict[str, Gradient]()
        for name, gradient in found.gradients.items():
            if gradient.rows_U is not None or name not in buffers:
                copied[name] = replace(gradient, values=gradient.values.copy())
                continue
            np.copyto(buffers[name], gradient.values)
            copied[name] = replace(gradient, values=buffers[name])
        return _Sum(copied, buffers)

    def _added(self, left: _Sum, right: _Sum) -> _Sum:
        if right.buffers is not None:
            self._free.append(right.buffers)
        added = {name: own.plus(right.gradients[name]) for name, own in left.gradients.items()}
        return _Sum(added, left.buffers)


def _empty_like(gradients: Mapping[str, Gradient]) -> dict[str, Array]:
    """Buffers for the gradients of all rows; those of rows in use, whose numbers vary, are copied afresh."""
    return {name: np.empty_like(own.values) for name, own in gradients.items() if own.rows_U is None}
