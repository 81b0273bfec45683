"""The table of n-gram logits as a module: the same hash, the same rows, the same state as
``network.mixers.ngrams``.

The hash works modulo 2^64. PyTorch's 64-bit integers are signed, and their sums and products wrap around to
the same bits; only the shift to the right must be told to bring in zeros.

Shapes: T time steps, B rows (streams), N = T*B, O orders, K tokens kept, V symbols.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from pantoum.network.mixers.ngrams import MULTIPLIER
from pantoum.torch.history import history, kept

__all__ = ["Ngrams"]


class Ngrams(nn.Module):
    """The table of all orders [O * rows, V]."""

    def __init__(self, vocab_size: int, orders: tuple[int, ...], rows: int) -> None:
        super().__init__()
        self.orders, self.rows, self.base, self.kept = orders, rows, vocab_size + 1, max(orders) - 1
        self.weight = nn.Parameter(torch.empty(len(orders) * rows, vocab_size))
        self.sparse = False
        """Whether the gradient is a sparse tensor of the rows in use."""

    def forward(
        self, tokens_TB: Tensor, recent_BK: Tensor, reset_TB: Tensor | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(the sum of the rows of each token's n-grams [T,B,V], the state after the tokens [B,K])."""
        T, B = tokens_TB.shape
        history_SB, begun_TB = history(tokens_TB, recent_BK, reset_TB, 2**31 - 1)
        steps_T1 = torch.arange(T, device=tokens_TB.device)[:, None]
        key_TB, power, found = torch.zeros_like(tokens_TB), 1, list[Tensor]()
        for back in range(self.kept + 1):
            token_TB = history_SB[self.kept - back : self.kept - back + T]
            token_TB = torch.where(steps_T1 - back >= begun_TB, token_TB, 0)
            key_TB = key_TB + token_TB * _signed(power)
            power = power * self.base % 2**64
            if back + 1 in self.orders:
                found.append(self._hashed(key_TB) + len(found) * self.rows)
        rows_NO = torch.stack(found, dim=-1).reshape(T * B, -1)
        logits_NV = embedding_bag(rows_NO, self.weight, mode="sum", sparse=self.sparse)
        return logits_NV.reshape(T, B, -1), kept(history_SB, begun_TB, lengths_B, recent_BK)

    def _hashed(self, key_TB: Tensor) -> Tensor:
        shift = 64 - (self.rows.bit_length() - 1)
        return ((key_TB * _signed(MULTIPLIER)) >> shift) & (self.rows - 1)


def _signed(number: int) -> int:
    """The signed 64-bit integer with the same bits."""
    return number - 2**64 if number >= 2**63 else number
