"""What reads tokens and gives the nats of what follows.

``Reader`` is the interface of one stream, so that a caller that needs losses does not know whether the model
is fixed or adapts to what it has read. ``PlainReader`` is the trained model itself. ``read_blocks`` reads the
rows of ``protocols`` in parallel: for evaluation, and for scoring in segments. None of them keeps logits or
changes the model.

Shape letters: B rows, T time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pantoum.config.plain import Plain
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring.protocols import ROWS, TextBlock
from pantoum.kernels import Array
from pantoum.kernels.workspace import Workspace
from pantoum.network.checks import require_finite
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.network.stepping import SteppedLosses

__all__ = ["PlainReader", "Reader", "fitting", "read_blocks", "state_arrays", "state_of"]


class Reader(Protocol):
    """Reads one stream as it comes."""

    def losses(
        self, inputs_BT: NDArray[np.int64], targets_BT: NDArray[np.int64], reset_BT: NDArray[np.bool_] | None
    ) -> Array:
        """Nats [1,T] of the targets, each after its input and all inputs before it, of earlier calls too.

        T is any number from 1 on. Where ``reset_BT`` holds, the state is zero before the input is read.
        ``PantoumError`` where nats are not finite."""
        ...

    def kept(self) -> tuple[dict[str, Array], dict[str, Plain]]:
        """Where it stands, for a state file: arrays, and the rest as JSON has it."""
        ...

    def resume(self, arrays: Mapping[str, Array], kept: Mapping[str, Any]) -> None:
        """Go on from there; ``KeyError``, ``ValueError`` or ``TypeError`` where it cannot be."""
        ...


class PlainReader:
    """The trained model reads, and stays as it is."""

    def __init__(self, model: LoadedModel) -> None:
        self._program = model.program
        self._state = model.program.initial_state(1)
        self._workspace = Workspace()

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def losses(
        self, inputs_BT: NDArray[np.int64], targets_BT: NDArray[np.int64], reset_BT: NDArray[np.bool_] | None
    ) -> Array:
        """Nats [1,T] of the targets."""
        found = np.empty(inputs_BT.shape, np.float32)
        for start in range(0, inputs_BT.shape[1], ROWS):
            part = np.s_[:, start : start + ROWS]
            found[part], _, self._state = self._program.losses(
                inputs_BT[part],
                targets_BT[part],
                self._state,
                reset_BT=None if reset_BT is None else reset_BT[part],
                workspace=self._workspace,
                predict=False,
            )
            require_finite([found[part]])
        return found

    def kept(self) -> tuple[dict[str, Array], dict[str, Plain]]:
        """Where it stands."""
        return state_arrays("state", self._state), {}

    def resume(self, arrays: Mapping[str, Array], kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._state = state_of("state", arrays, self._state)


def state_arrays(name: str, state: NetworkState) -> dict[str, Array]:
    """The arrays of a state by names of a state file."""
    return {f"{name}.{place}": array for place, array in enumerate(state.arrays)}


def state_of(name: str, arrays: Mapping[str, Array], like: NetworkState) -> NetworkState:
    """The inverse, for a state with these shapes."""
    return NetworkState(
        tuple(fitting(arrays, f"{name}.{place}", array) for place, array in enumerate(like.arrays))
    )


def fitting(arrays: Mapping[str, Array], name: str, like: Array) -> Array:
    """An array of a state file, of the shape and type that it must have; a copy."""
    found: Array = arrays[name]
    if found.shape != like.shape or found.dtype != like.dtype or not np.isfinite(found).all():
        raise ValueError(f"{name} does not fit the model")
    copied: Array = found.copy()
    return copied


def read_blocks(
    program: Program,
    blocks: Iterable[TextBlock],
    resets_V: NDArray[np.bool_] | None,
    before: NetworkState | None = None,
    predict: bool = False,
) -> Iterator[tuple[TextBlock, Array, Array, NetworkState]]:
    """Read the blocks of one text: (the block, the nats [B,T] of all its targets, the most probable tokens
    [B,T], the states after it). Those that only warm the states are not among the results. ``resets_V``:
    tokens before which the state is zeroed (none); ``before``: the state, one row, of what was read before
    the text (nothing); ``predict``: of ``Program.losses``. Nats need not be finite."""
    workspace, state = Workspace(), None
    for block in blocks:
        if block.rows == "zero":
            state = program.initial_state(len(block.inputs_BT))
        elif block.rows == "join":
            first = program.initial_state(1) if before is None else before
            state = first if state is None else NetworkState.joined([first, state])
        assert state is not None, "the first block of a text has rows of its own"
        inputs_BT, targets_BT = block.inputs_BT, block.targets_BT
        reset_BT = None if resets_V is None else resets_V[inputs_BT]
        if block.warms:  # nobody asks for its losses, and the output layer may be most of the model
            _, state = program.hidden(inputs_BT, state, reset_BT=reset_BT, workspace=workspace)
            continue
        if SteppedLosses.are_faster(program, len(inputs_BT), inputs_BT.size):
            rows = len(inputs_BT)
            steps = workspace.kept(f"steps {rows}", partial(SteppedLosses, program, rows))
            nats_BT, predictions_BT, state = steps.losses(inputs_BT, targets_BT, state, reset_BT)
        else:
            nats_BT, predictions_BT, state = program.losses(
                inputs_BT, targets_BT, state, reset_BT=reset_BT, workspace=workspace, predict=predict
            )
        yield block, nats_BT, predictions_BT, state
