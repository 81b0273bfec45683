"""Optimisers of ``training.update.optimizer`` on tensors: PyTorch's fused AdamW, Muon, RMSProp for tables.

The formulas, constants and the names of the arrays are the same, so a checkpoint of one engine is one of the
other. One thing differs: AdamW moves all rows of a parameter here, where the core moves those that a batch
used if the vocabulary is large.

Shapes: G gate rows, H units, K inputs, R rows of a parameter, U rows in use, V symbols.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from pantoum.apps.torch.tensor_sums import TensorRanks, add_up
from pantoum.seams import (
    NEWTON_SCHULZ,
    SMALLEST_NORM,
    SPELLING_EVERY,
    SPELLING_RATES,
    Array,
    Share,
    block_rate,
    spelling_betas_and_decay,
    spelling_shares,
)
from pantoum.seams import OPTIMIZER_BETAS as BETAS
from pantoum.seams import OPTIMIZER_EPSILON as EPSILON
from pantoum.seams import OPTIMIZER_MOMENTUM as MOMENTUM
from pantoum.seams import OPTIMIZER_MUON_RATE as MUON_RATE
from pantoum.seams import OPTIMIZER_TABLE_KEEP as TABLE_KEEP

__all__ = ["TorchOptimizer", "TorchSpelling"]


class TorchOptimizer:
    """What changes the parameters of a module from their gradients, in place."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        kind: str,
        weight_decay: float,
        blocks: Mapping[str, int],
        tables: Collection[str] = (),
        slower: Mapping[str, float] | None = None,
        table_rate: float = 1.0,
    ) -> None:
        """``blocks``: the maps, by name, and how many blocks each has; ``tables``: the names of the tables of
        logits; ``slower``: rates of embeddings whose words learn together (``TorchSpelling``), as a multiple
        of the learning rate; ``table_rate``: that of tables."""
        self.steps = 0
        """Updates done."""
        self._decay = weight_decay
        self._tables, self._table_rate = {name: parameters[name] for name in tables}, table_rate
        names = [name for name in parameters if name not in tables]
        self._blocks = dict(blocks) if kind == "muon" else {}
        """The blocks of each map."""
        self._maps = {name: parameters[name] for name in self._blocks}
        self._others = {name: parameters[name] for name in names if name not in self._maps}
        slower = slower or {}
        matrices = [t for name, t in self._others.items() if t.ndim >= 2 and name not in slower]
        vectors = [tensor for tensor in self._others.values() if tensor.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": weight_decay, "times": 1.0},
            {"params": vectors, "weight_decay": 0.0, "times": 1.0},
        ]
        betas = BETAS
        for name, times in slower.items():
            betas, decay = spelling_betas_and_decay(times, weight_decay)
            groups.append({"params": [parameters[name]], "weight_decay": decay, "times": times})
        self._adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]], betas=betas, eps=EPSILON, fused=True
        )
        for tensor in self._others.values():
            self._adamw.state[tensor] = {
                "step": torch.zeros((), device=tensor.device),
                "exp_avg": torch.zeros_like(tensor),
                "exp_avg_sq": torch.zeros_like(tensor),
            }
        self._momentum = {name: torch.zeros_like(tensor) for name, tensor in self._maps.items()}
        self._squares = {name: torch.zeros_like(tensor) for name, tensor in self._tables.items()}
        self._ranks: TensorRanks | None = None
        self._own = {name: list(range(count)) for name, count in self._blocks.items()}
        """The blocks of each map that this rank makes orthogonal."""

    def join(self, ranks: TensorRanks, share: Share) -> None:
        """From now on several ranks make the same steps, and each makes some blocks of Muon orthogonal."""
        self._ranks = ranks
        blocks = [(name, place) for name, count in self._blocks.items() for place in range(count)]
        # The iterations multiply matrices whose smaller side is that of the block.
        shapes = [self._block(name) for name, _ in blocks]
        costs = [float(H * K * min(H, K)) for H, K in shapes]
        owners = share.owners(costs)
        own = [block for block, owner in zip(blocks, owners, strict=True) if owner == ranks.rank]
        self._own = {name: [place for other, place in own if other == name] for name in self._maps}

    def step(self, rate: float) -> None:
        """One update from the gradients of the parameters, which are clipped already."""
        self.steps += 1
        for group in self._adamw.param_groups:
            group["lr"] = rate * group["times"]
        self._adamw.step()
        self._muon(MUON_RATE * rate)
        for name, table_RV in self._tables.items():
            _rms_rows(table_RV, self._squares[name], self._table_rate * rate)

    def _muon(self, rate: float) -> None:
        """``kernels.reference.update`` for each map [G,K]."""
        moves = dict[str, Tensor]()
        for name, parameter in self._maps.items():
            gradient, momentum, own = parameter.grad, self._momentum[name], self._own[name]
            momentum.mul_(MOMENTUM).add_(gradient, alpha=1 - MOMENTUM)
            blocks = (MOMENTUM * momentum + (1 - MOMENTUM) * gradient).reshape(-1, *self._block(name))
            moves[name] = torch.zeros_like(blocks)
            if own:
                moves[name][own] = _orthogonal(blocks[own])
        if self._ranks is not None and moves:
            add_up(self._ranks, list(moves.values()))
        for name, parameter in self._maps.items():
            parameter.mul_(1 - rate * self._decay)
            move = moves[name].reshape(parameter.shape)
            parameter.sub_(move, alpha=block_rate(rate, *self._block(name)))

    def _block(self, name: str) -> tuple[int, int]:
        """The shape of a block of a map [H,K]."""
        rows, K = self._maps[name].shape
        return rows // self._blocks[name], K

    def arrays(self) -> dict[str, Tensor]:
        """The very tensors in use, by the names of ``training.update.optimizer``."""
        found = {f"momentum.{name}": tensor for name, tensor in self._momentum.items()}
        for name, tensor in self._others.items():
            found[f"first.{name}"] = self._adamw.state[tensor]["exp_avg"]
            found[f"second.{name}"] = self._adamw.state[tensor]["exp_avg_sq"]
        return found | {f"squares.{name}": squares_RV for name, squares_RV in self._squares.items()}

    def restored(self, steps: int) -> None:
        """The arrays were written over with those after so many updates."""
        self.steps = steps
        for tensor in self._others.values():
            self._adamw.state[tensor]["step"].fill_(steps)


