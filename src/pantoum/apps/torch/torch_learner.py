"""One member as it trains in PyTorch: what ``training.update.learner`` is for the core, with the same arrays.

Everything stays on the device between steps: weights, optimiser, averaged weights, the usual size of the
gradients. ``arrays`` has them under the names of a checkpoint.

Shapes: B streams, T time steps, V symbols, R rows of a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pantoum.apps.torch.cell_module import CellModule, State
from pantoum.apps.torch.conversion import state_from_torch
from pantoum.apps.torch.language_module import LanguageModule
from pantoum.apps.torch.tensor_sums import GradientSums, TensorRanks
from pantoum.apps.torch.torch_optimizer import TorchOptimizer
from pantoum.errors import CheckpointError
from pantoum.seams import GRADIENT_SCALE_EVERY as EVERY
from pantoum.seams import GRADIENT_SCALE_WINDOW as WINDOW
from pantoum.seams import MOST_STEPS, Array, NetworkState, Recipe, Share, map_blocks, pulled, require_arrays
from pantoum.seams import names_of_role as named

__all__ = ["TorchLearner"]

STEPS = "optimizer.steps"


class TorchLearner:
    """A module of one member, and what changes it. ``restore`` fills it."""

    def __init__(self, recipe: Recipe, vocab_size: int, seed: int, device: str) -> None:
        self.module = LanguageModule(vocab_size, recipe.model).to(device)
        self.module.use_sparse_gradients()
        if torch.device(device).type == "cuda":
            for cell in self.module.modules():
                if isinstance(cell, CellModule):
                    cell.compiled = True
        self.gradient_norm = 0.0
        """The norm of all gradients of the last batch together, before clipping."""
        self._device, self._seed, self._precision = torch.device(device).type, seed, recipe.precision
        self._sums: GradientSums | None = None
        self._share = 1.0
        self._parameters: dict[str, Tensor] = dict(self.module.named_parameters())
        blocks, tables = map_blocks(recipe.model), named(recipe.model, "table")
        self._optimizer = TorchOptimizer(
            self._parameters, recipe.optimizer, recipe.weight_decay, blocks, tables
        )
        self._decay, self._targets = recipe.average, 0
        averaged = {} if recipe.average is None else self._parameters
        self._averaged = {
            name: tensor.detach().clone() for name, tensor in averaged.items() if name not in tables
        }
        self._pull, moved = recipe.pull, pulled(recipe.model, self._parameters) if recipe.pull else {}
        self._moved = list(moved.values())
        self._origin = {name: tensor.detach().clone() for name, tensor in moved.items()}
        self._squares = {name: tensor.new_zeros(len(tensor)) for name, tensor in self._parameters.items()}

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        return state_from_torch(self.module.initial_state(batch_size))

    def join(self, ranks: TensorRanks, share: Share) -> None:
        """From now on the rows of a batch are those of the share, and other ranks have the others."""
        rows = share.shards.streams(share.own)
        self._sums = GradientSums(ranks, self._parameters)
        self._share = (rows.stop - rows.start) / share.shards.batch_size
        self._optimizer.join(ranks, share)

    def gradients(
        self, inputs_BT: Tensor, targets_BT: Tensor, reset_BT: Tensor | None, state: State, step: int,
        streams: Tensor,
    ) -> tuple[float, float, State]:  # fmt: skip
        """Forward and backward pass over the rows of a batch; the gradients, those of the whole batch, stay
        with the parameters. The loss is that of the rows."""
        self.module.zero_grad(set_to_none=True)
        key = self._seed, step
        with torch.autocast(self._device, torch.bfloat16, enabled=self._precision == "bf16"):
            nats_BT, hits_BT, after = self.module.scores(
                inputs_BT, targets_BT, state, reset_BT=reset_BT, dropout_key=key, streams=streams
            )
        loss = nats_BT.mean()
        (loss * self._share).backward()
        self._targets = round(targets_BT.numel() / self._share)
        with torch.no_grad():
            if self._sums is not None:
                self._sums.finish()
            for tensor in self._parameters.values():
                if tensor.grad.is_sparse:  # clipping then scales the values that the gradient holds
                    tensor.grad = tensor.grad.coalesce()
            accuracy = hits_BT.double().mean()
            norms = torch._foreach_norm([_values(each) for each in self._parameters.values()])
            norm = torch.linalg.vector_norm(torch.stack(norms))
            carried = tuple(part.detach().float() for part in after)
            # One transfer, for which the host waits, in place of three.
            facts = torch.stack([loss.detach().double(), accuracy, norm.double()]).tolist()
        self.gradient_norm = facts[2]
        return facts[0], facts[1], carried

    def update(self, rate: float, clip: float | None) -> None:
        """Clip by norm, one step of the optimiser, one of the average."""
        factor = 1.0 if clip is None or self.gradient_norm <= clip else clip / self.gradient_norm
        with torch.no_grad():
            if factor != 1.0:
                torch._foreach_mul_([_values(each) for each in self._parameters.values()], factor)
            self._collect()
            self._optimizer.step(rate)
            if self._origin:
                torch._foreach_lerp_(self._moved, list(self._origin.values()), min(1.0, rate * self._pull))
            if self._decay is not None:
                count = self._optimizer.steps
                decay = min(self._decay, (1.0 + count) / (10.0 + count))
                current = [self._parameters[name] for name in self._averaged]
                torch._foreach_lerp_(list(self._averaged.values()), current, 1.0 - decay)

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters, or their running average (``None`` without one); to be copied to be kept."""
        if averaged and self._decay is None:
            return None
        found = {**self._parameters, **(self._averaged if averaged else {})}
        return {name: _array(tensor) for name, tensor in found.items()}

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient."""
        return {name: np.sqrt(_array(squares_R)) for name, squares_R in self._squares.items()}

    def arrays(self) -> dict[str, Array]:
        """Everything, under ``weights.``, ``averaged.``, ``optimizer.``, ``scale.`` and ``origin.``."""
        counted = {STEPS: np.array([self._optimizer.steps], np.int64)}
        return {**{name: _array(tensor) for name, tensor in self._tensors().items()}, **counted}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put everything back, in place."""
        own = self.arrays()
        require_arrays(own, arrays)
        steps = int(arrays[STEPS][0])
        if not 0 <= steps <= MOST_STEPS:
            raise CheckpointError(
                f"checkpoint array {STEPS} is {steps}: must be from 0 to {MOST_STEPS:,}; resume from another "
                "checkpoint"
            )
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(torch.from_numpy(np.array(arrays[name])))
        self._optimizer.restored(steps)

    def _tensors(self) -> dict[str, Tensor]:
        parts: dict[str, Mapping[str, Tensor]] = {
            "weights": self._parameters,
            "averaged": self._averaged,
            "optimizer": self._optimizer.arrays(),
            "scale": self._squares,
            "origin": self._origin,
        }
        return {f"{part}.{name}": tensor for part, held in parts.items() for name, tensor in held.items()}

    def _collect(self) -> None:
        """``GradientScale`` for the clipped gradients."""
        steps = self._optimizer.steps
        if steps % EVERY:
            return
        share = 1.0 / min(steps // EVERY + 1, WINDOW)
        for name, squares_R in self._squares.items():
            tensor = self._parameters[name]
            values = _values(tensor)
            columns = tensor.numel() // len(tensor)
            norms = torch.linalg.vector_norm(values.reshape(len(values), -1), dim=1)
            sums = norms.square() * (share * self._targets / columns)
            squares_R.mul_(1.0 - share)
            if tensor.grad.is_sparse:
                squares_R.index_add_(0, tensor.grad.coalesce().indices()[0], sums)
            else:
                squares_R.add_(sums)


def _values(parameter: Tensor) -> Tensor:
    """The gradient, or the values of one that is of some rows."""
    gradient = parameter.grad
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _array(tensor: Tensor) -> Array:
    """The numbers; on the CPU the memory is that of the tensor."""
    found: Array = tensor.detach().cpu().numpy()
    return found
