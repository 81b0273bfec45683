"""A cell over a chunk of time steps, and its gradient.

The input projection [T,B,G] holds, of all gates in their order, what is known before the loop: W_ih x and
every bias that merely adds. A scan owns it from then on: it comes back as the tape's gates, and ``scan_vjp``
may write the gradient of the projection over these in turn (``out=tape.gates_TBG``), when the tape is not
needed again. One array per layer serves all three.

Two things may happen to a row (a stream) at a step besides the cell's equations. ``reset_TB``: the state is
zeroed *before* the step, as at the start of a document. ``lengths``: from its length on a row has ended,
its outputs are zero and its state is copied through; a reset there is void. The loop calls
``enter`` before and ``hold`` after its equations, and ``hold_vjp`` in the loop back; with neither resets
nor lengths these do nothing.

Shapes: T steps, B rows, H units, G gate rows, S = T+1 states from the initial one on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pantoum.config import CellSpec
from pantoum.errors import CoreError
from pantoum.kernels.reference.cell import Given, Taped, equations
from pantoum.kernels.reference.product import bias_gradient, linear_weight_gradient
from pantoum.kernels.types import Array, RecurrentWeight, State, StepPart, Workspace, forward_weights

__all__ = ["ReferenceTape", "scan", "scan_vjp", "stepper"]

NONE: Array = np.empty(0)


@dataclass(frozen=True)
class ReferenceTape:
    """What the backward pass needs."""

    cell: CellSpec
    weight_hh: RecurrentWeight
    hidden_SBH: Array
    memory_SBH: Array | None
    """c of every step."""
    gates_TBG: Array
    candidate_TBH: Array | None
    """The last gate's product plus its bias, for a biased cell."""
    operands_TBH: Array | None
    """The operands of the second product, for a cell with two products."""
    rows: StepRows
    parts: int = 1

    def folded(self) -> ReferenceTape:
        """The parts of one stream as so many streams."""
        if self.rows.lengths is not None or self.gates_TBG.shape[1] != 1:
            raise CoreError("several parts need one stream without lengths: give that, or one part")
        T = len(self.gates_TBG) // self.parts
        places = np.arange(T + 1)[:, None] + T * np.arange(self.parts)

        def folded(array: Array | None) -> Array | None:
            """States have one step more."""
            return None if array is None else array[places[: T + len(array) - len(self.gates_TBG)], 0]

        names = ("hidden_SBH", "memory_SBH", "gates_TBG", "candidate_TBH", "operands_TBH")
        arrays: dict[str, Any] = {name: folded(getattr(self, name)) for name in names}
        return replace(self, **arrays, rows=StepRows(T, folded(self.rows.reset_TB), None), parts=1)


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
) -> tuple[Array, State, ReferenceTape | None]:
    """Outputs [T,B,H], the last state and, if asked for, the tape of a gradient that goes back through each
    of ``tape`` equal parts of the steps by itself."""
    workspace = Workspace() if workspace is None else workspace
    step, packs = equations(cell), forward_weights(weight_hh)
    (T, B, G), dtype = projection_TBG.shape, projection_TBG.dtype
    H = G // len(cell.gates)
    rows = StepRows(T, reset_TB, lengths)
    shapes = {"hidden": (T + 1, B, H), "entering": (B, H), "sums": (B, sum(cell.products) * H)}
    hidden_SBH, entering_BH, sums_BG = (workspace.array(*each, dtype) for each in shapes.items())
    memory_SBH = workspace.array("memory", (T + 1, B, H), dtype) if len(cell.state) > 1 else None
    candidate_TBH = workspace.array("candidate", (T, B, H), dtype) if cell.biased and tape else None
    operands_TBH = workspace.array("operands", (T, B, H), dtype) if len(packs) > 1 and tape else None
    hidden_SBH[0], c_BH = state if isinstance(state, tuple) else (state, NONE)
    if memory_SBH is not None:
        memory_SBH[0] = c_BH
    first_BG = sums_BG if len(packs) < 2 else workspace.array("first", (B, cell.products[0] * H), dtype)
    for t in range(T):
        h_BH = rows.enter(t, hidden_SBH[t], entering_BH)
        if memory_SBH is not None:
            c_BH = rows.enter(t, memory_SBH[t], np.empty_like(h_BH))
        sums = _gates(packs[0].product(h_BH, out=first_BG), H) if packs else []
        x = Given(sums, _gates(projection_TBG[t], H), h_BH, c_BH, NONE if bias_hh is None else bias_hh)
        if len(packs) > 1:
            early, operand_BH = step.early(x)
            sums += _gates(packs[1].product(operand_BH), H)
            x = replace(x, early=early)
            if operands_TBH is not None:
                operands_TBH[t] = operand_BH
        now = step.forward(x)
        hidden_SBH[t + 1] = now.h
        rows.hold(t, h_BH, hidden_SBH[t + 1])
        if memory_SBH is not None:
            memory_SBH[t + 1] = now.c
            rows.hold(t, c_BH, memory_SBH[t + 1])
        if tape:
            np.concatenate(now.gates, axis=1, out=projection_TBG[t])
        if candidate_TBH is not None:
            candidate_TBH[t] = now.candidate
    outputs_TBH = rows.outputs(hidden_SBH[1:], workspace)
    last = hidden_SBH[T].copy() if memory_SBH is None else (hidden_SBH[T].copy(), memory_SBH[T].copy())
    if not tape:
        return outputs_TBH, last, None
    arrays = hidden_SBH, memory_SBH, projection_TBG, candidate_TBH, operands_TBH
    return outputs_TBH, last, ReferenceTape(cell, weight_hh, *arrays, rows, int(tape))


