"""Rows that begin anew and rows that have ended, inside a scan.

Two things may happen to a row (a stream) at a step besides the cell's equations. ``reset_TB``: the state is
zeroed *before* the step, as at the start of a document. ``lengths``: from its length on a row has ended,
its outputs are zero and its state is copied through; a reset there is void. Every cell's loop calls
``enter`` before and ``hold`` after its equations, and ``hold_vjp`` in the loop back; with neither resets
nor lengths these do nothing.

Shapes: T steps, B rows, H units.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.array import Array
from pantoum.kernels.workspace import Workspace

__all__ = ["Rows"]


class Rows:
    """For each step, the indexes of the rows that are reset before it and of those that have ended."""

    def __init__(self, steps: int, reset_TB: Array | None, lengths: Array | None) -> None:
        self._resets: list[Array | None] = [None] * steps
        self._ended: list[Array | None] = [None] * steps
        self._lengths = lengths
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
        if self._lengths is None:
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
