"""The long short-term memory cell (Hochreiter and Schmidhuber 1997, with Gers's forget gate).

    i, f, o = sigma(drive + h W^T)      g = tanh(drive_g + h W_g^T)
    c' = f * c + i * g
    h' = o * tanh(c')

``drive`` [T,B,4H], gates in PyTorch's order i f g o, holds all that is known before the loop: W_ih x + b_ih +
b_hh. The state is the pair (h, c). The scan takes the drive over: it comes back as the tape's gates.

Shapes: T steps, B rows, H units, G = 4H, S = T+1 states from the initial one on.
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

__all__ = ["LSTMTape", "lstm_scan", "lstm_scan_vjp"]

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]


@dataclass(frozen=True)
class LSTMTape:
    """What the way back needs: h and c of every step, the gates i f g o, and tanh(c')."""

    hidden_SBH: Array
    cell_SBH: Array
    gates_TBG: Array
    squashed_TBH: Array
    rows: Rows


def lstm_scan(
    drive_TBG: Array,
    state: Pair,
    weight_hh: PackedMatrix,
    bias_hh: None = None,
    reset_TB: Array | None = None,
    lengths: Array | None = None,
    tape: bool = True,
    workspace: Workspace | None = None,
) -> tuple[Array, Pair, LSTMTape | None]:
    """Outputs [T,B,H], the last state (h, c) and, if asked for, the tape."""
    workspace = Workspace() if workspace is None else workspace
    T, B, G = drive_TBG.shape
    H, dtype = G // 4, drive_TBG.dtype
    rows = Rows(T, reset_TB, lengths)
    hidden_SBH = workspace.array("hidden", (T + 1, B, H), dtype)
    cell_SBH = workspace.array("cell", (T + 1, B, H), dtype)
    squashed_TBH = workspace.array("squashed", (T if tape else 1, B, H), dtype)
    entering_BH, entering_c_BH = (workspace.array(name, (B, H), dtype) for name in ("entering", "entering_c"))
    a_BG, scratch_BH = workspace.array("a", (B, G), dtype), workspace.array("scratch", (B, H), dtype)
    i_BH, f_BH, g_BH, o_BH = (a_BG[:, k * H : (k + 1) * H] for k in range(4))
    hidden_SBH[0], cell_SBH[0] = state
    for t in range(T):
        h_BH = rows.enter(t, hidden_SBH[t], entering_BH)
        c_BH = rows.enter(t, cell_SBH[t], entering_c_BH)
        new_BH, new_c_BH, tanh_c_BH = hidden_SBH[t + 1], cell_SBH[t + 1], squashed_TBH[t if tape else 0]
        weight_hh.product(h_BH, out=a_BG)
        a_BG += drive_TBG[t]
        # All four through tanh at once: sigma(x) = tanh(x/2)/2 + 1/2; g's x is not halved.
        a_BG[:, : 2 * H] *= 0.5
        o_BH *= 0.5
        np.tanh(a_BG, out=a_BG)
        for gate in (a_BG[:, : 2 * H], o_BH):
            gate *= 0.5
            gate += 0.5
        np.multiply(f_BH, c_BH, out=new_c_BH)
        np.multiply(i_BH, g_BH, out=scratch_BH)
        new_c_BH += scratch_BH
        np.tanh(new_c_BH, out=tanh_c_BH)
        np.multiply(o_BH, tanh_c_BH, out=new_BH)
        rows.hold(t, h_BH, new_BH)
        rows.hold(t, c_BH, new_c_BH)
        if tape:
            np.copyto(drive_TBG[t], a_BG)
    outputs_TBH = rows.outputs(hidden_SBH[1:], workspace)
    kept = LSTMTape(hidden_SBH, cell_SBH, drive_TBG, squashed_TBH, rows) if tape else None
    return outputs_TBH, (hidden_SBH[T].copy(), cell_SBH[T].copy()), kept


def lstm_scan_vjp(
    tape: LSTMTape,
    weight_hh: PackedMatrix,
    d_outputs_TBH: Array,
    d_state: Pair | None = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, Pair, Array, None]:
    """Gradients of the drive, the initial state (h, c) and W_hh."""
    workspace = Workspace() if workspace is None else workspace
    hidden_SBH, rows = tape.hidden_SBH, tape.rows
    T, B, H = d_outputs_TBH.shape
    G, dtype = 4 * H, hidden_SBH.dtype
    d_drive_TBG = np.empty((T, B, G), dtype) if out is None else out
    d_outputs_TBH = rows.outputs(d_outputs_TBH, workspace, "d_outputs")
    d_new_BH, d_old_BH, d_c_BH, d_old_c_BH, entering_c_BH, scratch_BH = (
        workspace.array(name, (B, H), dtype)
        for name in ("d_new", "d_old", "d_c", "d_old_c", "entering_c", "scratch")
    )
    a_BG, slope_BG = workspace.array("a", (B, G), dtype), workspace.array("slope", (B, G), dtype)
    i_BH, f_BH, g_BH, o_BH = (a_BG[:, k * H : (k + 1) * H] for k in range(4))
    d_new_BH[...], d_c_BH[...] = (0, 0) if d_state is None else d_state
    for t in reversed(range(T)):
        d_new_BH += d_outputs_TBH[t]
        np.copyto(a_BG, tape.gates_TBG[t])
        d_BG = d_drive_TBG[t]
        d_i_BH, d_f_BH, d_g_BH, d_o_BH = (d_BG[:, k * H : (k + 1) * H] for k in range(4))
        c_BH = rows.enter(t, tape.cell_SBH[t], entering_c_BH)
        tanh_c_BH = tape.squashed_TBH[t]
        # Slopes: s - s^2 for i f o, 1 - g^2 for g.
        np.multiply(a_BG, a_BG, out=slope_BG)
        np.subtract(a_BG, slope_BG, out=slope_BG)
        slope_g_BH = slope_BG[:, 2 * H : 3 * H]
        slope_g_BH += 1
        slope_g_BH -= g_BH
        # d c', in d_old_c until c's own share of it is known: d_c + d_h * o * (1 - tanh(c')^2).
        np.multiply(tanh_c_BH, tanh_c_BH, out=scratch_BH)
        np.subtract(1, scratch_BH, out=scratch_BH)
        scratch_BH *= d_new_BH
        scratch_BH *= o_BH
        scratch_BH += d_c_BH
        np.multiply(scratch_BH, g_BH, out=d_i_BH)
        np.multiply(scratch_BH, c_BH, out=d_f_BH)
        np.multiply(scratch_BH, i_BH, out=d_g_BH)
        np.multiply(d_new_BH, tanh_c_BH, out=d_o_BH)
        d_BG *= slope_BG
        np.multiply(scratch_BH, f_BH, out=d_old_c_BH)
        weight_hh.product_transposed(d_BG, out=d_old_BH)
        rows.hold_vjp(t, d_new_BH, d_old_BH, d_BG)
        rows.hold_vjp(t, d_c_BH, d_old_c_BH)
        d_new_BH, d_old_BH, d_c_BH, d_old_c_BH = d_old_BH, d_new_BH, d_old_c_BH, d_c_BH
    entered_NH = rows.entered(hidden_SBH, workspace).reshape(T * B, H)
    d_weight_hh = workspace.array("d_weight_hh", (G, H), dtype)
    linear_weight_gradient(d_drive_TBG.reshape(T * B, G), entered_NH, out=d_weight_hh)
    return d_drive_TBG, (d_new_BH.copy(), d_c_BH.copy()), d_weight_hh, None
