"""A recurrent cell over a chunk of time steps, as a module with the parameter names of ``network.stack``.

There are several implementations of one function. On a CPU pantoum's core computes the recurrence
(``core_scan``). Elsewhere, and in float64, it is PyTorch's own module where there is one (cuDNN on a GPU),
over the pieces between resets (``rows``); minGRU is a scan in log2(T) passes; GRU with the reset before the
product is a loop over time steps, each compiled on a GPU. ``torch.compile`` and ``torch.export`` take the
scan operator of PyTorch, so a graph is whole and does not depend on the number of time steps.

Shapes: T time steps, B rows (streams), E inputs, H units, G gate rows, P places, S sequences.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad
from torch.nn.utils.rnn import PackedSequence

from pantoum.config import CellSpec
from pantoum.torch.chunk_rows import ChunkRows
from pantoum.torch.core_scan import core_scan, in_core
from pantoum.torch.steps import State, doubling, loop, scan_operator, step_of

__all__ = ["CellModule"]


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
