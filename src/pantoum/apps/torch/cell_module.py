"""Recurrent cells over a chunk of time steps, as modules with the parameter names of ``network.stack``.

GRU, LSTM and RNN are PyTorch's own modules (cuDNN on a GPU), called once for each stretch between two time
steps at which a row is reset or ends. Every cell is also a loop over time steps, made of the equations of
``kernels/reference/<cell>.py`` with tensors; a step of it can be compiled. ``torch.compile`` and
``torch.export`` take the scan operator of PyTorch, so a graph is whole and does not depend on the number of
time steps.

A ``StackModule`` has between its cells what ``network.stack`` has, in the same order. The dropout masks are
those of ``kernels.reference.dropout``, drawn on the device of a tensor. A mask is a function of (seed, step,
layer, stream, position, unit), so a run that moves from one engine to the other keeps its masks. The hash
works modulo 2^32, here in 64-bit integers.

Shapes: T time steps, B rows (streams), E inputs, H units, G gate rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from pantoum.seams import CELLS, CellSpec, DropoutDraw, ModelConfig, dropout_threshold, equations
from pantoum.seams import DROPOUT_FIRST as FIRST
from pantoum.seams import DROPOUT_GOLDEN as GOLDEN
from pantoum.seams import DROPOUT_LEVELS as LEVELS
from pantoum.seams import DROPOUT_SECOND as SECOND
from pantoum.seams import DROPOUT_START as START
from pantoum.seams import CellInputs as Given

__all__ = ["NO_TENSORS", "CellModule", "Rows", "StackModule", "State"]

State = tuple[Tensor, ...]
"""The parts of the state [B,H]: (h,) or (h, c)."""
Step = Callable[[Tensor, State, "Tensor | None", "Tensor | None"], State]
"""From the input projection, which has every bias that merely adds, the state before the step, the weights of
the state and the bias of the last gate's product (GRU): the state after it."""
NO_TENSORS: State = ()
WORD = 0xFFFFFFFF


class Rows:
    """Where rows of a chunk are reset (``reset_TB``), and their lengths; ``None``: nowhere, and all are T."""

    def __init__(
        self, tokens_TB: Tensor, reset_TB: Tensor | None = None, lengths_B: Tensor | None = None
    ) -> None:
        """They live where the tokens are; resets may be given in the memory of the host."""
        self.steps, device = tokens_TB.shape[0], tokens_TB.device
        self._given_TB = reset_TB
        self.reset_TB = None if reset_TB is None else reset_TB.to(device)
        self.lengths_B = None if lengths_B is None else lengths_B.to(device)

    @property
    def going_TB(self) -> Tensor | None:
        """Whether a place is within its row; ``None``: all are."""
        if self.lengths_B is None:
            return None
        return torch.arange(self.steps, device=self.lengths_B.device)[:, None] < self.lengths_B

    @cached_property
    def stretches(self) -> list[tuple[int, int]]:
        """The time steps between which no row is reset or ends. A GPU is waited for if the resets were given
        there, or lengths."""
        borders = {0, self.steps}
        if self._given_TB is not None:
            borders.update(self._given_TB.any(dim=1).nonzero().flatten().tolist())
        if self.lengths_B is not None:
            borders.update(self.lengths_B.clamp(max=self.steps).tolist())
        return list(pairwise(sorted(borders)))


def step_of(cell: CellSpec) -> Step:
    """The time step of a cell, from its equations."""
    of_cell = equations(cell)

    def step(x_BG: Tensor, state: State, weight_hh: Tensor | None, bias_H: Tensor | None) -> State:
        h, inputs = state[0], x_BG.chunk(len(cell.gates), dim=1)
        sums: tuple[Tensor, ...] = ()
        early: Sequence[Tensor] = ()
        if weight_hh is not None:
            first, *second = weight_hh.split([gates * h.shape[1] for gates in cell.products])
            sums = linear(h, first).chunk(cell.products[0], dim=1)
            if second:
                early, operand = of_cell.early(_given(sums, inputs, h))
                sums += linear(operand, second[0]).chunk(cell.products[1], dim=1)
        found = of_cell.forward(_given(sums, inputs, h, state[-1], bias_H, early))
        return (found.h,) if found.c is None else (found.h, found.c)

    return step


def _given(
    sums: Sequence[Tensor],
    inputs: Sequence[Tensor],
    h: Tensor,
    c: Any = None,
    bias: Any = None,
    early: Any = (),
) -> Given:
    """What the equations of a step begin with."""
    return Given(sums, inputs, h, c, bias, early, torch.sigmoid, torch.tanh)


