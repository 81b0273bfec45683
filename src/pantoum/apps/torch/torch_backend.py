"""``training.update.backend`` in PyTorch, on the CPU or on a GPU.

The loop, the guard, evaluation and saving know nothing of it. Snapshots have the names and shapes of the
core's, so a run can be started on one engine and resumed on the other; the losses then agree within rounding,
and no bit is promised. The loss is always that of all symbols, where the core may sample them.

On several ranks each computes its rows of a batch in one pass, whatever the number of shards, and the
gradients of all ranks are summed where they are (``tensor_sums``).

A learner trains one member, and everything of it stays on the device between steps: weights, optimiser,
averaged weights, the usual size of the gradients. ``arrays`` has them under the names of a checkpoint.
``engine`` says for ``--device`` whether a run trains in PyTorch, and on which device.

Shapes: B streams, T time steps, R rows of a parameter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pantoum.apps.torch.cell_module import CellModule, State
from pantoum.apps.torch.conversion import state_from_torch, state_to_torch
from pantoum.apps.torch.language_module import LanguageModule
from pantoum.apps.torch.tensor_sums import GradientSums, TensorRanks
from pantoum.apps.torch.torch_optimizer import TorchOptimizer, TorchSpelling
from pantoum.errors import CheckpointError, RankError, SettingError
from pantoum.seams import GRADIENT_SCALE_EVERY as EVERY
from pantoum.seams import GRADIENT_SCALE_WINDOW as WINDOW
from pantoum.seams import (
    MOST_STEPS,
    NO_SYMBOLS,
    Array,
    Batch,
    LocalBackend,
    Members,
    NetworkState,
    Recipe,
    Share,
    StepResult,
    Symbols,
    TrainSettings,
    map_blocks,
    matrices,
    require_arrays,
    seed_of,
    torchrun_count,
)
from pantoum.seams import names_of_role as named

__all__ = ["TorchBackend", "TorchEngine", "TorchLearner", "engine"]


STEPS = "optimizer.steps"


class TorchLearner:
    """A module of one member, and what changes it. ``restore`` fills it."""

    def __init__(
        self, recipe: Recipe, vocab_size: int, seed: int, device: str, parts_VO: Array | None = None
    ) -> None:
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
        slower, self._spelling = dict[str, float](), list[TorchSpelling]()
        if parts_VO is not None:
            (name,) = named(recipe.model, "input")
            slower[name] = recipe.spelling or 0.0
            words = TorchSpelling(self._parameters[name], parts_VO, slower[name], recipe.optimizer)
            self._spelling.append(words)
        self._optimizer = TorchOptimizer(
            self._parameters,
            recipe.optimizer,
            recipe.weight_decay,
            blocks,
            tables,
            slower,
            recipe.table_rate,
        )
        self._decay, self._targets = recipe.average, 0
        averaged = {} if recipe.average is None else self._parameters
        self._averaged = {
            name: tensor.detach().clone() for name, tensor in averaged.items() if name not in tables
        }
        self._pull, moved = recipe.pull, matrices(recipe.model, self._parameters) if recipe.pull else {}
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
            for spelling in self._spelling:
                spelling.step(self._optimizer.steps, rate)
            if self._origin:
                stays = list(self._origin.values())
                torch._foreach_lerp_(self._moved, stays, min(1.0, rate * self._pull))
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
        """Everything, under ``weights.``, ``averaged.``, ``optimizer.`` and ``scale.``."""
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
            "optimizer": {**self._optimizer.arrays(), **self._of_parts()},
            "scale": self._squares,
            "optimizer.origin": self._origin,
        }
        return {f"{part}.{name}": tensor for part, held in parts.items() for name, tensor in held.items()}

    def _of_parts(self) -> dict[str, Tensor]:
        return {name: tensor for each in self._spelling for name, tensor in each.arrays().items()}

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


class TorchBackend(Members[TorchLearner]):
    """A learner for each member on one device. ``restore`` fills it."""

    def __init__(self, recipe: Recipe, vocab_size: int, device: str, symbols: Symbols = NO_SYMBOLS) -> None:
        self._device = device
        self._share: Share | None = None
        seeds = [seed_of(recipe.seed, place) for place in range(recipe.members)]
        parts_VO = symbols.parts_VO
        learners = [TorchLearner(recipe, vocab_size, seed, device, parts_VO) for seed in seeds]
        super().__init__(recipe.model, learners)

    def join(self, share: Share) -> None:
        """From now on train with other ranks: batches, states and streams are this rank's rows of each."""
        ranks = getattr(share, "ranks", None)
        if not isinstance(ranks, TensorRanks):
            raise RankError("these ranks cannot exchange tensors; start them with torchrun")
        self._share = share
        for learner in self.learners:
            learner.join(ranks, share)

    def collect(self) -> None:
        """Every rank has all arrays at every step."""

    def gradients(self, batch: Batch, state: NetworkState, step: int, streams: Array) -> StepResult:
        """Forward and backward pass over this rank's rows of a batch, member by member."""
        inputs, targets, numbers = (
            self._whole(each) for each in (batch.inputs_BT, batch.targets_BT, streams)
        )
        resets = torch.from_numpy(np.array(batch.reset_BT)) if batch.reset_BT.any() else None
        found = []
        for learner, own in zip(self.learners, self.parts(state), strict=True):
            begun = state_to_torch(own, learner.module.head.bias.detach())
            found.append(learner.gradients(inputs, targets, resets, begun, step, numbers))
        after = self.joined([state_from_torch(state) for _, _, state in found])
        facts, finite = [[loss, accuracy] for loss, accuracy, _ in found], after.finite
        if (share := self._share) is not None:  # the figures of a rank stand for each of its shards
            first, end = share.own
            of_shards, finite = share.all_facts([[fact] * (end - first) for fact in facts], finite)
            facts = [[share.shards.mean(each) for each in zip(*own, strict=True)] for own in of_shards]
        return StepResult(
            loss=float(np.mean([loss for loss, _ in facts])),
            accuracy=float(np.mean([accuracy for _, accuracy in facts])),
            gradient_norm=self.gradient_norm,
            state=after,
            finite=finite,
        )

    def _whole(self, numbers: Array) -> Tensor:
        return torch.from_numpy(np.array(numbers, np.int64)).to(self._device)


