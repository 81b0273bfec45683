"""The minimal gated unit whose gates see only the input (Feng et al. 2024); gate order z n, no weight_hh."""

from __future__ import annotations

from pantoum.network.cell import Cell

__all__ = ["MinGRU"]


class MinGRU(Cell):
    """h' = z * h + (1 - z) * n, with z = sigma(W_z x + b_z) and n = W_n x + b_n."""

    kernel, gates, recurrent, hidden_bias = "mingru", 2, False, False
