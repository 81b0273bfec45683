"""The cells' scans over time and their ways back: the twins of ``reference.rnn`` to ``reference.mingru``.

One function of the core for each, all with the same arguments. The drive is taken over as in the reference:
it comes back as the tape's gates.

Shapes: T steps, B rows, H units, G gate rows, S = T+1 states from the initial one on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.errors import CoreError
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, bytes_of, floats, given, result
from pantoum.kernels.native.product import PRECISIONS
from pantoum.kernels.workspace import Workspace

__all__ = [
    "Tape",
    "gru_before_scan",
    "gru_before_scan_vjp",
    "gru_scan",
    "gru_scan_vjp",
    "lstm_scan",
    "lstm_scan_vjp",
    "mingru_scan",
    "mingru_scan_vjp",
    "rnn_scan",
    "rnn_scan_vjp",
]

Array = npt.NDArray[Any]
BOOL, INT64 = np.dtype(np.bool_), np.dtype(np.int64)
GATES = {"rnn": 1, "gru": 3, "gru_before": 3, "lstm": 4, "mingru": 2}


@dataclass(frozen=True)
class Tape:
    """What the way back needs. The operands (states, and r * h, in the product's precision) are the core's
    affair: addresses in the workspace, which holds them."""

    gates_TBG: Array
    hidden_SBH: Array
    cell_SBH: Array | None
    candidate_TBH: Array | None
    operands: int
    more_operands: int
    reset_TB: Array | None
    lengths: Array | None
    precision: int
    workspace: Workspace


def _scan(
    kind: str,
    drive_TBG: Array,
    state: Any,
    weight_hh: Any,
    bias_hh: Array | None = None,
    reset_TB: Array | None = None,
    lengths: Array | None = None,
    tape: bool = True,
    workspace: Workspace | None = None,
) -> tuple[Array, Any, Tape | None]:
    """Outputs [T,B,H], the last state and, if asked for, the tape."""
    workspace = Workspace() if workspace is None else workspace
    T, B, G = drive_TBG.shape
    H = G // GATES[kind]
    weight, number, panels = _weights(kind, weight_hh, H, False)
    if tape and number == PRECISIONS["int8"]:
        raise CoreError("int8 has no gradients: scan without a tape, or train in float32 or bf16")
    hidden_SBH = workspace.array("hidden", (T + 1, B, H), np.float32)
    cell_SBH = workspace.array("cell", (T + 1, B, H), np.float32) if kind == "lstm" else None
    hidden_SBH[0] = _of_state(state if cell_SBH is None else state[0], "state", B, H)
    if cell_SBH is not None:
        cell_SBH[0] = _of_state(state[1], "state", B, H)
    candidate_TBH = workspace.array("candidate", (T, B, H), np.float32) if kind == "gru" and tape else None
    outputs_TBH = hidden_SBH[1:] if lengths is None else workspace.array("outputs", (T, B, H), np.float32)
    kept = T if tape else 2
    operands, more_operands = (
        bytes_of(workspace, name, core().operand_bytes(kept * B, H, number)) if needed else 0
        for name, needed in (("operands", weight), ("more_operands", kind == "gru_before"))
    )
    core().call(
        f"{kind}_scan",
        drive=floats(drive_TBG, "drive_TBG", (T, B, G)),
        hidden=address(hidden_SBH),
        cell=_where(cell_SBH),
        candidate=_where(candidate_TBH),
        outputs=None if lengths is None else address(outputs_TBH),
        operands=operands,
        more_operands=more_operands,
        bias=_bias(kind, bias_hh, H),
        reset=_mask(reset_TB, T, B),
        lengths=_lengths(lengths, B),
        steps=T,
        batch=B,
        units=H,
        operands_kept=kept,
        precision=number,
        tape=tape,
        **panels,
    )
    last: Any = hidden_SBH[T].copy() if cell_SBH is None else (hidden_SBH[T].copy(), cell_SBH[T].copy())
    if not tape:
        return outputs_TBH, last, None
    return (
        outputs_TBH,
        last,
        Tape(
            drive_TBG,
            hidden_SBH,
            cell_SBH,
            candidate_TBH,
            operands,
            more_operands,
            reset_TB,
            lengths,
            number,
            workspace,
        ),
    )


def _scan_vjp(
    kind: str,
    tape: Tape,
    weight_hh: Any,
    d_outputs_TBH: Array,
    d_state: Any = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, Any, Array | None, Array | None]:
    """Gradients of the drive, the initial state, W_hh and, of a GRU, b_n."""
    workspace = Workspace() if workspace is None else workspace
    T, B, G = tape.gates_TBG.shape
    H, lstm = G // GATES[kind], kind == "lstm"
    weight, number, panels = _weights(kind, weight_hh, H, True)
    if number != tape.precision:
        raise CoreError(
            "weight_hh has another precision than the scan's: go back with the matrix that went there"
        )
    d_drive_TBG, d_drive = result(out, "out", (T, B, G))
    d_hidden_BH = _gradient(d_state[0] if lstm and d_state is not None else d_state, B, H)
    d_cell_BH = _gradient(None if d_state is None else d_state[1], B, H) if lstm else None
    d_weight_hh = workspace.array("d_weight_hh", (G, H), np.float32) if weight else None
    size = core().operand_bytes(T * B, G, number) if weight else 0
    d_operands = bytes_of(workspace.passing, "d_operands", size) if weight else 0
    bias_rows_BH = workspace.array("bias_rows", (B, H), np.float32) if kind == "gru" else None
    d_bias_hh = np.empty(H, np.float32) if kind == "gru" else None
    core().call(
        f"{kind}_scan_vjp",
        gates=address(tape.gates_TBG),
        hidden=address(tape.hidden_SBH),
        cell=_where(tape.cell_SBH),
        candidate=_where(tape.candidate_TBH),
        operands=tape.operands,
        more_operands=tape.more_operands,
        d_outputs=given(d_outputs_TBH, "d_outputs_TBH", (T, B, H)),
        d_state=address(d_hidden_BH),
        d_cell=_where(d_cell_BH),
        d_drive=d_drive,
        d_operands=d_operands,
        d_weight=_where(d_weight_hh),
        d_bias=_where(d_bias_hh),
        d_bias_rows=_where(bias_rows_BH),
        reset=_mask(tape.reset_TB, T, B),
        lengths=_lengths(tape.lengths, B),
        steps=T,
        batch=B,
        units=H,
        precision=number,
        **panels,
    )
    d_state0: Any = d_hidden_BH if d_cell_BH is None else (d_hidden_BH, d_cell_BH)
    return d_drive_TBG, d_state0, d_weight_hh, d_bias_hh


def _weights(kind: str, weight_hh: Any, units: int, transposed: bool) -> tuple[bool, int, dict[str, int]]:
    """(whether there is a product a step, the number of its precision, the addresses of the panels)."""
    if kind == "mingru":
        return False, 0, {}
    matrices = dict(
        zip(("panels", "more_panels"), weight_hh if kind == "gru_before" else (weight_hh,), strict=False)
    )
    rows = {"panels": 2 * units if kind == "gru_before" else GATES[kind] * units, "more_panels": units}
    for name, weight in matrices.items():
        if weight.shape != (rows[name], units) or weight.block != units:
            raise CoreError(
                f"weight_hh is {weight.shape} in blocks of {weight.block}: the scan takes "
                f"{(rows[name], units)} in blocks of {units}; pack it with "
                f"gates={rows[name] // units}"
            )
    if len({weight.precision for weight in matrices.values()}) > 1:
        raise CoreError("weight_hh is packed in two precisions: pack both matrices in the same one")
    return (
        True,
        PRECISIONS[matrices["panels"].precision],
        {name: weight.panels(transposed) for name, weight in matrices.items()},
    )


def _bias(kind: str, bias_hh: Array | None, units: int) -> int | None:
    if kind != "gru":
        return None
    if bias_hh is None:
        raise CoreError("bias_hh is None: the GRU's candidate has a hidden bias; give [H] numbers")
    return given(bias_hh, "bias_hh", (units,))


def _where(array: Array | None) -> int | None:
    return None if array is None else address(array)


def _mask(reset_TB: Array | None, steps: int, batch: int) -> int | None:
    return None if reset_TB is None else given(reset_TB, "reset_TB", (steps, batch), BOOL)


def _lengths(lengths: Array | None, batch: int) -> int | None:
    return None if lengths is None else given(lengths, "lengths", (batch,), INT64)


def _gradient(d_state: Array | None, batch: int, units: int) -> Array:
    """A fresh array: the gradient of the last state goes in, that of the first comes out."""
    d_BH = np.zeros((batch, units), np.float32)
    if d_state is not None:
        d_BH[...] = _of_state(d_state, "d_state", batch, units)
    return d_BH


def _of_state(state: Any, name: str, batch: int, units: int) -> Array:
    """NumPy would stretch one row over all streams."""
    state_BH = np.asarray(state)
    if state_BH.shape != (batch, units):
        raise CoreError(
            f"{name} has shape {state_BH.shape}: {batch} streams of {units} units need "
            f"{(batch, units)}; take it from initial_state({batch})"
        )
    return state_BH


# The signatures are those of ``interface.Scan`` and ``interface.ScanVJP``.
rnn_scan, rnn_scan_vjp = partial(_scan, "rnn"), partial(_scan_vjp, "rnn")
gru_scan, gru_scan_vjp = partial(_scan, "gru"), partial(_scan_vjp, "gru")
gru_before_scan, gru_before_scan_vjp = partial(_scan, "gru_before"), partial(_scan_vjp, "gru_before")
lstm_scan, lstm_scan_vjp = partial(_scan, "lstm"), partial(_scan_vjp, "lstm")
mingru_scan, mingru_scan_vjp = partial(_scan, "mingru"), partial(_scan_vjp, "mingru")