class TorchSpelling:
    """``training.update.spelling`` on tensors: the moves of what words of like spelling share."""

    def __init__(self, embedding_VE: Tensor, parts_VO: Array, own: float, kind: str) -> None:
        """``own``: the rate of the vectors of single words, as a multiple of the learning rate; ``kind``: the
        optimiser of the other parameters."""
        (self._betas, _), self._rate = spelling_betas_and_decay(own, 0.0), SPELLING_RATES[kind]
        self._embedding_VE, device = embedding_VE, embedding_VE.device
        self._parts_VO = torch.from_numpy(np.array(parts_VO, np.int64)).to(device)
        self._shares_V1 = torch.from_numpy(spelling_shares(parts_VO)).to(device)
        shape = int(parts_VO.max()) + 1, embedding_VE.shape[1]
        self._moves, self._first, self._second = (embedding_VE.new_zeros(shape) for _ in range(3))

    def step(self, steps: int, rate: float) -> None:
        """One update, which is that of this number, from the gradient of the embedding."""
        d_VE, (b1, b2) = self._embedding_VE.grad * self._shares_V1, self._betas
        gradient = torch.zeros_like(self._moves)
        for place in range(self._parts_VO.shape[1]):
            gradient.index_add_(0, self._parts_VO[:, place], d_VE)
        gradient[-1] = 0.0  # no part
        self._first.lerp_(gradient, 1 - b1)
        self._second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        size = (self._second / (1 - b2**steps)).sqrt_().add_(EPSILON)
        self._moves.addcdiv_(self._first, size, value=-self._rate * rate / (1 - b1**steps))
        if steps % SPELLING_EVERY == 0:
            for place in range(self._parts_VO.shape[1]):
                self._embedding_VE += self._moves[self._parts_VO[:, place]] * self._shares_V1
            self._moves.zero_()

    def arrays(self) -> dict[str, Tensor]:
        """The very tensors in use, by the names of ``training.update.spelling``."""
        own = {"moves": self._moves, "first": self._first, "second": self._second}
        return {f"parts.{name}": tensor for name, tensor in own.items()}


def _orthogonal(blocks: Tensor) -> Tensor:
    """``kernels.reference.update.orthogonal`` of several matrices at once."""
    tall = blocks.shape[1] >= blocks.shape[2]
    y = blocks if tall else blocks.transpose(1, 2)
    y = y / torch.linalg.matrix_norm(y, keepdim=True).clamp(min=SMALLEST_NORM)
    for a, b, c in NEWTON_SCHULZ:
        gram = y.transpose(1, 2) @ y
        y = a * y + y @ (b * gram + c * (gram @ gram))
    return y if tall else y.transpose(1, 2)


def _rms_rows(table_RV: Tensor, squares_RV: Tensor, rate: float) -> None:
    """``kernels.reference.tables.rms_rows`` from a sparse gradient."""
    gradient = table_RV.grad.coalesce()
    rows_U, values_UV = gradient.indices()[0], gradient.values()
    squares_UV = squares_RV[rows_U] * TABLE_KEEP + values_UV.square() * (1 - TABLE_KEEP)
    squares_RV[rows_U] = squares_UV
    table_RV[rows_U] -= values_UV / (squares_UV.sqrt() + EPSILON) * rate
