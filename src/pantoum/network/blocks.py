"""Cells and stacks that people build by themselves, the exact gradient of either over a sequence, and a loss.

Outside, arrays are batch-major [B,T,E] and everything is checked; the parts of a model (``network.stack``)
do the work. A block holds parameters and never remembers a sequence. Parameters are those of
``torch.nn.RNN``, ``GRU`` and ``LSTM`` where PyTorch has the cell; a stack has ``0.weight_ih``,
``1.weight_ih``, ... The equations and gate orders stand in ``kernels.reference``.

``unroll`` is what ``tf.nn.dynamic_rnn`` was: with lengths, outputs past a row's length are zero, the state
is copied through, and the returned state is each row's own last one. ``unroll_vjp`` is its back-propagation
through outputs and state both. Dropout is on only with ``dropout_key=(seed, step)``; ``streams`` are the
rows' global numbers, by default 0 to B-1.

Shapes: B rows (streams), T steps, E inputs, H units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pantoum.config import CELLS, CellSpec, DropoutConfig, one_of, require, several, whole
from pantoum.kernels import Array, Workspace, backend
from pantoum.network.checks import (
    as_array,
    check_lengths,
    check_resets,
    dropout_draw,
    require_numbers,
)
from pantoum.network.network_state import BlockState, check_state, from_arrays, to_arrays
from pantoum.network.packing import Packer
from pantoum.network.parameters import Parameters, initial
from pantoum.network.spec import of_cell
from pantoum.network.stack import Layer, Layers, Pass, Tape, Vectors

Pullback: TypeAlias = Callable[..., tuple[Array, BlockState, dict[str, Array]]]
"""The backward pass of one ``unroll_vjp``: ``pullback(d_outputs_BTH, d_state=None)`` gives (d_inputs [B,T,E],
d_initial_state, gradients by parameter name)."""


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
    def ready(self) -> Layers:
        """Its layers, with the weights as they are now."""

    @property
    def num_parameters(self) -> int:
        """The number of learned parameters."""
        return self.parameters.size

    def step(self, x_BE: Array, state: BlockState) -> tuple[Array, BlockState]:
        """One time step: (outputs [B,H], state)."""
        x_BE, rule = as_array(x_BE), f"must have the shape [B, {self.input_size}]"
        require(x_BE.ndim == 2, "x_BE", x_BE.shape, rule, "give one input per stream")
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
        return unroll(self, x_BTE, state, lengths, reset_BT=reset_BT)


class Cell(Block):
    """A recurrent cell: its one setting is its size."""

    spec: CellSpec

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        seed: int | None = 0,
        *,
        spec: CellSpec | None = None,
        dtype: npt.DTypeLike = np.float32,
        place: int = 0,
    ) -> None:
        """``seed=None`` leaves zeros, to be filled; ``place`` is the cell's layer in a stack of one seed."""
        self.spec = self.spec if spec is None else spec
        self.input_size, self.hidden_size = whole(input_size, "input_size"), whole(hidden_size, "hidden_size")
        seed, self.dtype = None if seed is None else whole(seed, "seed", least=0), np.dtype(dtype)
        self.parameters = initial(of_cell(self.spec, self.input_size, self.hidden_size, place), seed, dtype)

    def initial_state(self, batch_size: int) -> BlockState:
        """Zeros: h [B,H], or (h, c)."""
        whole(batch_size, "batch_size")
        parts = tuple(np.zeros((batch_size, self.hidden_size), self.dtype) for _ in self.spec.state)
        return parts[0] if len(parts) == 1 else parts

    def ready(self) -> Layers:
        return Layers((Layer(self.spec, self.parameters, Packer(backend(self.dtype))),), DropoutConfig())


