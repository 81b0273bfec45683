"""The last tokens of each stream, for what looks back on them: up to a reset, and across chunks.

Shapes: T time steps, B rows (streams), K tokens kept, S = K + T.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["history", "kept"]


def history(
    tokens_TB: Tensor, recent_BK: Tensor, reset_TB: Tensor | None, most: int
) -> tuple[Tensor, Tensor]:
    """(the tokens with the kept ones before them [K+T,B], each as its number + 1, 0: none; for each token the
    step at which what may be seen begins [T,B]). A kept number outside 1 to ``most`` is none."""
    T, B = tokens_TB.shape
    K, device = recent_BK.shape[1], tokens_TB.device
    known_BK = torch.where((recent_BK >= 1) & (recent_BK <= most), recent_BK, 0)
    history_SB = torch.cat([known_BK.T.to(torch.int64), tokens_TB + 1])
    begun_TB = torch.full((T, B), -K, dtype=torch.int64, device=device)
    if reset_TB is not None:
        steps_T1 = torch.arange(T, device=device)[:, None]
        begun_TB = torch.where(reset_TB, steps_T1, begun_TB).cummax(dim=0).values
    return history_SB, begun_TB


def kept(history_SB: Tensor, begun_TB: Tensor, lengths_B: Tensor | None, recent_BK: Tensor) -> Tensor:
    """The state after the tokens [B,K]; past the length of a row it stays."""
    (T, B), K, device = begun_TB.shape, recent_BK.shape[1], begun_TB.device
    ends_B = torch.full((B,), T, device=device) if lengths_B is None else lengths_B
    streams_B = torch.arange(B, device=device)
    places_BK = ends_B[:, None] + torch.arange(K, device=device)
    after_BK = history_SB[places_BK, streams_B[:, None]]
    begun_B = torch.where(ends_B > 0, begun_TB[(ends_B - 1).clamp(min=0), streams_B], -K)
    return torch.where(places_BK - K >= begun_B[:, None], after_BK, 0).to(recent_BK.dtype)
