"""What a cell and a stack have in common: a state in, a state out.

Outside, arrays are batch-major [B,T,E] and everything is checked; inside, they are time-major and trusted.
A ``Block`` holds parameters; ``pack`` makes from them a ``PackedBlock``, the form that the kernels take,
which has the forward pass and its exact gradient. It does not follow parameters that change later. A block
never remembers a sequence.

Shapes: B rows (streams), T steps, E inputs, H units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels import Array, Workspace
from pantoum.network.packing import Packer, Weight
from pantoum.network.parameters import Parameters
from pantoum.network.state import BlockState, map_arrays

__all__ = ["Block", "DropoutDraw", "PackedBlock", "Tape", "check_lengths", "check_state"]

Tape: TypeAlias = Any
"""What a block keeps of a forward pass for its backward pass; nobody else looks inside."""


@dataclass(frozen=True)
class DropoutDraw:
    """Which dropout masks: those of this seed and step, for streams of these global numbers."""

    seed: int
    step: int
    streams_B: Array


class PackedBlock(ABC):
    """A block's parameters ready for many products. Time-major; arguments are trusted."""

    @abstractmethod
    def forward(
        self,
        x_TBE: Array,
        state: BlockState,
        *,
        reset_TB: Array | None = None,
        lengths: Array | None = None,
        dropout: DropoutDraw | None = None,
        tape: bool = False,
        workspace: Workspace | None = None,
    ) -> tuple[Array, BlockState, Tape]:
        """(outputs [T,B,H], last state, tape or None)."""

    @abstractmethod
    def backward(
        self,
        tape: Tape,
        d_outputs_TBH: Array,
        d_state: BlockState | None = None,
        *,
        spend: bool = False,
        workspace: Workspace | None = None,
    ) -> tuple[Array, BlockState, dict[str, Array]]:
        """(d_x [T,B,E], d_state0, gradients by parameter name); ``spend``: the tape is not needed again."""


class Block(ABC):
    """A cell or a stack of cells."""

    input_size: int
    hidden_size: int
    dtype: np.dtype[np.generic]
    parameters: Parameters

    @abstractmethod
    def initial_state(self, batch_size: int) -> BlockState:
        """The zero state of ``batch_size`` streams."""

    @abstractmethod
    def pack(self, packer: Packer | None = None, weights: Mapping[str, Weight] | None = None) -> PackedBlock:
        """The parameters as the kernels take them; ``weights``: others of these names and shapes."""

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return self.parameters.size

    def step(self, x_BE: Array, state: BlockState) -> tuple[Array, BlockState]:
        """One time step: (outputs [B,H], state)."""
        x_BE = np.asarray(x_BE)
        if x_BE.ndim != 2:
            raise SettingError(
                "x_BE", x_BE.shape, f"must have the shape [B, {self.input_size}]", "give one input a stream"
            )
        outputs_BTH, state = self.scan(x_BE[:, None], state)
        return outputs_BTH[:, 0], state

    def scan(
        self,
        x_BTE: Array,
        state: BlockState | None = None,
        lengths: Array | None = None,
        reset_BT: Array | None = None,
    ) -> tuple[Array, BlockState]:
        """All time steps: (outputs [B,T,H], the last state). ``reset_BT`` zeroes a row's state *before* a
        step; past a row's length outputs are zero and the state is copied through."""
        x_TBE, state, lengths, reset_TB = self.checked(x_BTE, state, lengths, reset_BT)
        outputs_TBH, state, _ = self.pack().forward(x_TBE, state, lengths=lengths, reset_TB=reset_TB)
        return np.ascontiguousarray(outputs_TBH.swapaxes(0, 1)), state

    def checked(
        self,
        x_BTE: Array,
        state: BlockState | None,
        lengths: Array | None,
        reset_BT: Array | None,
    ) -> tuple[Array, BlockState, Array | None, Array | None]:
        """The arguments of a scan, checked and time-major; inputs past a row's length are zeros."""
        x_BTE = np.asarray(x_BTE)
        if x_BTE.ndim != 3 or x_BTE.shape[2] != self.input_size or 0 in x_BTE.shape:
            raise SettingError(
                "inputs_BTE",
                x_BTE.shape,
                f"must have the shape [B, T, {self.input_size}]",
                "give inputs of the block's input_size",
            )
        if x_BTE.dtype.kind not in "fiub":
            raise SettingError(
                "inputs_BTE", x_BTE.dtype.name, "must be an array of numbers", f"give {self.dtype.name}"
            )
        B, T, _ = x_BTE.shape
        state = self.initial_state(B) if state is None else check_state(state, self.initial_state(B))
        lengths = check_lengths(lengths, B, T)
        x_TBE = np.ascontiguousarray(x_BTE.swapaxes(0, 1), self.dtype)
        if lengths is not None:
            x_TBE = np.where((np.arange(T)[:, None] < lengths)[:, :, None], x_TBE, self.dtype.type(0))
        return x_TBE, state, lengths, check_resets(reset_BT, B, T)


def check_state(state: BlockState, template: BlockState) -> BlockState:
    """The state, if it has the form and shapes of the template; dtype made the template's."""
    try:
        return map_arrays(_check_part, template, state)
    except (TypeError, ValueError) as error:
        if isinstance(error, SettingError):
            raise
        raise SettingError(
            "state", type(state).__name__, "must be a state of this block", "start from initial_state"
        ) from None


def _check_part(template_BH: Array, value: object) -> Array:
    part: Array = np.asarray(value, template_BH.dtype)
    if part.shape != template_BH.shape:
        raise SettingError(
            "state",
            part.shape,
            f"must have the shape {template_BH.shape}: a state belongs to its batch",
            "carry the state of the same batch, or start from initial_state",
        )
    return part


def check_lengths(lengths: object, batch_size: int, steps: int) -> Array | None:
    """Lengths [B] from 0 to T, as int64."""
    if lengths is None:
        return None
    lengths = np.asarray(lengths)
    if lengths.shape != (batch_size,) or lengths.dtype.kind not in "iu":
        raise SettingError(
            "lengths", lengths.tolist(), f"must be {batch_size} whole numbers", "give one length a row"
        )
    if lengths.min() < 0 or lengths.max() > steps:
        raise SettingError(
            "lengths", lengths.tolist(), f"must be from 0 to {steps}", "give lengths within the inputs"
        )
    numbers: Array = lengths.astype(np.int64)
    return numbers


def check_resets(reset_BT: object, batch_size: int, steps: int) -> Array | None:
    """The reset mask, time-major; None where nothing is reset."""
    if reset_BT is None:
        return None
    reset_BT = np.asarray(reset_BT)
    if reset_BT.shape != (batch_size, steps) or reset_BT.dtype != bool:
        raise SettingError(
            "reset_BT",
            f"{reset_BT.dtype.name} {reset_BT.shape}",
            f"must be bool of shape ({batch_size}, {steps})",
            "give one mask of the inputs' shape",
        )
    return np.ascontiguousarray(reset_BT.T) if reset_BT.any() else None