def scan_vjp(
    tape: ReferenceTape,
    d_outputs_TBH: Array,
    d_state: State | None = None,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> tuple[Array, State, Array | None, Array | None]:
    """Gradients of the input projection, the initial state, W_hh and the bias inside the scan, or None."""
    workspace = Workspace() if workspace is None else workspace
    if tape.parts > 1:
        d_parts = d_outputs_TBH.reshape(tape.parts, -1, d_outputs_TBH.shape[2]).swapaxes(0, 1)
        d_projection, d_states, d_weight_hh, d_bias_hh = scan_vjp(
            tape.folded(), np.ascontiguousarray(d_parts), None, None, workspace
        )
        whole = d_projection.swapaxes(0, 1).reshape(tape.gates_TBG.shape)
        if out is not None:
            out[...] = whole
        first: State = (d_states[0][:1], d_states[1][:1]) if isinstance(d_states, tuple) else d_states[:1]
        return whole if out is None else out, first, d_weight_hh, d_bias_hh
    cell, packs, rows = tape.cell, tape.weight_hh, tape.rows
    step = equations(cell)
    hidden_SBH, memory_SBH = tape.hidden_SBH, tape.memory_SBH
    (T, B, H), dtype = d_outputs_TBH.shape, hidden_SBH.dtype
    G, split = len(cell.gates) * H, cell.products[0] * H if packs else 0
    d_projection_TBG = np.empty((T, B, G), dtype) if out is None else out
    d_candidate_TBH = workspace.array("d_candidate", (T, B, H), dtype) if cell.biased else None
    d_outputs_TBH = rows.outputs(d_outputs_TBH, workspace, "d_outputs")
    entering_BH, entering_c_BH = (workspace.array(name, (B, H), dtype) for name in ("entering", "entering_c"))
    d_h_BH, d_c_BH = np.zeros((B, H), dtype), np.zeros((B, H), dtype)
    if d_state is not None:
        d_h_BH[...], d_c_BH[...] = d_state if isinstance(d_state, tuple) else (d_state, 0)
    for t in reversed(range(T)):
        d_h_BH += d_outputs_TBH[t]
        x = Taped(
            _gates(tape.gates_TBG[t], H),
            rows.enter(t, hidden_SBH[t], entering_BH),
            hidden_SBH[t + 1],
            NONE if memory_SBH is None else rows.enter(t, memory_SBH[t], entering_c_BH),
            NONE if memory_SBH is None else memory_SBH[t + 1],
            NONE if tape.candidate_TBH is None else tape.candidate_TBH[t],
        )
        before = step.backward(x, d_h_BH, d_c_BH)
        gates, d_old_BH = tuple(before.gates), np.zeros_like(d_h_BH) if before.h is None else before.h
        if len(packs) > 1:
            late_BG = np.concatenate(gates[-cell.products[1] :], axis=1)
            early, d_more_BH = step.early_backward(x, packs[1].product_transposed(late_BG))
            gates, d_old_BH = (*early, *gates), d_old_BH + d_more_BH
        d_BG = np.concatenate(gates, axis=1, out=d_projection_TBG[t])
        d_steps = [d_BG]
        if d_candidate_TBH is not None and before.candidate is not None:
            d_candidate_TBH[t] = before.candidate
            d_steps.append(d_candidate_TBH[t])
            d_BG = np.concatenate([d_BG[:, :-H], before.candidate], axis=1)
        if packs:
            d_old_BH = packs[0].product_transposed(np.ascontiguousarray(d_BG[:, :split])) + d_old_BH
        rows.hold_vjp(t, d_h_BH, d_old_BH, *d_steps)
        d_h_BH = d_old_BH
        if before.c is not None:
            rows.hold_vjp(t, d_c_BH, before.c)
            d_c_BH = before.c
    d_state0 = d_h_BH if memory_SBH is None else (d_h_BH, d_c_BH)
    if not packs:
        return d_projection_TBG, d_state0, None, None
    d_weight_hh = workspace.array("d_weight_hh", (G, H), dtype)
    d_projection_NG = d_projection_TBG.reshape(T * B, G)
    d_first_NG, entered_NH = d_projection_NG[:, :split], rows.entered(hidden_SBH, workspace).reshape(T * B, H)
    d_bias_hh = None
    if tape.operands_TBH is not None:
        operands_NH = tape.operands_TBH.reshape(T * B, H)
        linear_weight_gradient(d_projection_NG[:, split:], operands_NH, out=d_weight_hh[split:])
    if d_candidate_TBH is not None:
        d_candidate_NH, d_first_NG = d_candidate_TBH.reshape(T * B, H), d_first_NG[:, :-H]
        linear_weight_gradient(d_candidate_NH, entered_NH, out=d_weight_hh[-H:])
        d_bias_hh = bias_gradient(d_candidate_NH)
    linear_weight_gradient(d_first_NG, entered_NH, out=d_weight_hh[: d_first_NG.shape[1]])
    return d_projection_TBG, d_state0, d_weight_hh, d_bias_hh


def stepper(parts: Sequence[StepPart], tokens_R: Array, states: Sequence[Array], logits_CV: Array) -> None:
    """None: a model is read by scans of one step. NumPy has no step of a whole model at once, since a product
    a layer is all that it could do."""


def _gates(array_BG: Array, units: int) -> list[Array]:
    """A view of each gate."""
    return [array_BG[:, start : start + units] for start in range(0, array_BG.shape[1], units)]


class StepRows:
    """For each step, the indexes of the rows that are reset before it and of those that have ended."""

    def __init__(self, steps: int, reset_TB: Array | None, lengths: Array | None) -> None:
        self._resets: list[Array | None] = [None] * steps
        self._ended: list[Array | None] = [None] * steps
        self.lengths, self.reset_TB = lengths, reset_TB
        if lengths is not None:
            ended_TB = np.arange(steps)[:, None] >= lengths
            reset_TB = None if reset_TB is None else reset_TB & ~ended_TB
            self._ended = _indexes(ended_TB)
        if reset_TB is not None:
            self._resets = _indexes(reset_TB)
        self._any_reset = any(rows is not None for rows in self._resets)

    def enter(self, t: int, state_BH: Array, scratch_BH: Array) -> Array:
        """The state as step ``t`` sees it: itself, or a copy with zeroed rows in the scratch array."""
        rows = self._resets[t]
        if rows is None:
            return state_BH
        np.copyto(scratch_BH, state_BH)
        scratch_BH[rows] = 0
        return scratch_BH

    def hold(self, t: int, before_BH: Array, after_BH: Array) -> None:
        """Copy the state of ended rows through step ``t``."""
        rows = self._ended[t]
        if rows is not None:
            after_BH[rows] = before_BH[rows]

    def hold_vjp(self, t: int, d_after_BH: Array, d_before_BH: Array, *d_steps: Array) -> None:
        """Gradients past ``enter`` and ``hold``: an ended row passes its state's on and gives none to the
        step (``d_steps``); a reset row gives none to the state before."""
        rows = self._ended[t]
        if rows is not None:
            d_before_BH[rows] = d_after_BH[rows]
            for d_step in d_steps:
                d_step[rows] = 0
        rows = self._resets[t]
        if rows is not None:
            d_before_BH[rows] = 0

    def outputs(self, hidden_TBH: Array, workspace: Workspace, name: str = "outputs") -> Array:
        """The hidden states, with zeros where a row has ended. Its own transpose: also for gradients."""
        if self.lengths is None:
            return hidden_TBH
        outputs_TBH = workspace.array(name, hidden_TBH.shape, hidden_TBH.dtype)
        np.copyto(outputs_TBH, hidden_TBH)
        for t, rows in enumerate(self._ended):
            if rows is not None:
                outputs_TBH[t, rows] = 0
        return outputs_TBH

    def entered(self, hidden_SBH: Array, workspace: Workspace) -> Array:
        """What ``enter`` gave at every step [T,B,H], of the S = T+1 states from the initial one on."""
        before_TBH = hidden_SBH[:-1]
        if not self._any_reset:
            return before_TBH
        entered_TBH = workspace.array("entered", before_TBH.shape, before_TBH.dtype)
        np.copyto(entered_TBH, before_TBH)
        for t, rows in enumerate(self._resets):
            if rows is not None:
                entered_TBH[t, rows] = 0
        return entered_TBH


def _indexes(mask_TB: Array) -> list[Array | None]:
    """For each step the row numbers where the mask holds; None where it holds nowhere."""
    return [np.flatnonzero(mask_B) if mask_B.any() else None for mask_B in mask_TB]
