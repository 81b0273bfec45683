"""What differs between the rows of a chunk: where documents begin in them, and how long they are.

PyTorch's recurrent modules cannot zero the state of a row within a call. So the rows are divided where
documents begin. What follows a reset does not depend on what is before it, so the pieces are sequences of
their own, and one call computes them all: longest first, time step by time step, as ``PackedSequence`` has
them. A row that ends early is a shorter piece.

Shapes: T time steps, B rows (streams), S sequences, P places of a chunk that are within their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pantoum.seams import Array

__all__ = ["ChunkRows", "Packing"]


@dataclass(frozen=True)
class Packing:
    """The pieces of a chunk as packed sequences."""

    places_P: Tensor
    """The places of the chunk [T*B] in packed order."""
    batch_sizes: Tensor
    """How many sequences have a first step, a second step, and so on; on the CPU."""
    rows_S: Tensor
    """The row whose state a sequence begins with; B: zeros."""
    back_TB: Tensor
    """For each place of the chunk where it is in packed order; P: past its row's length."""
    last_B: Tensor
    """The sequence that ends a row; S + row: the row is empty and keeps its state."""


class ChunkRows:
    """Where rows are reset (``reset_TB``), and their lengths; ``None``: nowhere, and all are T."""

    def __init__(
        self, tokens_TB: Tensor, reset_TB: Tensor | None = None, lengths_B: Tensor | None = None
    ) -> None:
        """They live where the tokens are; resets may be given in the memory of the host."""
        (self.steps, self.batch_size), device = tokens_TB.shape, tokens_TB.device
        self._given_TB = reset_TB
        self.reset_TB = None if reset_TB is None else reset_TB.to(device)
        self.lengths_B = None if lengths_B is None else lengths_B.to(device)

    @property
    def whole(self) -> bool:
        """Whether all rows are one piece of all time steps."""
        return self.reset_TB is None and self.lengths_B is None

    @property
    def going_TB(self) -> Tensor | None:
        """Whether a place is within its row; ``None``: all are."""
        if self.lengths_B is None:
            return None
        return torch.arange(self.steps, device=self.lengths_B.device)[:, None] < self.lengths_B

    @cached_property
    def packing(self) -> Packing:
        """The pieces, which all layers share. A GPU is waited for if the resets were given there."""
        T, B = self.steps, self.batch_size
        reset_TB = np.zeros((T, B), bool) if self._given_TB is None else self._given_TB.cpu().numpy()
        lengths_B = np.full(B, T) if self.lengths_B is None else self.lengths_B.cpu().numpy()
        begins_BT = reset_TB.T.copy()
        begins_BT[:, 0] = True
        rows_S, starts_S = np.nonzero(begins_BT & (np.arange(T) < lengths_B[:, None]))
        ends_S = np.where(
            np.append(rows_S[1:] == rows_S[:-1], False), np.roll(starts_S, -1), lengths_B[rows_S]
        )
        order_S = np.argsort(starts_S - ends_S, kind="stable")
        rows_S, starts_S, sizes_S = rows_S[order_S], starts_S[order_S], (ends_S - starts_S)[order_S]
        sequences_P = np.repeat(np.arange(len(sizes_S)), sizes_S)
        steps_P = np.arange(len(sequences_P)) - np.repeat(np.cumsum(sizes_S) - sizes_S, sizes_S)
        order_P = np.lexsort((sequences_P, steps_P))
        sequences_P, steps_P = sequences_P[order_P], steps_P[order_P]
        places_P = (starts_S[sequences_P] + steps_P) * B + rows_S[sequences_P]
        back_TB = np.full(T * B, len(places_P))
        back_TB[places_P] = np.arange(len(places_P))
        last_B = len(rows_S) + np.arange(B)
        ending_S = starts_S + sizes_S == lengths_B[rows_S]
        last_B[rows_S[ending_S]] = np.flatnonzero(ending_S)
        device = next(each.device for each in (self.reset_TB, self.lengths_B) if each is not None)
        first_S = np.where((starts_S == 0) & ~reset_TB[0, rows_S], rows_S, B)

        def there(array: Array) -> Tensor:
            return torch.from_numpy(array).to(device)

        return Packing(
            there(places_P),
            torch.from_numpy(np.bincount(steps_P)),
            there(first_S),
            there(back_TB),
            there(last_B),
        )
