"""A cell over time steps and its backward pass, in the core: see ``reference.scan``.

A cell that the core lacks is left to the reference, whose products are those of the core's matrices.

Shapes: T steps, B rows, H units, G gate rows, S = T+1 states from the initial one on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pantoum.config import CellSpec
from pantoum.errors import CoreError
from pantoum.kernels import reference
from pantoum.kernels.native.library import core
from pantoum.kernels.native.product import PRECISIONS, CoreMatrix, bytes_of
from pantoum.kernels.reference.scan import ReferenceTape
from pantoum.kernels.types import Array, RecurrentWeight, State, Workspace, forward_weights

__all__ = ["CoreTape", "scan", "scan_vjp"]


@dataclass(frozen=True)
class CoreTape:
    """What the backward pass needs. The operands (states, and those of a second product, in the product's
    precision) are addresses in the workspace, which holds them. A scan of codes leaves only room for them."""

    cell: CellSpec
    weight_hh: RecurrentWeight
    gates_TBG: Array
    hidden_SBH: Array
    cell_SBH: Array | None
    candidate_TBH: Array | None
    operands: int
    more_operands: int
    reset_TB: Array | None
    lengths: Array | None
    parts: int
    workspace: Workspace


def scan(
    cell: CellSpec,
    projection_TBG: Array,
    state: State,
    weight_hh: RecurrentWeight,
    bias_hh: Array | None = None,
    reset_TB: Array | None = None,
    lengths: Array | None = None,
    tape: int = 1,
    workspace: Workspace | None = None,
) -> tuple[Array, State, CoreTape | ReferenceTape | None]:
    """Outputs [T,B,H], the last state and, if asked for, the tape of a gradient that goes back through each
    of ``tape`` equal parts of the steps by itself."""
    kind = core().cells.get(cell.kernel)
    if kind is None:
        given = cell, projection_TBG, state, weight_hh, bias_hh, reset_TB, lengths, tape, workspace
        return reference.scan(*given)
    workspace = Workspace() if workspace is None else workspace
    T, B, G = projection_TBG.shape
    H = G // len(cell.gates)
    number, panels = _weights(cell, forward_weights(weight_hh), H, False)
    back = PRECISIONS[weight_hh[0].precision] if cell.products else number
    assert bias_hh is not None or not cell.biased
    if tape and (back == PRECISIONS["int8"] or (number != back and len(cell.products) > 1)):
        raise CoreError("int8 has no gradients: scan without a tape, or train in float32 or bf16")
    states_SBH = [workspace.array(part, (T + 1, B, H), np.float32) for part in cell.state]
    parts = state if isinstance(state, tuple) else (state,)
    for states, part in zip(states_SBH, parts, strict=True):
        states[0] = _of_state(part, "state", B, H)
    candidate_TBH = workspace.array("candidate", (T, B, H), np.float32) if cell.biased and tape else None
    hidden_SBH, cell_SBH = states_SBH[0], states_SBH[1] if len(states_SBH) > 1 else None
    outputs_TBH = hidden_SBH[1:] if lengths is None else workspace.array("outputs", (T, B, H), np.float32)
    steps = T if tape else 2
    size = core().operand_bytes(steps * B, H, back if tape else number)
    operands = [bytes_of(workspace, f"operands {place}", size) for place, _ in enumerate(cell.products)]
    operands += [0, 0]
    core().call(
        "scan",
        projection=projection_TBG,
        hidden=hidden_SBH,
        cell=cell_SBH,
        candidate=candidate_TBH,
        outputs=None if lengths is None else outputs_TBH,
        operands=operands[0],
        more_operands=operands[1],
        bias=bias_hh if cell.biased else None,
        reset=reset_TB,
        lengths=lengths,
        units=H,
        operands_kept=steps,
        kind=kind,
        precision=number,
        tape=bool(tape),
        **panels,
    )
    last = _state([states[T].copy() for states in states_SBH])
    if not tape:
        return outputs_TBH, last, None
    arrays = projection_TBG, hidden_SBH, cell_SBH, candidate_TBH
    rest = reset_TB, lengths, int(tape), workspace
    return outputs_TBH, last, CoreTape(cell, weight_hh, *arrays, operands[0], operands[1], *rest)


def scan_vjp(
    tape: CoreTape | ReferenceTape,
    d_outputs_TBH: Array,
    d_state: State | None = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, State, Array | None, Array | None]:
    """Gradients of the input projection, the initial state, W_hh and the bias inside the scan."""
    if isinstance(tape, ReferenceTape):
        return reference.scan_vjp(tape, d_outputs_TBH, d_state, out, workspace)
    workspace = Workspace() if workspace is None else workspace
    cell, (T, B, G) = tape.cell, tape.gates_TBG.shape
    H = G // len(cell.gates)
    number, panels = _weights(cell, tape.weight_hh, H, True)
    d_projection_TBG: Array = np.empty((T, B, G), np.float32) if out is None else out
    rows = B * tape.parts
    d_states = d_state if isinstance(d_state, tuple) else (d_state,) * len(cell.state)
    d_parts = [_gradient(part, rows, H).reshape(tape.parts, B, H) for part in d_states]
    d_weight_hh = workspace.array("d_weight_hh", (G, H), np.float32) if cell.products else None
    size = core().operand_bytes(T * B, G, number)
    bias_rows_BH = workspace.array("bias_rows", (tape.parts, B, H), np.float32) if cell.biased else None
    d_bias_hh = np.empty(H, np.float32) if cell.biased else None
    core().call(
        "scan_vjp",
        gates=tape.gates_TBG,
        hidden=tape.hidden_SBH,
        cell=tape.cell_SBH,
        candidate=tape.candidate_TBH,
        operands=tape.operands,
        more_operands=tape.more_operands,
        d_outputs=d_outputs_TBH,
        d_state=d_parts[0],
        d_cell=d_parts[1] if len(d_parts) > 1 else None,
        d_projection=d_projection_TBG,
        d_operands=bytes_of(workspace.passing, "d_operands", size) if cell.products else None,
        d_weight=d_weight_hh,
        d_bias=d_bias_hh,
        d_bias_rows=bias_rows_BH,
        reset=tape.reset_TB,
        lengths=tape.lengths,
        parts=tape.parts,
        kind=core().cells[cell.kernel],
        precision=number,
        fresh_operands=forward_weights(tape.weight_hh) != tape.weight_hh,
        **panels,
    )
    return d_projection_TBG, _state([d_part[0] for d_part in d_parts]), d_weight_hh, d_bias_hh


def _state(parts: list[Array]) -> State:
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def _weights(
    cell: CellSpec, weight_hh: RecurrentWeight, units: int, transposed: bool
) -> tuple[int, dict[str, int]]:
    """(the number of the products' precision, the addresses of the panels)."""
    if not cell.products:
        return 0, {}
    panels = {}
    for name, gates, weight in zip(("panels", "more_panels"), cell.products, weight_hh, strict=False):
        assert isinstance(weight, CoreMatrix) and weight.precision == weight_hh[0].precision
        assert weight.shape == (gates * units, units) and weight.block == units
        panels[name] = weight.panels(transposed)
    return PRECISIONS[weight_hh[0].precision], panels


def _gradient(d_state: Array | None, batch: int, units: int) -> Array:
    """A fresh array: the gradient of the last state goes in, that of the first comes out."""
    d_BH = np.zeros((batch, units), np.float32)
    if d_state is not None:
        d_BH[...] = _of_state(d_state, "d_state", batch, units)
    return d_BH


def _of_state(state: object, name: str, batch: int, units: int) -> Array:
    """NumPy would stretch one row over all streams."""
    state_BH = np.asarray(state)
    if state_BH.shape != (batch, units):
        raise CoreError(
            f"{name} has shape {state_BH.shape}: {batch} streams of {units} units need "
            f"{(batch, units)}; take it from initial_state({batch})"
        )
    return state_BH
