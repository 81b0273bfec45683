"""What reads a text that comes in parts, and gives the nats of each token after those before it.

``Reader`` is the interface of one stream, so that a caller that needs losses does not know whether the model
is fixed or adapts to what it has read. ``PlainReader`` is the trained model itself. ``OneStream`` reads each
token after all tokens before it, and answers at once.

``Segments`` is for speed: it waits for a block of tokens and reads it in N spans in parallel, because a
product of N rows costs little more than one of a single row. Each span is warmed by the tokens before it
(``protocols.spans``, by which ``segments:N`` evaluates), so near its beginning the model misses only what
came earlier than these. The answers come in the order of the text. Where the state is zeroed within the
warming tokens (documents), nothing is missing at all. ``read_blocks`` reads the rows of ``protocols`` in
parallel: for evaluation, and for segments. Nothing here keeps logits or changes the model.

Shape letters: B rows, T time, V symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pantoum.config.plain import Plain
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring.protocols import LEAST_SPAN, TextBlock, spans
from pantoum.kernels import Array
from pantoum.kernels.types import Workspace
from pantoum.network.checks import require_finite
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.network.stepping import SteppedLosses

AT_ONCE = 576
"""Tokens of one stream after which their nats are given out, so that a long part of a text is answered before
its end: three chunks of adapting."""
LONGEST = 4096
"""Most tokens that a segment scores: one in seventeen tokens read is then for warming."""
STEPPED = 4096
"""Tokens in a block that is read by steps: what is done once per block takes longer than a step."""
PART = 1 << 16
"""Tokens of a block that are given out together: what becomes of them stays in the second cache."""
Ids = NDArray[np.int64]
Resets = NDArray[np.bool_]
Scored = tuple[Ids, Array]


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
        nats_BT, _, self._state = self._program.losses(
            inputs_BT, targets_BT, self._state, reset_BT=reset_BT, workspace=self._workspace, predict=False
        )
        require_finite([nats_BT])
        return nats_BT

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


class Following:
    """Gives the nats of tokens as they come, in their order."""

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Tokens of the text and their nats, as far as they are known by now."""
        raise NotImplementedError

    def finish(self) -> Iterator[Scored]:
        """The rest."""
        yield from ()


class OneStream(Following):
    """Each token at once. ``first``: the token before the text; ``resets_V``: the tokens before which the
    state is zeroed, or none."""

    def __init__(self, reader: Reader, first: int, resets_V: Resets | None) -> None:
        self._reader, self._last, self._resets_V = reader, first, resets_V

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Their nats."""
        for start in range(0, len(ids_T), AT_ONCE):
            part_T = ids_T[start : start + AT_ONCE]
            inputs_BT = np.concatenate([[self._last], part_T[:-1]])[None]
            self._last = int(part_T[-1])
            reset_BT = None if self._resets_V is None else self._resets_V[inputs_BT]
            yield part_T, self._reader.losses(inputs_BT, part_T[None], reset_BT)[0]

    def kept(self) -> tuple[dict[str, Array], dict[str, Plain]]:
        """Where it stands, for a state file."""
        arrays, plain = self._reader.kept()
        return arrays, {"last": self._last, **plain}

    def resume(self, arrays: Mapping[str, Array], kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._reader.resume(arrays, kept)
        self._last = int(kept["last"])


class ReadElsewhere(Following):
    """Keeps the tokens of a text until somebody else has read them."""

    def __init__(self) -> None:
        self.tokens_T: Ids = np.zeros(0, np.int64)
        self.nats_T: Array | None = None
        """The nats of all of them, which must be given before the end."""

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Nothing yet."""
        self.tokens_T = np.concatenate([self.tokens_T, ids_T])
        return iter(())

    def finish(self) -> Iterator[Scored]:
        """All tokens, in parts of the size of ``OneStream``."""
        assert self.nats_T is not None
        for start in range(0, len(self.tokens_T), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            yield self.tokens_T[part], self.nats_T[part]


class Segments(Following):
    """A block of tokens at a time, in ``streams`` segments in parallel; a short text in fewer."""

    def __init__(self, program: Program, streams: int, first: int, resets_V: Resets | None) -> None:
        self._program, self._streams = program, streams
        self._last, self._resets_V = first, resets_V
        self._state = program.initial_state(1)
        """The state after the text, without the tokens that wait."""
        self._waiting: list[Ids] = []
        self._count = 0

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Nothing until a block is full."""
        self._waiting.append(ids_T)
        self._count += len(ids_T)
        full = self._streams * LONGEST
        if self._count <= full:
            return
        ids_T = np.concatenate(self._waiting)
        for start in range(0, len(ids_T) - full, full):
            yield from self._block(ids_T[start : start + full])
            self._count -= full
        self._waiting = [ids_T[len(ids_T) - self._count :]]

    def finish(self) -> Iterator[Scored]:
        """The last block, which may be the only one."""
        if self._count:
            yield from self._block(np.concatenate(self._waiting))
        self._waiting, self._count = [], 0

    def _block(self, ids_T: Ids) -> Iterator[Scored]:
        nats_T = self._read(ids_T)
        for start in range(0, len(ids_T), PART):
            yield ids_T[start : start + PART], nats_T[start : start + PART]

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def _read(self, ids_T: Ids) -> Array:
        """The nats of a block."""
        text_T = np.concatenate([[self._last], ids_T])
        nats_T = np.empty(len(ids_T), np.float32)
        streams = min(self._streams, len(ids_T) // LEAST_SPAN)
        by_steps = SteppedLosses.are_faster(self._program, streams, STEPPED)
        parts, before = spans(text_T, self._streams, STEPPED if by_steps else None), self._state
        found = read_blocks(self._program, parts, self._resets_V, before)
        for block, nats_BT, _, self._state in found:
            nats_T[block.at_BT[block.scored_BT]] = nats_BT[block.scored_BT]
        require_finite([nats_T])
        self._state, self._last = self._state.select([-1]), int(ids_T[-1])
        return nats_T