@lru_cache
def compiled_step(cell: str) -> Step:
    """The time step of the cell of this name as one compiled function."""
    found: Step = torch.compile(step_of(CELLS[cell]))
    return found


def _loop(
    step: Step, projection_TBG: Tensor, state: State, weights: tuple[Tensor | None, Tensor | None], rows: Rows
) -> tuple[Tensor, State]:
    """(outputs [T,B,H], state), one time step after the other."""
    outputs: list[Tensor] = []
    going_TB = rows.going_TB
    resets = [None] * rows.steps if rows.reset_TB is None else rows.reset_TB.unbind()
    goings = [None] * rows.steps if going_TB is None else going_TB.unbind()
    for x_BG, reset_B, going_B in zip(projection_TBG.unbind(), resets, goings, strict=True):
        output_BH, state = _row_step(step, x_BG, state, weights, reset_B, going_B)
        outputs.append(output_BH)
    return torch.stack(outputs), state


def _scan_operator(
    step: Step, projection_TBG: Tensor, state: State, weights: tuple[Tensor | None, Tensor | None], rows: Rows
) -> tuple[Tensor, State]:
    """What ``_loop`` gives, as one node of a graph, whose number of time steps stays open."""
    from torch._higher_order_ops.scan import scan

    going_TB = rows.going_TB
    over = [each for each in (projection_TBG, rows.reset_TB, going_TB) if each is not None]
    has_reset = rows.reset_TB is not None

    def combine(carried: State, now: list[Tensor]) -> tuple[State, Tensor]:
        reset_B = now[1] if has_reset else None
        going_B = now[-1] if going_TB is not None else None
        output_BH, after = _row_step(step, now[0], carried, weights, reset_B, going_B)
        return tuple([part.clone() for part in after]), output_BH.clone()  # nothing may share memory

    after, outputs_TBH = scan(combine, tuple(state), over)
    return outputs_TBH, tuple(after)


def _row_step(
    step: Step, x_BG: Tensor, state: State, weights: tuple[Tensor | None, Tensor | None],
    reset_B: Tensor | None, going_B: Tensor | None,
) -> tuple[Tensor, State]:  # fmt: skip
    """(output, state). A reset zeroes the state of a row before the step; past the length of a row its output
    is zero and its state is copied through."""
    before = state
    if reset_B is not None:
        state = tuple([part.masked_fill(reset_B[:, None], 0.0) for part in state])
    state = step(x_BG, state, *weights)
    if going_B is None:
        return state[0], state
    after = tuple([torch.where(going_B[:, None], new, old) for new, old in zip(state, before, strict=True)])
    return state[0] * going_B[:, None], after


