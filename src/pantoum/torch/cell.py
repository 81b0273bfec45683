"""A recurrent cell over a chunk of time steps, as a module with the parameter names of ``network.stack``.

There are two implementations of the same function. Where PyTorch has the cell, its own module computes a
span of time steps in one call: cuDNN on a GPU, native code on a CPU. Otherwise the time steps are a loop. The
loop also computes rows of different lengths, and chunks in which documents begin so often that spans would be
short. ``compile_step`` compiles one step of the loop, which takes as long for a long chunk as for a short
one; ``torch.compile`` of the whole module unrolls all steps.

Shapes: T time steps, B rows (streams), E inputs, H units, G gate rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from pantoum.config import CellSpec
from pantoum.torch.equations import State, step_of

__all__ = ["Cell"]

SHORTEST_SPAN = 4
"""Time steps per span, on average, for which PyTorch's module is used."""


class Cell(nn.Module):
    """A recurrent cell. Its parameters are uninitialised; ``convert.to_torch`` fills them."""

    def __init__(self, spec: CellSpec, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.spec, self.hidden_size, self._step = spec, hidden_size, step_of(spec)
        rows = len(spec.gates) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        if spec.products:
            self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        if spec.hidden_bias:
            self.bias_hh = nn.Parameter(torch.empty(rows))
        # In a list, so that its parameters, which are the ones above, have no second name.
        self._modules_of_torch = (
            [] if spec.torch is None else [getattr(nn, spec.torch)(input_size, hidden_size, device="meta")]
        )
        self._flat_at: tuple[int, ...] = ()
        self.fused = True
        """Whether PyTorch's module is used where there is one; false: always the loop."""

    def compile_step(self) -> None:
        """From now on a time step of the loop is one compiled function, where it is computed by the loop."""
        self._step = torch.compile(self._step)

    def forward(
        self,
        x_TBE: Tensor,
        state: State,
        reset_TB: Tensor | None = None,
        lengths_B: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """(outputs [T,B,H], state). A reset zeroes the state of a row before the step; past the length of a
        row its outputs are zero and its state is copied through."""
        if self.fused and self._modules_of_torch and lengths_B is None:
            starts = _span_starts(reset_TB)
            if len(starts) * SHORTEST_SPAN <= len(x_TBE) or len(starts) == 1:
                return self._by_spans(x_TBE, state, reset_TB, starts)
        return self._by_steps(x_TBE, state, reset_TB, lengths_B)

    def _by_spans(
        self, x_TBE: Tensor, state: State, reset_TB: Tensor | None, starts: list[int]
    ) -> tuple[Tensor, State]:
        module, outputs = self._linked(), []
        for start, end in zip(starts, [*starts[1:], len(x_TBE)], strict=True):
            if reset_TB is not None:
                state = tuple(part.masked_fill(reset_TB[start, :, None], 0.0) for part in state)
            parts = tuple(part.unsqueeze(0).contiguous() for part in state)
            found_TBH, after = module(x_TBE[start:end], parts if len(parts) > 1 else parts[0])
            state = tuple(part[0] for part in (after if len(parts) > 1 else (after,)))
            outputs.append(found_TBH)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs), state

    def _by_steps(
        self, x_TBE: Tensor, state: State, reset_TB: Tensor | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, State]:
        projection_TBG, outputs = linear(x_TBE, self.weight_ih, self._input_bias()), []
        weight_hh = self.weight_hh if self.spec.products else None
        bias_H = self.bias_hh[-self.hidden_size :] if self.spec.biased else None
        for t in range(len(x_TBE)):
            before = state
            if reset_TB is not None:
                state = tuple(part.masked_fill(reset_TB[t, :, None], 0.0) for part in state)
            state = self._step(projection_TBG[t], state, weight_hh, bias_H)
            output_BH = state[0]
            if lengths_B is not None:
                going_B1 = (t < lengths_B)[:, None]
                output_BH = torch.where(going_B1, output_BH, 0.0)
                state = tuple(map(torch.where, (going_B1,) * len(state), state, before))
            outputs.append(output_BH)
        return torch.stack(outputs), state

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


def _span_starts(reset_TB: Tensor | None) -> list[int]:
    """The steps at which a span begins: the first one, and those before which a row is reset."""
    if reset_TB is None:
        return [0]
    return sorted({0, *torch.nonzero(reset_TB.any(dim=1)).flatten().tolist()})
