"""What looks back on the last tokens of each stream, as modules: the table of n-gram logits, counted n-grams.

Hash, rows and state are those of ``network.mixers.ngrams``. The hash works modulo 2^64. PyTorch's 64-bit
integers are signed, and their sums and products wrap around to the same bits; only the shift to the right
must be told to bring in zeros.

Counts are looked up and mixed with a network as by ``mixers.counts``. Their
tables are buffers that are not in ``state_dict()``, which has the network's parameters alone. They move with
the module from device to device, and nothing in them is trained. The gradient of a mixture flows to
the network; without ``module.counts`` the network is trained by itself, as ``pantoum train`` does.

Shapes: T time steps, B rows (streams), N = T*B contexts, O orders, K tokens kept, S = K + T, V symbols, C
classes of contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from pantoum.apps.torch.cell_module import Rows
from pantoum.seams import COUNT_TREE_SIZES as SIZES
from pantoum.seams import LEAST_PROBABILITY, CountMixture
from pantoum.seams import NGRAM_MULTIPLIER as MULTIPLIER

__all__ = ["CountModule", "NgramModule"]


class NgramModule(nn.Module):
    """The table of all orders [O * rows, V]."""

    def __init__(self, vocab_size: int, orders: tuple[int, ...], rows: int) -> None:
        super().__init__()
        self.orders, self.rows, self.base, self.kept = orders, rows, vocab_size + 1, max(orders) - 1
        self.weight = nn.Parameter(torch.empty(len(orders) * rows, vocab_size))
        self.sparse = False
        """Whether the gradient is a sparse tensor of the rows in use."""

    def find(self, tokens_TB: Tensor, recent_BK: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """(the rows of each token's n-grams [N,O], the state after the tokens [B,K])."""
        T = tokens_TB.shape[0]
        history_SB, begun_TB = history(tokens_TB, recent_BK, rows, 2**31 - 1)
        steps_T1 = torch.arange(T, device=tokens_TB.device)[:, None]
        key_TB, power = torch.zeros_like(tokens_TB), 1
        found: tuple[Tensor, ...] = ()
        for back in range(self.kept + 1):
            token_TB = history_SB[self.kept - back : self.kept - back + T]
            token_TB = torch.where(steps_T1 - back >= begun_TB, token_TB, 0)
            key_TB = key_TB + token_TB * _signed(power)
            power = power * self.base % 2**64
            if back + 1 in self.orders:
                found += (self._hashed(key_TB) + len(found) * self.rows,)
        return torch.stack(found, dim=-1).flatten(0, 1), kept(history_SB, begun_TB, rows, recent_BK)

    def mix(self, logits_NV: Tensor, rows_NO: Tensor) -> Tensor:
        """The logits and the rows of the n-grams, added."""
        return logits_NV + embedding_bag(rows_NO, self.weight, mode="sum", sparse=self.sparse)

    def _hashed(self, key_TB: Tensor) -> Tensor:
        shift = 64 - (self.rows.bit_length() - 1)
        return ((key_TB * _signed(MULTIPLIER)) >> shift) & (self.rows - 1)


class CountModule(nn.Module):
    """Counts, and the weights of the network beside them."""

    def __init__(self, mixture: CountMixture) -> None:
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

    def find(self, tokens_TB: Tensor, recent_BK: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
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


def history(tokens_TB: Tensor, recent_BK: Tensor, rows: Rows, most: int) -> tuple[Tensor, Tensor]:
    """(the tokens with the kept ones before them [K+T,B], each as its number + 1, 0: none; for each token the
    step at which what may be seen begins [T,B]). A kept number outside 1 to ``most`` is none."""
    T, K = tokens_TB.shape[0], recent_BK.shape[1]
    known_BK = torch.where((recent_BK >= 1) & (recent_BK <= most), recent_BK, 0)
    history_SB = torch.cat([known_BK.T.to(torch.int64), tokens_TB + 1])
    begun_TB = torch.full_like(tokens_TB, -K)
    if rows.reset_TB is not None:
        steps_T1 = torch.arange(T, device=tokens_TB.device)[:, None]
        begun_TB = torch.where(rows.reset_TB, steps_T1, begun_TB).cummax(dim=0).values
    return history_SB, begun_TB


def kept(history_SB: Tensor, begun_TB: Tensor, rows: Rows, recent_BK: Tensor) -> Tensor:
    """The state after the tokens [B,K]; past the length of a row it stays."""
    (T, B), K, device = begun_TB.shape, recent_BK.shape[1], begun_TB.device
    ends_B = torch.full((B,), T, device=device) if rows.lengths_B is None else rows.lengths_B
    streams_B = torch.arange(B, device=device)
    places_BK = ends_B[:, None] + torch.arange(K, device=device)
    after_BK = history_SB[places_BK, streams_B[:, None]]
    begun_B = torch.where(ends_B > 0, begun_TB[(ends_B - 1).clamp(min=0), streams_B], -K)
    return torch.where(places_BK - K >= begun_B[:, None], after_BK, 0).to(recent_BK.dtype)


def _signed(number: int) -> int:
    """The signed 64-bit integer with the same bits."""
    return number - 2**64 if number >= 2**63 else number