def engine(settings: TrainSettings) -> TorchEngine | None:
    """The engine of ``cpu``, ``cuda`` or ``auto``; ``None``: the core, which ``auto`` takes without a GPU. On
    several ranks each takes the GPU of its number on its machine."""
    device = settings.device
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return TorchEngine("cpu") if device == "cpu" else None
    if not torch.cuda.is_available():
        raise SettingError(
            "device",
            device,
            "needs a GPU that PyTorch can use, and it finds none here",
            "leave it out to train on this machine's processor",
        )
    if torchrun_count() == 1:
        return TorchEngine("cuda")
    place, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= gpus:
        raise SettingError(
            "device",
            device,
            f"needs a GPU for each rank, and this machine has {gpus}",
            f"start {gpus} ranks per machine",
        )
    torch.cuda.set_device(place)
    return TorchEngine(f"cuda:{place}")


@dataclass(frozen=True)
class TorchEngine:
    """PyTorch on a device."""

    device: str
    processes: int = 1
    own_memory: bool = True
    """That of a device is not the machine's, and PyTorch says by itself where it is too small."""

    @property
    def kind(self) -> str:
        """``cpu`` or ``cuda``."""
        return str(torch.device(self.device).type)

    @property
    def name(self) -> str:
        """What all ranks of a run must have in common."""
        return f"PyTorch {torch.__version__}, {self.kind}"

    @property
    def note(self) -> str:
        """What a person should know of the run."""
        where = f"the GPU {torch.cuda.get_device_name()}" if self.kind == "cuda" else "the CPU"
        return (
            f"trains in PyTorch {torch.__version__} on {where}; losses agree with those of the core within "
            "rounding, bits do not; evaluations use the core"
        )

    def take_over(
        self, local: LocalBackend, recipe: Recipe, vocab_size: int, batch_size: int, symbols: Symbols
    ) -> TorchBackend:
        """A backend with all arrays of the core's."""
        backend = TorchBackend(recipe, vocab_size, self.device, symbols)
        backend.restore(local.snapshot())
        return backend
