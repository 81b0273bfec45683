"""The plain recurrent cell (Elman 1990), over a chunk of time steps, and its gradient.

    h' = tanh(drive + h W_hh^T)

``drive`` [T,B,H] holds all that is known before the loop: W_ih x + b_ih + b_hh. The scan takes it over:
it is overwritten. ``d_drive`` may be written over the drive too (``out=``), when the tape is not needed
again.

Shapes: T steps, B rows, H units, S = T+1 states from the initial one on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.kernels.interface import PackedMatrix
from pantoum.kernels.reference.product import linear_weight_gradient
from pantoum.kernels.reference.rows import Rows
from pantoum.kernels.workspace import Workspace

__all__ = ["RNNTape", "rnn_scan", "rnn_scan_vjp"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RNNTape:
    """What the way back needs."""

    hidden_SBH: Array
    gates_TBG: Array
    rows: Rows


def rnn_scan(
    drive_TBG: Array,
    state: Array,
    weight_hh: PackedMatrix,
    bias_hh: None = None,
    reset_TB: Array | None = None,
    lengths: Array | None = None,
    tape: bool = True,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, RNNTape | None]:
    """Outputs [T,B,H], the last state [B,H] and, if asked for, the tape."""
    workspace = Workspace() if workspace is None else workspace
    T, B, H = drive_TBG.shape
    rows = Rows(T, reset_TB, lengths)
    hidden_SBH = workspace.array("hidden", (T + 1, B, H), drive_TBG.dtype)
    entering_BH = workspace.array("entering", (B, H), drive_TBG.dtype)
    hidden_SBH[0] = state
    for t in range(T):
        h_BH, new_BH = rows.enter(t, hidden_SBH[t], entering_BH), hidden_SBH[t + 1]
        weight_hh.product(h_BH, out=new_BH)
        new_BH += drive_TBG[t]
        np.tanh(new_BH, out=new_BH)
        rows.hold(t, h_BH, new_BH)
    outputs_TBH = rows.outputs(hidden_SBH[1:], workspace)
    return outputs_TBH, hidden_SBH[T].copy(), RNNTape(hidden_SBH, drive_TBG, rows) if tape else None


def rnn_scan_vjp(
    tape: RNNTape,
    weight_hh: PackedMatrix,
    d_outputs_TBH: Array,
    d_state: Array | None = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, Array, None]:
    """Gradients of the drive, the initial state and W_hh."""
    workspace = Workspace() if workspace is None else workspace
    hidden_SBH, rows = tape.hidden_SBH, tape.rows
    T, B, H = d_outputs_TBH.shape
    dtype = hidden_SBH.dtype
    d_drive_TBH = np.empty((T, B, H), dtype) if out is None else out
    d_outputs_TBH = rows.outputs(d_outputs_TBH, workspace, "d_outputs")
    d_new_BH, d_old_BH = workspace.array("d_new", (B, H), dtype), workspace.array("d_old", (B, H), dtype)
    d_new_BH[...] = 0 if d_state is None else d_state
    for t in reversed(range(T)):
        d_new_BH += d_outputs_TBH[t]
        d_BH, new_BH = d_drive_TBH[t], hidden_SBH[t + 1]
        np.multiply(new_BH, new_BH, out=d_BH)
        np.subtract(1, d_BH, out=d_BH)
        d_BH *= d_new_BH
        weight_hh.product_transposed(d_BH, out=d_old_BH)
        rows.hold_vjp(t, d_new_BH, d_old_BH, d_BH)
        d_new_BH, d_old_BH = d_old_BH, d_new_BH
    entered_NH = rows.entered(hidden_SBH, workspace).reshape(T * B, H)
    d_weight_hh = workspace.array("d_weight_hh", (H, H), dtype)
    linear_weight_gradient(d_drive_TBH.reshape(T * B, H), entered_NH, out=d_weight_hh)
    return d_drive_TBH, d_new_BH.copy(), d_weight_hh, None
