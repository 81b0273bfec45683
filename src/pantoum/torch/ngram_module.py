"""The table of n-gram logits as a module, and the last tokens of each stream, for what looks back on them.

Hash, rows and state are those of ``network.mixers.ngrams``. The hash works modulo 2^64. PyTorch's 64-bit
integers are signed, and their sums and products wrap around to the same bits; only the shift to the right
must be told to bring in zeros.

Shapes: T time steps, B rows (streams), N = T*B, O orders, K tokens kept, S = K + T, V symbols.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from pantoum.network.mixers.ngrams import MULTIPLIER
from pantoum.torch.chunk_rows import ChunkRows

__all__ = ["NgramModule", "history", "kept"]


class NgramModule(nn.Module):
    """The table of all orders [O * rows, V]."""

    def __init__(self, vocab_size: int, orders: tuple[int, ...], rows: int) -> None:
        super().__init__()
        self.orders, self.rows, self.base, self.kept = orders, rows, vocab_size + 1, max(orders) - 1
        self.weight = nn.Parameter(torch.empty(len(orders) * rows, vocab_size))
        self.sparse = False
        """Whether the gradient is a sparse tensor of the rows in use."""

    def find(self, tokens_TB: Tensor, recent_BK: Tensor, rows: ChunkRows) -> tuple[Tensor, Tensor]:
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


def history(tokens_TB: Tensor, recent_BK: Tensor, rows: ChunkRows, most: int) -> tuple[Tensor, Tensor]:
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


def kept(history_SB: Tensor, begun_TB: Tensor, rows: ChunkRows, recent_BK: Tensor) -> Tensor:
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
