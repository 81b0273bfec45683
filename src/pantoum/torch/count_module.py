"""Counted n-grams as a module: the look-ups of ``mixers.counts``, mixed with a network as ``count_mixture``
does.

The tables are buffers that are not in ``state_dict()``, which has the network's parameters alone. They move
with the module from device to device, and nothing in them is trained. The gradient of a mixture flows to the
network; without ``module.counts`` the network is trained by itself, as ``pantoum train`` does.

Shapes: T time steps, B rows (streams), N = T*B contexts, K tokens of context at most, V symbols, C classes of
contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pantoum.kernels.count_tree import SIZES
from pantoum.kernels.mixed_rows import LEAST_PROBABILITY
from pantoum.network.mixers import count_mixture
from pantoum.torch.chunk_rows import ChunkRows
from pantoum.torch.ngram_module import history, kept

__all__ = ["CountModule"]


class CountModule(nn.Module):
    """Counts, and the weights of the network beside them."""

    def __init__(self, mixture: count_mixture.CountMixture) -> None:
        super().__init__()
        counts, tree = mixture.counts, mixture.counts.tree
        self.vocab_size, self.kept = counts.vocab_size, counts.kept
        for order, (keys, found) in enumerate(zip(counts.keys, tree.lengths, strict=True), start=1):
            self._table("keys", order, keys)
            self._table("starts", order, found.starts.astype(np.int64))
            self._table("tokens", order, found.tokens_C.astype(np.int64))
            self._table("shares", order, found.shares_C)
            self._table("left", order, found.left_M)
            self._table("sizes", order, found.sizes_M.astype(np.int64))
        self._table("unigrams", 0, tree.unigrams_V)
        self._table("weights", 0, mixture.weights_C)
        self._shortest = tree.shortest
        """The class of no context."""

    def find(self, tokens_TB: Tensor, recent_BK: Tensor, rows: ChunkRows) -> tuple[Tensor, Tensor]:
        """``Counts.find``: for each length of contexts the n-gram that ends with each token [N,K], -1: none;
        and the state after the tokens [B,K]."""
        T, K = tokens_TB.shape[0], self.kept
        known_BK = (recent_BK >= 1) & (recent_BK <= self.vocab_size)
        # What comes before a gap is not a context.
        known_BK = known_BK.flip(1).to(torch.int64).cumprod(1).flip(1).bool()
        recent_BK = torch.where(known_BK, recent_BK, 0)
        history_SB, begun_TB = history(tokens_TB, recent_BK, rows, self.vocab_size)
        steps_T1 = torch.arange(T, device=tokens_TB.device)[:, None]
        nodes_SB = history_SB - 1
        nodes = [nodes_SB[K:].flatten()]
        for more in range(1, K):
            before_SB = torch.cat([torch.full_like(nodes_SB[:1], -1), nodes_SB[:-1]])
            nodes_SB = self._children(more, before_SB, history_SB - 1)
            seen_TB = torch.where(steps_T1 - more < begun_TB, -1, nodes_SB[K:])
            nodes_SB = torch.cat([nodes_SB[:K], seen_TB])
            nodes.append(seen_TB.flatten())
        return torch.stack(nodes, dim=1), kept(history_SB, begun_TB, rows, recent_BK)

    def mix(self, logits_NV: Tensor, nodes_NK: Tensor) -> Tensor:
        """The log-probabilities of the mixture from the logits of the network."""
        nodes = nodes_NK.unbind(1)
        weights_N1 = self._of("weights", 0)[self._classes(nodes)][:, None]
        mixed_NV = weights_N1 * torch.softmax(logits_NV, dim=1) + (1 - weights_N1) * self._rows(nodes)
        return torch.log(mixed_NV + float(LEAST_PROBABILITY))

    def _rows(self, nodes: Sequence[Tensor]) -> Tensor:
        """``Counts.rows``: the probabilities of all symbols after each context [N,V]."""
        N, V = len(nodes[0]), self.vocab_size
        left = [
            torch.where(nodes_N >= 0, self._of("left", order)[nodes_N.clamp(min=0)], 1.0)
            for order, nodes_N in enumerate(nodes, start=1)
        ]
        # What remains of each order after the orders above it.
        remains_KN = torch.stack(left).flip(0).cumprod(0).flip(0)
        rows_NV = remains_KN[0][:, None] * self._of("unigrams", 0)
        flat = rows_NV.view(-1)
        for order, nodes_N in enumerate(nodes, start=1):
            starts, known_N = self._of("starts", order), nodes_N >= 0
            places_N = nodes_N.clamp(min=0)
            begins_N = torch.where(known_N, starts[places_N], 0)
            sizes_N = torch.where(known_N, starts[places_N + 1], 0) - begins_N
            owners = torch.repeat_interleave(torch.arange(N, device=flat.device), sizes_N)
            within = torch.arange(len(owners), device=flat.device)
            places = within + (begins_N - (sizes_N.cumsum(0) - sizes_N))[owners]
            values = self._of("shares", order)[places]
            if order < len(nodes):
                values = values * remains_KN[order][owners]
            flat.index_add_(0, owners * V + self._of("tokens", order)[places], values)
        return rows_NV

    def _children(self, order: int, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The places of n-grams of the order after ``order``, of a context and a token; -1: none."""
        keys = self._of("keys", order)
        wanted = nodes * self.vocab_size + tokens
        places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        return torch.where((keys[places] == wanted) & (nodes >= 0) & (tokens >= 0), places, -1)

    def _classes(self, nodes: Sequence[Tensor]) -> Tensor:
        """A class for each context [N]."""
        classes_N = torch.full_like(nodes[0], self._shortest)
        for order, nodes_N in enumerate(nodes, start=1):
            sizes_N = torch.where(nodes_N >= 0, self._of("sizes", order)[nodes_N.clamp(min=0)], -1)
            classes_N = torch.where(sizes_N >= 0, order * SIZES + sizes_N, classes_N)
        return classes_N

    def _table(self, kind: str, order: int, array: Any) -> None:
        self.register_buffer(f"{kind}_{order}", torch.from_numpy(np.array(array)), persistent=False)

    def _of(self, kind: str, order: int) -> Tensor:
        return self.get_buffer(f"{kind}_{order}")