class RNN(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    spec = CELLS["rnn"]


class LSTM(Cell):
    """c' = f * c + i * g, h' = o * tanh(c'); the state is (h, c)."""

    spec = CELLS["lstm"]


class MinGRU(Cell):
    """h' = z * h + (1 - z) * n, with z = sigma(W_z x + b_z) and n = W_n x + b_n (Feng et al. 2024)."""

    spec = CELLS["mingru"]


class GRU(Cell):
    """h' = z * h + (1 - z) * n. The reset gate stands after the candidate's product (PyTorch's and cuDNN's
    form) or before it (the original's and TensorFlow 1's); a model file records which."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        reset: str = "after",
        seed: int | None = 0,
        *,
        dtype: npt.DTypeLike = np.float32,
        place: int = 0,
    ) -> None:
        one_of(reset, "reset", ("after", "before"))
        spec = CELLS["gru" if reset == "after" else "gru-before"]
        super().__init__(input_size, hidden_size, seed, spec=spec, dtype=dtype, place=place)


class Stack(Block):
    """A deep cell; used wherever a cell is. Its state is the tuple of the states of its layers."""

    def __init__(self, cells: Sequence[Cell], dropout: DropoutConfig | None = None) -> None:
        self.cells = tuple(several(cells, "cells", "cells"))
        _check_cells(self.cells)
        fits = dropout is None or isinstance(dropout, DropoutConfig)
        require(fits, "dropout", dropout, "must be a DropoutConfig", "leave it out, or give one")
        self.dropout = DropoutConfig() if dropout is None else dropout
        self.input_size, self.hidden_size = self.cells[0].input_size, self.cells[-1].hidden_size
        self.dtype = self.cells[0].dtype
        named = ((f"{layer}.", cell.parameters) for layer, cell in enumerate(self.cells))
        self.parameters = Parameters.joined(named)

    def initial_state(self, batch_size: int) -> BlockState:
        return tuple(cell.initial_state(batch_size) for cell in self.cells)

    def ready(self) -> Layers:
        return Layers(tuple(cell.ready().layers[0] for cell in self.cells), self.dropout)


def split_state(block: Block, array: Array) -> BlockState:
    """The inverse of ``concatenate_state``, for a stack or a cell."""
    _require_block(block)
    array = as_array(array)
    template = block.initial_state(1)
    widths = [part.shape[1] for part in to_arrays(template)]
    fits, rule = array.ndim == 2 and array.shape[1] == sum(widths), f"must have the shape [B, {sum(widths)}]"
    require(fits, "state", array.shape, rule, "give the array of concatenate_state")
    parts = np.split(array, np.cumsum(widths)[:-1], axis=1)
    return from_arrays(template, [np.ascontiguousarray(part) for part in parts])


def unroll(
    cell: Block,
    inputs_BTE: Array,
    initial_state: BlockState | None = None,
    lengths: Array | None = None,
    *,
    reset_BT: Array | None = None,
    dropout_key: tuple[int, int] | None = None,
    streams: Array | None = None,
) -> tuple[Array, BlockState]:
    """(outputs [B,T,H], last state)."""
    layers, x_TBE, state, steps = _checked(
        cell, inputs_BTE, initial_state, lengths, reset_BT, dropout_key, streams
    )
    outputs_TBH, last, _ = layers.forward(Vectors(x_TBE), to_arrays(state), steps, Workspace())
    return _turned(outputs_TBH), from_arrays(state, last)


def unroll_vjp(
    cell: Block,
    inputs_BTE: Array,
    initial_state: BlockState | None = None,
    lengths: Array | None = None,
    *,
    reset_BT: Array | None = None,
    dropout_key: tuple[int, int] | None = None,
    streams: Array | None = None,
) -> tuple[Array, BlockState, Pullback]:
    """(outputs [B,T,H], last state, pullback), as ``jax.vjp``. Parameters must not change before the
    pullback."""
    layers, x_TBE, state, steps = _checked(
        cell, inputs_BTE, initial_state, lengths, reset_BT, dropout_key, streams
    )
    steps = replace(steps, tape=1)
    outputs_TBH, arrays, tape = layers.forward(Vectors(x_TBE), to_arrays(state), steps, Workspace())
    last = from_arrays(state, arrays)
    shape_BTH, names = outputs_TBH.swapaxes(0, 1).shape, tuple(cell.parameters)

    def pullback(
        d_outputs_BTH: Array, d_state: BlockState | None = None
    ) -> tuple[Array, BlockState, dict[str, Array]]:
        d_outputs_BTH = as_array(d_outputs_BTH)
        require_numbers(d_outputs_BTH, "d_outputs_BTH", f"give {cell.dtype.name}")
        given, rule = d_outputs_BTH.shape, f"must have the shape {shape_BTH}"
        require(given == shape_BTH, "d_outputs_BTH", given, rule, "give the gradient of the outputs")
        d_outputs_BTH = np.asarray(d_outputs_BTH, cell.dtype)
        d_arrays = None if d_state is None else to_arrays(check_state(d_state, last))
        d_x_TBE, d_initial, found = layers.backward(
            _copied(tape), _turned(d_outputs_BTH), d_arrays, workspace=Workspace()
        )
        # A cell is a stack of one layer, whose names have no number.
        named = {name if name in names else name.partition(".")[2]: d for name, d in found.items()}
        d_state0 = from_arrays(last, [array.copy() for array in d_initial])
        return _turned(d_x_TBE), d_state0, {name: named[name] for name in names}

    return _turned(outputs_TBH), last, pullback


def _copied(tape: Tape) -> Tape:
    """A tape of ``Layers`` for one backward pass, which overwrites a part of it: this one stays."""
    tapes, dropout = tape
    return [
        (inputs, replace(scanned, gates_TBG=scanned.gates_TBG.copy())) for inputs, scanned in tapes
    ], dropout


def cross_entropy(logits: Array, targets: Array) -> float:
    """The mean loss in nats of logits [...,V] for targets [...], over exactly the targets given."""
    logits, targets = as_array(logits), as_array(targets)
    require_numbers(logits, "logits", "give float32")
    V = logits.shape[-1] if logits.ndim else 0
    rule = f"must have the logits' shape without V, {logits.shape[:-1]}"
    fits = targets.shape == logits.shape[:-1] and targets.size > 0
    require(fits, "targets", targets.shape, rule, "give one target for each row of logits")
    given, counted = targets.dtype.name, targets.dtype.kind in "iu"
    if counted:
        given = f"{given} from {targets.min()} to {targets.max()}"
    fits = counted and bool(targets.min() >= 0 and targets.max() < V)
    require(fits, "targets", given, f"must be whole numbers from 0 to {V - 1}", "give the numbers of symbols")
    flat_N = targets.reshape(-1)
    kind = logits.dtype if logits.dtype.kind == "f" else np.dtype(np.float64)
    logits_NV = np.array(logits.reshape(-1, V), kind)
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    of_targets_N = logits_NV[np.arange(len(flat_N)), flat_N]
    sums_N = np.exp(logits_NV).sum(axis=1)
    return float((np.log(sums_N) - of_targets_N).mean(dtype=np.float64))


def _checked(
    block: Block,
    x_BTE: Array,
    state: BlockState | None,
    lengths: Array | None,
    reset_BT: Array | None,
    dropout_key: tuple[int, int] | None,
    streams: Array | None,
) -> tuple[Layers, Array, BlockState, Pass]:
    """The layers and the arguments of a scan, checked and time-major; inputs past a row's length are
    zeros."""
    _require_block(block)
    x_BTE = as_array(x_BTE)
    require_numbers(x_BTE, "inputs_BTE", f"give {block.dtype.name}")
    fits = x_BTE.ndim == 3 and x_BTE.shape[2] == block.input_size and 0 not in x_BTE.shape
    rule = f"must have the shape [B, T, {block.input_size}], with no side empty"
    require(fits, "inputs_BTE", x_BTE.shape, rule, "give inputs of the block's input_size")
    B, T, _ = x_BTE.shape
    state = block.initial_state(B) if state is None else check_state(state, block.initial_state(B))
    lengths, layers = check_lengths(lengths, B, T), block.ready()
    x_TBE = np.ascontiguousarray(x_BTE.swapaxes(0, 1), block.dtype)
    if lengths is not None:
        x_TBE = np.where((np.arange(T)[:, None] < lengths)[:, :, None], x_TBE, block.dtype.type(0))
    dropout = dropout_draw(layers.dropout, dropout_key, streams, B)
    return layers, x_TBE, state, Pass(check_resets(reset_BT, B, T), lengths, dropout)


def _require_block(block: object) -> None:
    fits = isinstance(block, Block)
    require(fits, "cell", block, "must be a cell or a stack of cells", "give GRU(...) or the like")


def _turned(array: Array) -> Array:
    """[T,B,...] to [B,T,...] and back."""
    return np.ascontiguousarray(array.swapaxes(0, 1))


def _check_cells(cells: tuple[Cell, ...]) -> None:
    require(len(cells) > 0, "cells", [], "must hold at least one cell", "give a list of cells")
    for cell in cells:
        require(isinstance(cell, Cell), "cells", cell, "must be cells", "give GRU(...) and the like")
    for below, above in pairwise(cells):
        fits = above.input_size == below.hidden_size and above.dtype == below.dtype
        both = (
            f"a cell of input_size {above.input_size} ({above.dtype}) over one of hidden_size "
            f"{below.hidden_size} ({below.dtype})"
        )
        advice = "make each input_size the hidden_size below it, with one dtype"
        require(fits, "cells", both, "must fit one another", advice)
    fits, rule = len(set(map(id, cells))) == len(cells), "must be different: each layer has its own weights"
    require(fits, "cells", f"{len(cells)} with one repeated", rule, "build one cell per layer")
