"""One time step of each cell, in PyTorch. ``kernels/reference/<cell>.py`` has the same equations and their
sources.

A step takes the input projection, which contains every bias that merely adds, the state before the step, the
weights of the state, and the bias of the last gate's product (GRU). It returns the state after the step.

Shapes: B rows, H units, G gate rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear

from pantoum.config import CellSpec
from pantoum.errors import SettingError

__all__ = ["State", "Step", "step_of"]

State = tuple[Tensor, ...]
"""The parts of the state [B,H]: (h,) or (h, c)."""
Step = Callable[[Tensor, State, Tensor | None, Tensor | None], State]


def step_of(cell: CellSpec) -> Step:
    """The time step of a cell."""
    step = STEPS.get(cell.name)
    if step is None:
        raise SettingError(
            "cell", cell.name, f"must be one of {', '.join(STEPS)} here", "add its step to torch/equations.py"
        )
    return step


def _rnn(x_BG: Tensor, state: State, weight_hh: Tensor | None, bias_H: Tensor | None) -> State:
    return (torch.tanh(x_BG + linear(state[0], weight_hh)),)


def _gru(x_BG: Tensor, state: State, weight_hh: Tensor | None, bias_H: Tensor | None) -> State:
    (h,) = state
    x_r, x_z, x_n = x_BG.chunk(3, dim=1)
    sum_r, sum_z, sum_n = linear(h, weight_hh).chunk(3, dim=1)
    r, z = torch.sigmoid(x_r + sum_r), torch.sigmoid(x_z + sum_z)
    n = torch.tanh(x_n + r * (sum_n + bias_H))
    return (n + z * (h - n),)


def _gru_before(x_BG: Tensor, state: State, weight_hh: Tensor | None, bias_H: Tensor | None) -> State:
    assert weight_hh is not None
    (h,) = state
    H = h.shape[1]
    x_r, x_z, x_n = x_BG.chunk(3, dim=1)
    sum_r, sum_z = linear(h, weight_hh[: 2 * H]).chunk(2, dim=1)
    r, z = torch.sigmoid(x_r + sum_r), torch.sigmoid(x_z + sum_z)
    n = torch.tanh(x_n + linear(r * h, weight_hh[2 * H :]))
    return (n + z * (h - n),)


def _lstm(x_BG: Tensor, state: State, weight_hh: Tensor | None, bias_H: Tensor | None) -> State:
    h, c = state
    i, f, g, o = (x_BG + linear(h, weight_hh)).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _mingru(x_BG: Tensor, state: State, weight_hh: Tensor | None, bias_H: Tensor | None) -> State:
    (h,) = state
    z, n = x_BG.chunk(2, dim=1)
    return (n + torch.sigmoid(z) * (h - n),)


STEPS: Mapping[str, Step] = {
    "rnn": _rnn,
    "gru": _gru,
    "gru-before": _gru_before,
    "lstm": _lstm,
    "mingru": _mingru,
}
