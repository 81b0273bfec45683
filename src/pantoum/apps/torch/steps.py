"""Each cell in PyTorch's operations: one time step, and chunks of them.

The equations are those of ``kernels/reference/<cell>.py``, computed with tensors. A step takes the input
projection, which contains every bias that merely adds, the state before the step, the weights of the state,
and the bias of the last gate's product (GRU). It returns the state after the step.

Shapes: T time steps, B rows (streams), H units, G gate rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import linear

from pantoum.apps.torch.chunk_rows import ChunkRows
from pantoum.seams import CELLS, CellSpec, equations
from pantoum.seams import CellInputs as Given

__all__ = ["State", "Step", "doubling", "loop", "scan_operator", "step_of"]

State = tuple[Tensor, ...]
"""The parts of the state [B,H]: (h,) or (h, c)."""
Step = Callable[[Tensor, State, "Tensor | None", "Tensor | None"], State]


def step_of(cell: CellSpec) -> Step:
    """The time step of a cell, from its equations."""
    of_cell = equations(cell)

    def step(x_BG: Tensor, state: State, weight_hh: Tensor | None, bias_H: Tensor | None) -> State:
        h, inputs = state[0], x_BG.chunk(len(cell.gates), dim=1)
        sums: tuple[Tensor, ...] = ()
        early: Sequence[Tensor] = ()
        if weight_hh is not None:
            first, *second = weight_hh.split([gates * h.shape[1] for gates in cell.products])
            sums = linear(h, first).chunk(cell.products[0], dim=1)
            if second:
                early, operand = of_cell.early(_given(sums, inputs, h))
                sums += linear(operand, second[0]).chunk(cell.products[1], dim=1)
        found = of_cell.forward(_given(sums, inputs, h, state[-1], bias_H, early))
        return (found.h,) if found.c is None else (found.h, found.c)

    return step


def _given(
    sums: Sequence[Tensor],
    inputs: Sequence[Tensor],
    h: Tensor,
    c: Any = None,
    bias: Any = None,
    early: Any = (),
) -> Given:
    """What the equations of a step begin with."""
    return Given(sums, inputs, h, c, bias, early, torch.sigmoid, torch.tanh)


def loop(
    step: Step,
    projection_TBG: Tensor,
    state: State,
    weight_hh: Tensor | None,
    bias_H: Tensor | None,
    rows: ChunkRows,
) -> tuple[Tensor, State]:
    """(outputs [T,B,H], state), one time step after the other."""
    outputs: list[Tensor] = []
    going_TB = rows.going_TB
    resets = [None] * rows.steps if rows.reset_TB is None else rows.reset_TB.unbind()
    goings = [None] * rows.steps if going_TB is None else going_TB.unbind()
    for x_BG, reset_B, going_B in zip(projection_TBG.unbind(), resets, goings, strict=True):
        output_BH, state = _row_step(step, x_BG, state, (weight_hh, bias_H), reset_B, going_B)
        outputs.append(output_BH)
    return torch.stack(outputs), state


def scan_operator(
    step: Step,
    projection_TBG: Tensor,
    state: State,
    weight_hh: Tensor | None,
    bias_H: Tensor | None,
    rows: ChunkRows,
) -> tuple[Tensor, State]:
    """What ``loop`` gives, as one node of a graph, whose number of time steps stays open."""
    from torch._higher_order_ops.scan import scan

    going_TB = rows.going_TB
    over = [each for each in (projection_TBG, rows.reset_TB, going_TB) if each is not None]
    has_reset = rows.reset_TB is not None

    def combine(carried: State, now: list[Tensor]) -> tuple[State, Tensor]:
        reset_B = now[1] if has_reset else None
        going_B = now[-1] if going_TB is not None else None
        output_BH, after = _row_step(step, now[0], carried, (weight_hh, bias_H), reset_B, going_B)
        return tuple([part.clone() for part in after]), output_BH.clone()  # nothing may share memory

    after, outputs_TBH = scan(combine, tuple(state), over)
    return outputs_TBH, tuple(after)


def doubling(projection_TBG: Tensor, state: State, rows: ChunkRows) -> tuple[Tensor, State]:
    """minGRU over all time steps at once: h' = z h + b is linear in h."""
    at_zero = equations(CELLS["mingru"]).forward(
        _given((), projection_TBG.chunk(2, dim=2), torch.zeros_like(state[0]))
    )
    z_TBH, b_TBH = cast(Tensor, at_zero.gates[0]), cast(Tensor, at_zero.h)
    if z_TBH.dtype != torch.float64:
        z_TBH, b_TBH = z_TBH.float(), b_TBH.float()
    if rows.reset_TB is not None:
        z_TBH = z_TBH.masked_fill(rows.reset_TB[:, :, None], 0.0)
    going_TB = rows.going_TB
    if going_TB is not None:
        z_TBH = torch.where(going_TB[:, :, None], z_TBH, 1.0)
        b_TBH = b_TBH * going_TB[:, :, None]
    b_TBH = torch.cat([torch.addcmul(b_TBH[:1], z_TBH[:1], state[0]), b_TBH[1:]])
    hidden_TBH = _Linear.apply(z_TBH, b_TBH)
    outputs_TBH = hidden_TBH if going_TB is None else hidden_TBH * going_TB[:, :, None]
    return outputs_TBH, (hidden_TBH[-1],)


def _row_step(
    step: Step, x_BG: Tensor, state: State, weights: tuple[Tensor | None, Tensor | None],
    reset_B: Tensor | None, going_B: Tensor | None,
) -> tuple[Tensor, State]:  # fmt: skip
    """(output, state). A reset zeroes the state of a row before the step; past the length of a row its output
    is zero and its state is copied through."""
    before = state
    if reset_B is not None:
        state = tuple([part.masked_fill(reset_B[:, None], 0.0) for part in state])
    state = step(x_BG, state, *weights)
    if going_B is None:
        return state[0], state
    after = tuple([torch.where(going_B[:, None], new, old) for new, old in zip(state, before, strict=True)])
    return state[0] * going_B[:, None], after


class _Linear(torch.autograd.Function):
    """h_t = z_t h_(t-1) + b_t with h_(-1) = 0, in log2(T) sums of pairs (Hillis and Steele 1986). All factors
    are at most 1, so nothing overflows and no logarithm is needed. The gradient of b is the same recurrence
    from the end."""

    @staticmethod
    def forward(ctx: Any, z_TBH: Tensor, b_TBH: Tensor) -> Tensor:
        h, kept, back = b_TBH, z_TBH, 1
        while back < h.shape[0]:
            h = torch.cat([h[:back], torch.addcmul(h[back:], kept[back:], h[:-back])])
            if 2 * back < h.shape[0]:
                kept = torch.cat([kept[:back], kept[back:] * kept[:-back]])
            back *= 2
        ctx.save_for_backward(z_TBH, h)
        return h

    @staticmethod
    def backward(ctx: Any, d_h_TBH: Tensor) -> tuple[Tensor, Tensor]:
        z_TBH, h_TBH = ctx.saved_tensors
        after_TBH = torch.cat([z_TBH[:1], z_TBH[1:].flip(0)])  # the first has no step after it
        d_b_TBH = _Linear.apply(after_TBH, d_h_TBH.flip(0)).flip(0)
        return torch.cat([torch.zeros_like(h_TBH[:1]), d_b_TBH[1:] * h_TBH[:-1]]), d_b_TBH
