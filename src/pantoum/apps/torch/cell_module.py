"""Recurrent cells over a chunk of time steps, as modules with the parameter names of ``network.stack``.

There are several implementations of one function. On a CPU pantoum's core computes the recurrence
(``core_scan``), as a function of autograd: PyTorch has no fused GRU or RNN for a CPU, where ``nn.GRU`` is
some 45 operations per time step, both ways. The core has every cell, resets and lengths in one call each way.
It takes the input projection: PyTorch multiplies by ``weight_ih``. Elsewhere, and in float64, it is PyTorch's
own module where there is one (cuDNN on a GPU), over the pieces between resets (``rows``); minGRU is a scan in
log2(T) passes; GRU with the reset before the product is a loop over time steps, each compiled on a GPU.
``torch.compile`` and ``torch.export`` take the scan operator of PyTorch, so a graph is whole and does not
depend on the number of time steps.

A ``StackModule`` has between its cells what ``network.stack`` has, in the same order. The dropout masks are
those of ``kernels.reference.dropout``, drawn on the device of a tensor. A mask is a function of (seed, step,
layer, stream, position, unit), so a run that moves from one engine to the other keeps its masks. The hash
works modulo 2^32, here in 64-bit integers.

Shapes: T time steps, B rows (streams), E inputs, H units, G gate rows, P places, S sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad
from torch.nn.utils.rnn import PackedSequence

from pantoum.apps.torch.chunk_rows import ChunkRows
from pantoum.apps.torch.steps import State, doubling, loop, scan_operator, step_of
from pantoum.seams import (
    CELLS,
    Array,
    CellSpec,
    DropoutDraw,
    KernelState,
    ModelConfig,
    backend,
    dropout_threshold,
    without_core,
)
from pantoum.seams import DROPOUT_FIRST as FIRST
from pantoum.seams import DROPOUT_GOLDEN as GOLDEN
from pantoum.seams import DROPOUT_LEVELS as LEVELS
from pantoum.seams import DROPOUT_SECOND as SECOND
from pantoum.seams import DROPOUT_START as START

__all__ = ["CellModule", "StackModule"]


def in_core(x_TBE: Tensor) -> bool:
    """Whether the core can compute from this tensor: one in memory, of numbers of 32 bits or fewer."""
    plain = type(x_TBE) in (Tensor, nn.Parameter) and not torch.jit.is_tracing()
    return plain and x_TBE.device.type == "cpu" and x_TBE.dtype != torch.float64 and without_core() is None


def core_scan(
    spec: CellSpec,
    projection_TBG: Tensor,
    state: State,
    weight_hh: Tensor | None,
    bias_H: Tensor | None,
    rows: ChunkRows,
) -> tuple[Tensor, State]:
    """(outputs [T,B,H], state). The projection is overwritten: nothing else may need it."""
    projection_TBG = projection_TBG.float().contiguous()
    outputs_TBH, *after = _Scan.apply(
        (spec, rows, torch.is_grad_enabled()),
        projection_TBG,
        weight_hh,
        bias_H,
        *(part.float() for part in state),
    )
    return outputs_TBH, tuple(after)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, how: tuple[CellSpec, ChunkRows, bool], projection_TBG: Tensor,
        weight_hh: Tensor | None, bias_H: Tensor | None, *state: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        spec, rows, tape = how
        kernels, packed, start = backend(np.float32), [], 0
        for gates in spec.products:
            end = start + gates * projection_TBG.shape[2] // len(spec.gates)
            packed.append(kernels.pack(_array(weight_hh)[start:end], gates=gates))
            start = end
        parts = tuple(_array(part) for part in state)
        outputs_TBH, last, kept = kernels.scan(
            spec,
            _array(projection_TBG),
            _state(parts),
            tuple(packed),
            None if bias_H is None else _array(bias_H),
            None if rows.reset_TB is None else _array(rows.reset_TB),
            None if rows.lengths_B is None else _array(rows.lengths_B),
            tape,
        )
        ctx.tape = kept
        return _tensor(outputs_TBH), *map(_tensor, last if isinstance(last, tuple) else (last,))

    @staticmethod
    def backward(ctx: Any, d_outputs_TBH: Tensor, *d_state: Tensor) -> tuple[Tensor | None, ...]:
        parts = tuple(_array(part) for part in d_state)
        d_projection_TBG, d_state0, d_weight_hh, d_bias_H = backend(np.float32).scan_vjp(
            ctx.tape, _array(d_outputs_TBH), _state(parts)
        )
        found = (d_projection_TBG, d_weight_hh, d_bias_H, *(d_state0 if len(parts) > 1 else (d_state0,)))
        return None, *(None if each is None else _tensor(each) for each in found)


def _state(parts: tuple[Array, ...]) -> KernelState:
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def _array(tensor: Tensor) -> Array:
    """The numbers, in the tensor's memory where they lie in order there."""
    return np.ascontiguousarray(tensor.detach().numpy())


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(array)