class CellModule(nn.Module):
    """A recurrent cell. Its parameters are uninitialised; ``to_torch`` fills them."""

    def __init__(self, spec: CellSpec, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.spec, self.hidden_size = spec, hidden_size
        gate_rows = len(spec.gates) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(gate_rows, input_size))
        if spec.products:
            self.weight_hh = nn.Parameter(torch.empty(gate_rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(gate_rows))
        if spec.hidden_bias:
            self.bias_hh = nn.Parameter(torch.empty(gate_rows))
        # In a list, so that its parameters, which are the ones above, have no second name.
        self._modules_of_torch = (
            [] if spec.torch is None else [getattr(nn, spec.torch)(input_size, hidden_size, device="meta")]
        )
        self._step = step_of(spec)  # here: what looks for modules cannot be traced
        self._flat_at: tuple[int, ...] = ()
        self.fused = True
        """False: not PyTorch's module, but always the loop."""
        self.compiled = False
        """Whether a time step of the loop is one compiled function."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_step": None}  # a function within a function is not pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._step = step_of(self.spec)

    def forward(self, x_TBE: Tensor, state: State, rows: Rows) -> tuple[Tensor, State]:
        """(outputs [T,B,H], state). A reset zeroes the state of a row before the step; past the length of a
        row its outputs are zero and its state is copied through."""
        traced = torch.compiler.is_compiling()
        if self.fused and not traced and self._modules_of_torch:
            return self._by_module(x_TBE, state, rows)
        projection_TBG = linear(x_TBE, self.weight_ih, self._input_bias())
        weights = (
            self.weight_hh if self.spec.products else None,
            self.bias_hh[-self.hidden_size :] if self.spec.biased else None,
        )
        if traced:
            return _scan_operator(self._step, projection_TBG, state, weights, rows)
        step = compiled_step(self.spec.name) if self.compiled else self._step
        return _loop(step, projection_TBG, state, weights, rows)

    def _by_module(self, x_TBE: Tensor, state: State, rows: Rows) -> tuple[Tensor, State]:
        """PyTorch's module, whose states have a dimension of layers and are a tensor if there is one part."""
        module, outputs, reset_TB, going_TB = self._linked(), list[Tensor](), rows.reset_TB, rows.going_TB
        for first, end in rows.stretches:
            begun, before = state, state
            if reset_TB is not None:
                begun = tuple([part.masked_fill(reset_TB[first][:, None], 0.0) for part in state])
            parts = tuple(part.unsqueeze(0) for part in begun)
            outputs_TBH, after = module(x_TBE[first:end], parts if len(parts) > 1 else parts[0])
            state = tuple(part[0] for part in (after if len(parts) > 1 else (after,)))
            if going_TB is not None:  # a row ends at the border of a stretch alone
                goes_B1 = going_TB[first][:, None]
                outputs_TBH = outputs_TBH * goes_B1
                state = tuple(
                    [torch.where(goes_B1, new, old) for new, old in zip(state, before, strict=True)]
                )
            outputs.append(outputs_TBH)
        return torch.cat(outputs), state

    def _input_bias(self) -> Tensor:
        """All biases that merely add."""
        if not self.spec.hidden_bias:
            return self.bias_ih
        if not self.spec.biased:
            return self.bias_ih + self.bias_hh
        return self.bias_ih + pad(self.bias_hh[: -self.hidden_size], (0, self.hidden_size))

    def _linked(self) -> nn.Module:
        """PyTorch's module with the parameters of this one, which ``load_state_dict`` may have replaced."""
        module, own = self._modules_of_torch[0], dict(self.named_parameters(recurse=False))
        for name, parameter in own.items():
            if getattr(module, f"{name}_l0") is not parameter:
                setattr(module, f"{name}_l0", parameter)
        if self.weight_ih.is_cuda:  # cuDNN reads all weights from one buffer
            places = tuple(parameter.data_ptr() for parameter in own.values())
            if places != self._flat_at:
                module.flatten_parameters()
                self._flat_at = tuple(parameter.data_ptr() for parameter in own.values())
        return module


class StackModule(nn.ModuleList):
    """The layers of one member."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        sizes = [input_size] + [config.hidden_size] * (config.num_layers - 1)
        super().__init__(CellModule(CELLS[config.cell], size, config.hidden_size) for size in sizes)
        self.config = config

    def forward(
        self,
        x_TBE: Tensor,
        state: State,
        rows: Rows,
        draw: DropoutDraw | None,
        symbols_TB: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """(outputs [T,B,H], the parts of the state of all layers in order). Variational masks of the inputs
        are those of the streams, or of the symbols, where these are given."""
        dropout, parts, after = self.config.dropout, len(CELLS[self.config.cell].state), NO_TENSORS
        rates = [dropout.inputs, *[dropout.between] * (len(self) - 1), dropout.outputs]
        first = draw
        if draw is not None and draw.variational and symbols_TB is not None:
            first = draw._replace(streams_B=symbols_TB)
        for number, layer in enumerate(self):
            own = state[number * parts : (number + 1) * parts]
            each = draw if number else first
            x_TBE, last = layer(self._dropped(x_TBE, rates[number], number, each), own, rows)
            after += last
        return self._dropped(x_TBE, rates[-1], len(self), draw), after

    def _dropped(self, x_TBH: Tensor, rate: float, layer: int, draw: DropoutDraw | None) -> Tensor:
        """The units that are kept, scaled; the others are 0."""
        if draw is None or not rate:
            return x_TBH
        (T, _, H), device, threshold = x_TBH.shape, x_TBH.device, dropout_threshold(rate)
        key = torch.full((1,), START, dtype=torch.int64, device=device)
        for word in (draw.seed & WORD, draw.seed >> 32, draw.step, layer):
            key = _mix(key ^ (word & WORD))
        streams = _mix(key ^ (draw.streams_B.to(device) & WORD))
        positions_T = torch.arange(1 if draw.variational else T, device=device)
        rows_TB = _mix(streams ^ positions_T[:, None])
        units_H = torch.arange(H, device=device)
        words_TBH = _mix((rows_TB[:, :, None] + (units_H >> 1) * int(GOLDEN)) & WORD)
        draws_TBH = (words_TBH >> 16 * (units_H & 1)) & 0xFFFF
        scale = LEVELS / (LEVELS - threshold)
        return x_TBH * ((draws_TBH >= threshold).to(x_TBH.dtype) * scale)


def _mix(x: Tensor) -> Tensor:
    """Wellons's lowbias32."""
    x = x ^ (x >> 16)
    x = (x * int(FIRST)) & WORD
    x = x ^ (x >> 15)
    x = (x * int(SECOND)) & WORD
    return x ^ (x >> 16)
