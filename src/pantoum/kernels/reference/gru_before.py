"""The gated recurrent unit with the reset gate before the candidate's product (the original form).

    r = sigma(drive_r + h W_r^T)
    z = sigma(drive_z + h W_z^T)
    n = tanh(drive_n + (r * h) W_n^T)
    h' = n + z * (h - n)

This is Cho et al. (2014) and TensorFlow 1's GRUCell, whose u is z here. There is one bias, in the drive
[T,B,3H] (gates r z n: W_ih x + b_ih). W_hh comes as two packed matrices, of r z [2H,H] and of n [H,H],
because the second product waits for the first. The scan takes the drive over: it comes back as the tape's
gates.

Shapes: T steps, B rows, H units, G = 3H, S = T+1 states from the initial one on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.kernels.interface import PackedMatrix
from pantoum.kernels.reference.activation import sigmoid_in_place
from pantoum.kernels.reference.product import linear_weight_gradient
from pantoum.kernels.reference.rows import Rows
from pantoum.kernels.workspace import Workspace

__all__ = ["GRUBeforeTape", "gru_before_scan", "gru_before_scan_vjp"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class GRUBeforeTape:
    """What the way back needs: the states, r z n of every step, and r * h."""

    hidden_SBH: Array
    gates_TBG: Array
    reset_hidden_TBH: Array
    rows: Rows


def gru_before_scan(
    drive_TBG: Array,
    state: Array,
    weight_hh: tuple[PackedMatrix, PackedMatrix],
    bias_hh: None = None,
    reset_TB: Array | None = None,
    lengths: Array | None = None,
    tape: bool = True,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, GRUBeforeTape | None]:
    """Outputs [T,B,H], the last state [B,H] and, if asked for, the tape."""
    workspace = Workspace() if workspace is None else workspace
    weight_rz, weight_n = weight_hh
    T, B, G = drive_TBG.shape
    H, dtype = G // 3, drive_TBG.dtype
    rows = Rows(T, reset_TB, lengths)
    hidden_SBH = workspace.array("hidden", (T + 1, B, H), dtype)
    reset_hidden_TBH = workspace.array("reset_hidden", (T if tape else 1, B, H), dtype)
    entering_BH = workspace.array("entering", (B, H), dtype)
    rz_BG, n_BH = workspace.array("rz", (B, 2 * H), dtype), workspace.array("n", (B, H), dtype)
    hidden_SBH[0] = state
    for t in range(T):
        h_BH, new_BH = rows.enter(t, hidden_SBH[t], entering_BH), hidden_SBH[t + 1]
        gates_BG, rh_BH = drive_TBG[t], reset_hidden_TBH[t if tape else 0]
        weight_rz.product(h_BH, out=rz_BG)
        rz_BG += gates_BG[:, : 2 * H]
        sigmoid_in_place(rz_BG)
        np.multiply(rz_BG[:, :H], h_BH, out=rh_BH)
        weight_n.product(rh_BH, out=n_BH)
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
    kept = GRUBeforeTape(hidden_SBH, drive_TBG, reset_hidden_TBH, rows) if tape else None
    return outputs_TBH, hidden_SBH[T].copy(), kept


def gru_before_scan_vjp(
    tape: GRUBeforeTape,
    weight_hh: tuple[PackedMatrix, PackedMatrix],
    d_outputs_TBH: Array,
    d_state: Array | None = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, Array, None]:
    """Gradients of the drive, the initial state and W_hh (rows r z n)."""
    workspace = Workspace() if workspace is None else workspace
    weight_rz, weight_n = weight_hh
    hidden_SBH, rows = tape.hidden_SBH, tape.rows
    T, B, H = d_outputs_TBH.shape
    G, dtype = 3 * H, hidden_SBH.dtype
    d_drive_TBG = np.empty((T, B, G), dtype) if out is None else out
    d_outputs_TBH = rows.outputs(d_outputs_TBH, workspace, "d_outputs")
    d_new_BH, d_old_BH = workspace.array("d_new", (B, H), dtype), workspace.array("d_old", (B, H), dtype)
    d_rh_BH, back_BH = workspace.array("d_rh", (B, H), dtype), workspace.array("back", (B, H), dtype)
    d_n_BH, slope_BH = workspace.array("d_n", (B, H), dtype), workspace.array("n", (B, H), dtype)
    d_rz_BG, rzn_BG = workspace.array("rz", (B, 2 * H), dtype), workspace.array("rzn", (B, G), dtype)
    entering_BH = workspace.array("entering", (B, H), dtype)
    r_BH, z_BH, n_BH = rzn_BG[:, :H], rzn_BG[:, H : 2 * H], rzn_BG[:, 2 * H :]
    d_r_BH, d_z_BH = d_rz_BG[:, :H], d_rz_BG[:, H:]
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
        weight_n.product_transposed(d_n_BH, out=d_rh_BH)
        np.multiply(d_rh_BH, h_BH, out=d_r_BH)
        d_rh_BH *= r_BH
        d_old_BH += d_rh_BH
        # Both logistic slopes at once: s - s^2.
        slope_BG = d_drive_TBG[t, :, : 2 * H]
        np.multiply(rzn_BG[:, : 2 * H], rzn_BG[:, : 2 * H], out=slope_BG)
        np.subtract(rzn_BG[:, : 2 * H], slope_BG, out=slope_BG)
        d_rz_BG *= slope_BG
        d_old_BH += weight_rz.product_transposed(d_rz_BG, out=back_BH)
        d_drive_TBG[t, :, : 2 * H] = d_rz_BG
        d_drive_TBG[t, :, 2 * H :] = d_n_BH
        rows.hold_vjp(t, d_new_BH, d_old_BH, d_drive_TBG[t])
        d_new_BH, d_old_BH = d_old_BH, d_new_BH
    entered_NH = rows.entered(hidden_SBH, workspace).reshape(T * B, H)
    d_drive_NG = d_drive_TBG.reshape(T * B, G)
    d_weight_hh = workspace.array("d_weight_hh", (G, H), dtype)
    linear_weight_gradient(d_drive_NG[:, : 2 * H], entered_NH, out=d_weight_hh[: 2 * H])
    linear_weight_gradient(
        d_drive_NG[:, 2 * H :], tape.reset_hidden_TBH.reshape(T * B, H), out=d_weight_hh[2 * H :]
    )
    return d_drive_TBG, d_new_BH.copy(), d_weight_hh, None