class CellModule(nn.Module):
    """A recurrent cell. Its parameters are uninitialised; ``convert.to_torch`` fills them."""

    def __init__(self, spec: CellSpec, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.spec, self.hidden_size = spec, hidden_size
        self._step = self._plain_step = step_of(spec)
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
        self._flat_at: tuple[int, ...] = ()
        self.core = True
        """Whether pantoum's core computes on a CPU; false: PyTorch alone, as on a GPU."""
        self.fused = True
        """False: neither the core nor what PyTorch has for a whole chunk, but always the loop."""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle keeps: functions are made again."""
        return {name: own for name, own in vars(self).items() if name not in ("_step", "_plain_step")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._step = self._plain_step = step_of(self.spec)

    def compile_step(self) -> None:
        """From now on a time step of the loop is one compiled function, where it is computed by the loop."""
        self._step = torch.compile(self._step)

    def forward(self, x_TBE: Tensor, state: State, rows: ChunkRows) -> tuple[Tensor, State]:
        """(outputs [T,B,H], state). A reset zeroes the state of a row before the step; past the length of a
        row its outputs are zero and its state is copied through."""
        traced = torch.compiler.is_compiling()
        fused = self.fused and not traced
        core = fused and self.core and in_core(x_TBE)
        if fused and not core and self._modules_of_torch:
            return self._by_module(x_TBE, state, rows)
        projection_TBG = linear(x_TBE, self.weight_ih, self._input_bias())
        weight_hh = self.weight_hh if self.spec.products else None
        bias_H = self.bias_hh[-self.hidden_size :] if self.spec.biased else None
        if core:
            return core_scan(self.spec, projection_TBG, state, weight_hh, bias_H, rows)
        if fused and not self.spec.products:
            return doubling(projection_TBG, state, rows)
        if traced:
            return scan_operator(self._plain_step, projection_TBG, state, weight_hh, bias_H, rows)
        return loop(self._step, projection_TBG, state, weight_hh, bias_H, rows)

    def _by_module(self, x_TBE: Tensor, state: State, rows: ChunkRows) -> tuple[Tensor, State]:
        if rows.whole:
            outputs_TBH, after = self._call(x_TBE, state)
            return outputs_TBH, after
        pieces = rows.packing
        x_PE = x_TBE.flatten(0, 1)[pieces.places_P]
        begun = tuple(pad(part, (0, 0, 0, 1))[pieces.rows_S] for part in state)
        packed, after = self._call(PackedSequence(x_PE, pieces.batch_sizes), begun)
        outputs_PH = packed.data
        if rows.lengths_B is not None:
            outputs_PH = pad(outputs_PH, (0, 0, 0, 1))
            after = tuple(torch.cat([end, part]) for end, part in zip(after, state, strict=True))
        outputs_TBH = outputs_PH[pieces.back_TB].unflatten(0, x_TBE.shape[:2])
        return outputs_TBH, tuple(end[pieces.last_B] for end in after)

    def _call(self, x: Tensor | PackedSequence, state: State) -> tuple[Tensor | PackedSequence, State]:
        """PyTorch's module, whose states have a dimension of layers and are a tensor if there is one part."""
        parts = tuple(part.unsqueeze(0) for part in state)
        outputs, after = self._linked()(x, parts if len(parts) > 1 else parts[0])
        return outputs, tuple(part[0] for part in (after if len(parts) > 1 else (after,)))

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


WORD = 0xFFFFFFFF
NO_TENSORS: State = ()


class StackModule(nn.ModuleList):
    """The layers of one member."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        sizes = [input_size] + [config.hidden_size] * (config.num_layers - 1)
        super().__init__(CellModule(CELLS[config.cell], size, config.hidden_size) for size in sizes)
        self.config = config

    def forward(
        self, x_TBE: Tensor, state: State, rows: ChunkRows, draw: DropoutDraw | None
    ) -> tuple[Tensor, State]:
        """(outputs [T,B,H], the parts of the state of all layers in order)."""
        dropout, parts, after = self.config.dropout, len(CELLS[self.config.cell].state), NO_TENSORS
        rates = [dropout.inputs, *[dropout.between] * (len(self) - 1), dropout.outputs]
        for number, layer in enumerate(self):
            own = state[number * parts : (number + 1) * parts]
            x_TBE, last = layer(self._dropped(x_TBE, rates[number], number, draw), own, rows)
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
        stream_B = _mix(key ^ (draw.streams_B.to(device) & WORD))
        positions_T = torch.arange(1 if draw.variational else T, device=device)
        rows_TB = _mix(stream_B[None, :] ^ positions_T[:, None])
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
