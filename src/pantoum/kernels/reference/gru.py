"""The gated recurrent unit with the reset gate after the product (cuDNN's and PyTorch's form).

    r = sigma(drive_r + h W_r^T)
    z = sigma(drive_z + h W_z^T)
    n = tanh(drive_n + r * (h W_n^T + b_n))
    h' = n + z * (h - n)

``drive`` [T,B,3H], gates in the order r z n, holds all that is known before the loop: W_ih x + b_ih, and
b_hh of the gates r and z, where it merely adds; ``bias_hh`` here is only b_n [H], which the reset gate
multiplies. The scan takes the drive over: it comes back as the tape's gates. ``d_drive`` may be written
over these in turn (``out=tape.gates_TBG``), when the tape is not needed again: one array a layer serves all
three.

Shapes: T steps, B rows, H units, G = 3H, S = T+1 states from the initial one on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.kernels.interface import PackedMatrix
from pantoum.kernels.reference.activation import sigmoid_in_place
from pantoum.kernels.reference.product import bias_gradient, linear_weight_gradient
from pantoum.kernels.reference.rows import Rows
from pantoum.kernels.workspace import Workspace

__all__ = ["GRUTape", "gru_scan", "gru_scan_vjp"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class GRUTape:
    """What the way back needs: the states, r z n of every step, and the candidate's h W_n^T + b_n."""

    hidden_SBH: Array
    gates_TBG: Array
    candidate_TBH: Array
    rows: Rows


def gru_scan(
    drive_TBG: Array,
    state: Array,
    weight_hh: PackedMatrix,
    bias_hh: Array,
    reset_TB: Array | None = None,
    lengths: Array | None = None,
    tape: bool = True,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, GRUTape | None]:
    """Outputs [T,B,H], the last state [B,H] and, if asked for, the tape."""
    workspace = Workspace() if workspace is None else workspace
    T, B, G = drive_TBG.shape
    H, dtype = G // 3, drive_TBG.dtype
    rows = Rows(T, reset_TB, lengths)
    hidden_SBH = workspace.array("hidden", (T + 1, B, H), dtype)
    candidate_TBH = workspace.array("candidate", (T if tape else 1, B, H), dtype)
    entering_BH = workspace.array("entering", (B, H), dtype)
    a_BG, rz_BG = workspace.array("a", (B, G), dtype), workspace.array("rz", (B, 2 * H), dtype)
    n_BH = workspace.array("n", (B, H), dtype)
    hidden_SBH[0] = state
    for t in range(T):
        h_BH, new_BH = rows.enter(t, hidden_SBH[t], entering_BH), hidden_SBH[t + 1]
        gates_BG, a_n_BH = drive_TBG[t], candidate_TBH[t if tape else 0]
        weight_hh.product(h_BH, out=a_BG)
        np.add(a_BG[:, : 2 * H], gates_BG[:, : 2 * H], out=rz_BG)
        sigmoid_in_place(rz_BG)
        np.add(a_BG[:, 2 * H :], bias_hh, out=a_n_BH)
        np.multiply(rz_BG[:, :H], a_n_BH, out=n_BH)
        n_BH += gates_BG[:, 2 * H :]
        np.tanh(n_BH, out=n_BH)
        np.subtract(h_BH, n_BH, out=new_BH)
        new_BH *= rz_BG[:, H:]
        new_BH += n_BH
        rows.hold(t, h_BH, new_BH)
        if tape:
            gates_BG[:, : 2 * H] = rz_BG
            gates_BG[:, 2 * H :] = n_BH
    outputs_TBH = rows.outputs(hidden_SBH[1:], workspace)
    kept = GRUTape(hidden_SBH, drive_TBG, candidate_TBH, rows) if tape else None
    return outputs_TBH, hidden_SBH[T].copy(), kept


def gru_scan_vjp(
    tape: GRUTape,
    weight_hh: PackedMatrix,
    d_outputs_TBH: Array,
    d_state: Array | None = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, Array, Array]:
    """Gradients of the drive, the initial state, W_hh and b_n."""
    workspace = Workspace() if workspace is None else workspace
    hidden_SBH, rows = tape.hidden_SBH, tape.rows
    T, B, H = d_outputs_TBH.shape
    G, dtype = 3 * H, hidden_SBH.dtype
    d_drive_TBG = np.empty((T, B, G), dtype) if out is None else out
    d_candidate_TBH = workspace.array("d_candidate", (T, B, H), dtype)
    d_outputs_TBH = rows.outputs(d_outputs_TBH, workspace, "d_outputs")
    d_new_BH, d_old_BH = workspace.array("d_new", (B, H), dtype), workspace.array("d_old", (B, H), dtype)
    d_a_BG, slope_BH = workspace.array("a", (B, G), dtype), workspace.array("n", (B, H), dtype)
    rzn_BG, entering_BH = workspace.array("rzn", (B, G), dtype), workspace.array("entering", (B, H), dtype)
    r_BH, z_BH, n_BH = rzn_BG[:, :H], rzn_BG[:, H : 2 * H], rzn_BG[:, 2 * H :]
    d_r_BH, d_z_BH, d_n_BH = d_a_BG[:, :H], d_a_BG[:, H : 2 * H], d_a_BG[:, 2 * H :]
    d_new_BH[...] = 0 if d_state is None else d_state
    for t in reversed(range(T)):
        d_new_BH += d_outputs_TBH[t]
        np.copyto(rzn_BG, tape.gates_TBG[t])
        h_BH = rows.enter(t, hidden_SBH[t], entering_BH)
        np.subtract(h_BH, n_BH, out=d_z_BH)
        d_z_BH *= d_new_BH
        np.multiply(d_new_BH, z_BH, out=d_old_BH)
        np.subtract(d_new_BH, d_old_BH, out=d_n_BH)
        np.multiply(n_BH, n_BH, out=slope_BH)
        np.subtract(1, slope_BH, out=slope_BH)
        d_n_BH *= slope_BH
        np.multiply(d_n_BH, tape.candidate_TBH[t], out=d_r_BH)
        # Both logistic slopes at once: s - s^2.
        slope_BG = d_drive_TBG[t, :, : 2 * H]
        np.multiply(rzn_BG[:, : 2 * H], rzn_BG[:, : 2 * H], out=slope_BG)
        np.subtract(rzn_BG[:, : 2 * H], slope_BG, out=slope_BG)
        d_a_BG[:, : 2 * H] *= slope_BG
        np.copyto(d_drive_TBG[t], d_a_BG)
        d_n_BH *= r_BH
        np.copyto(d_candidate_TBH[t], d_n_BH)
        d_old_BH += weight_hh.product_transposed(d_a_BG, out=entering_BH)
        rows.hold_vjp(t, d_new_BH, d_old_BH, d_drive_TBG[t], d_candidate_TBH[t])
        d_new_BH, d_old_BH = d_old_BH, d_new_BH
    entered_NH = rows.entered(hidden_SBH, workspace).reshape(T * B, H)
    d_drive_NG, d_candidate_NH = d_drive_TBG.reshape(T * B, G), d_candidate_TBH.reshape(T * B, H)
    d_weight_hh = workspace.array("d_weight_hh", (G, H), dtype)
    linear_weight_gradient(d_drive_NG[:, : 2 * H], entered_NH, out=d_weight_hh[: 2 * H])
    linear_weight_gradient(d_candidate_NH, entered_NH, out=d_weight_hh[2 * H :])
    return d_drive_TBG, d_new_BH.copy(), d_weight_hh, bias_gradient(d_candidate_NH)
