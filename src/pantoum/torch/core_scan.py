"""A cell over a chunk of time steps on a CPU: the scan of pantoum's own core, as a function of autograd.

PyTorch has no fused GRU or RNN for a CPU: ``nn.GRU`` is some 45 operations per time step there, both ways.
The core has every cell, resets and lengths in one call each way. It takes the input projection: PyTorch
multiplies by ``weight_ih``.

Shapes: T time steps, B rows (streams), H units, G gate rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pantoum.config import CellSpec
from pantoum.kernels import Array, backend, without_core
from pantoum.kernels import State as KernelState
from pantoum.torch.chunk_rows import ChunkRows
from pantoum.torch.steps import State

__all__ = ["core_scan", "in_core"]


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
        ctx.of_forward = spec, tuple(packed), kept
        return _tensor(outputs_TBH), *map(_tensor, last if isinstance(last, tuple) else (last,))

    @staticmethod
    def backward(ctx: Any, d_outputs_TBH: Tensor, *d_state: Tensor) -> tuple[Tensor | None, ...]:
        spec, packed, kept = ctx.of_forward
        parts = tuple(_array(part) for part in d_state)
        d_projection_TBG, d_state0, d_weight_hh, d_bias_H = backend(np.float32).scan_vjp(
            spec, kept, packed, _array(d_outputs_TBH), _state(parts)
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
