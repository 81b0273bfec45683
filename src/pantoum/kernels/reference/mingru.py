"""The minimal gated unit whose gates do not see the state (Feng et al. 2024, "Were RNNs all we needed?").

    z = sigma(drive_z)      n = drive_n
    h' = n + z * (h - n)

``drive`` [T,B,2H], gates in the order z n: W_ih x + b_ih. There is no W_hh, so all that is costly is done for
the whole chunk at once and only the last line loops over time. The scan takes the drive over: it comes back
as the tape's gates.

Shapes: T steps, B rows, H units, G = 2H, S = T+1 states from the initial one on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.kernels.reference.activation import sigmoid_in_place
from pantoum.kernels.reference.rows import Rows
from pantoum.kernels.workspace import Workspace

__all__ = ["MinGRUTape", "mingru_scan", "mingru_scan_vjp"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class MinGRUTape:
    """What the way back needs: the states and z n of every step."""

    hidden_SBH: Array
    gates_TBG: Array
    rows: Rows


def mingru_scan(
    drive_TBG: Array,
    state: Array,
    weight_hh: None = None,
    bias_hh: None = None,
    reset_TB: Array | None = None,
    lengths: Array | None = None,
    tape: bool = True,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, MinGRUTape | None]:
    """Outputs [T,B,H], the last state [B,H] and, if asked for, the tape."""
    workspace = Workspace() if workspace is None else workspace
    T, B, G = drive_TBG.shape
    H, dtype = G // 2, drive_TBG.dtype
    rows = Rows(T, reset_TB, lengths)
    hidden_SBH = workspace.array("hidden", (T + 1, B, H), dtype)
    entering_BH = workspace.array("entering", (B, H), dtype)
    hidden_SBH[0] = state
    sigmoid_in_place(drive_TBG[:, :, :H])
    for t in range(T):
        h_BH, new_BH = rows.enter(t, hidden_SBH[t], entering_BH), hidden_SBH[t + 1]
        z_BH, n_BH = drive_TBG[t, :, :H], drive_TBG[t, :, H:]
        np.subtract(h_BH, n_BH, out=new_BH)
        new_BH *= z_BH
        new_BH += n_BH
        rows.hold(t, h_BH, new_BH)
    outputs_TBH = rows.outputs(hidden_SBH[1:], workspace)
    return outputs_TBH, hidden_SBH[T].copy(), MinGRUTape(hidden_SBH, drive_TBG, rows) if tape else None


def mingru_scan_vjp(
    tape: MinGRUTape,
    weight_hh: None,
    d_outputs_TBH: Array,
    d_state: Array | None = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, None, None]:
    """Gradients of the drive and the initial state."""
    workspace = Workspace() if workspace is None else workspace
    hidden_SBH, rows = tape.hidden_SBH, tape.rows
    T, B, H = d_outputs_TBH.shape
    dtype = hidden_SBH.dtype
    d_drive_TBG = np.empty((T, B, 2 * H), dtype) if out is None else out
    d_outputs_TBH = rows.outputs(d_outputs_TBH, workspace, "d_outputs")
    d_new_BH, d_old_BH, z_BH, n_BH, slope_BH, entering_BH = (
        workspace.array(name, (B, H), dtype) for name in ("d_new", "d_old", "z", "n", "slope", "entering")
    )
    d_new_BH[...] = 0 if d_state is None else d_state
    for t in reversed(range(T)):
        d_new_BH += d_outputs_TBH[t]
        np.copyto(z_BH, tape.gates_TBG[t, :, :H])
        np.copyto(n_BH, tape.gates_TBG[t, :, H:])
        h_BH = rows.enter(t, hidden_SBH[t], entering_BH)
        d_z_BH, d_n_BH = d_drive_TBG[t, :, :H], d_drive_TBG[t, :, H:]
        np.multiply(d_new_BH, z_BH, out=d_old_BH)
        np.subtract(d_new_BH, d_old_BH, out=d_n_BH)
        np.subtract(h_BH, n_BH, out=n_BH)
        n_BH *= d_new_BH
        np.multiply(z_BH, z_BH, out=slope_BH)
        np.subtract(z_BH, slope_BH, out=slope_BH)
        np.multiply(n_BH, slope_BH, out=d_z_BH)
        rows.hold_vjp(t, d_new_BH, d_old_BH, d_drive_TBG[t])
        d_new_BH, d_old_BH = d_old_BH, d_new_BH
    return d_drive_TBG, d_new_BH.copy(), None, None
