"""The last layer: from the bag of outputs [N,H] to the symbols' logits, losses and predictions.

All time steps of all rows lie in one bag and one softmax layer serves them all. A model of K members has one
head over all of their outputs, concatenated, [V, K*H]; its weights average their logits. With tied weights
the layer shares the weight of the embedding, with a projection [E,H] between if the width E differs from H;
of K members it has their embeddings, concatenated and divided by K (``network.tied``).
Logits are kept for a chunk of rows at a time, unless they are asked for.

In training a large vocabulary can be replaced by the candidates of the step (``candidates``): the rows of the
weight that belong to them are a head of few symbols, and only they get a gradient.

Shapes: N rows of the bag, H units, E embedding, V symbols, C candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels import Array, Kernels, PackedMatrix, Workspace, backend
from pantoum.network.candidates import Candidates
from pantoum.network.gradient import Gradient
from pantoum.network.packing import Packer, Weight, floats
from pantoum.network.parameters import Parameters, generator, uniform

__all__ = ["Head", "PackedHead", "cross_entropy"]


class Head:
    """The softmax layer; its bias begins at 0."""

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        seed: int | None,
        dtype: np.dtype[np.generic],
        tied_size: int | None = None,
    ) -> None:
        """``tied_size``: E of a tied head, which has no weight of its own; of several members K * E."""
        random = None if seed is None else generator(seed, 2)
        bound = hidden_size**-0.5
        own: dict[str, Array] = {}
        if tied_size is None:
            own["weight"] = uniform(random, (vocab_size, hidden_size), bound, dtype)
        elif tied_size != hidden_size:
            own["projection.weight"] = uniform(random, (tied_size, hidden_size), bound, dtype)
        own["bias"] = np.zeros(vocab_size, dtype)
        self.parameters = Parameters(own)

    def pack(
        self,
        packer: Packer | None = None,
        weights: Mapping[str, Weight] | None = None,
        tied: Array | None = None,
        changed_U: Array | None = None,
    ) -> PackedHead:
        """The parameters as the kernels take them; ``weights``: others of these names and shapes, ``tied``:
        the weight of a tied head; ``changed_U``: the rows in which the weight differs from the one that was
        packed before in this workspace."""
        weights = self.parameters if weights is None else weights
        packer = Packer(backend(self.parameters["bias"].dtype)) if packer is None else packer
        weight = weights["weight"] if tied is None else tied
        projection = weights.get("projection.weight")
        return PackedHead(
            packer.kernels,
            packer.precision,
            packer.matrix("head", weight, changed_U=changed_U),
            floats(weights["bias"]),
            None if projection is None else packer.matrix("projection", projection),
            floats(weight) if packer.purpose == "train" else None,
        )


@dataclass(frozen=True)
class PackedHead:
    """The head's parameters as the kernels take them."""

    kernels: Kernels
    precision: str
    weight: PackedMatrix
    bias_V: Array
    projection: PackedMatrix | None
    rows_VE: Array | None
    """The weight itself, whose rows are looked up for candidates; ``None`` for reading."""

    def logits(self, hidden_NH: Array, given_NV: Array | None = None) -> Array:
        """The logits [N,V]; ``given_NV`` is added to them."""
        logits_NV = self.kernels.linear(self._projected(hidden_NH), self.weight, self.bias_V)
        if given_NV is not None:
            logits_NV += given_NV
        return logits_NV

    def losses(
        self,
        hidden_NH: Array,
        targets_N: Array,
        workspace: Workspace | None = None,
        given_NV: Array | None = None,
    ) -> tuple[Array, Array]:
        """(nats [N] of the targets, predictions [N])."""
        return self.kernels.cross_entropy(
            self._projected(hidden_NH), self.weight, self.bias_V, targets_N, workspace, given_NV
        )

    def gradients(
        self,
        hidden_NH: Array,
        targets_N: Array,
        workspace: Workspace,
        given_NV: Array | None = None,
        targets: int | None = None,
        candidates: Candidates | None = None,
    ) -> tuple[Array, Array, Array, dict[str, Gradient], Array | None]:
        """(nats [N], predictions [N], d_hidden [N,H], gradients, d_given [N,V]), the last three of the mean
        loss. The gradient of the weight is named ``weight`` even if the weight is shared with the embedding.
        ``given_NV`` is added to the logits and overwritten with its gradient. The mean is over ``targets``
        (default: N). With ``candidates``, which contain all of ``targets_N``, nats are estimates, predictions
        are candidates, and there is no ``given_NV``."""
        projected = self._projected(hidden_NH)
        if candidates is None:
            nats_N, predictions_N, d_NE, d_weight, d_bias, d_given_NV = self.kernels.cross_entropy_gradient(
                projected, self.weight, self.bias_V, targets_N, workspace, given_NV, targets
            )
            found = {"weight": Gradient(d_weight), "bias": Gradient(d_bias)}
        else:
            assert given_NV is None
            nats_N, predictions_N, d_NE, found = self._sampled(
                projected, targets_N, candidates, workspace, targets
            )
            d_given_NV = None
        if self.projection is None:
            return nats_N, predictions_N, d_NE, found, d_given_NV
        found["projection.weight"] = Gradient(
            self.kernels.linear_weight_gradient(d_NE, hidden_NH, precision=self.projection.precision)
        )
        return nats_N, predictions_N, self.projection.product_transposed(d_NE), found, d_given_NV

    def _sampled(
        self,
        projected_NE: Array,
        targets_N: Array,
        candidates: Candidates,
        workspace: Workspace,
        targets: int | None,
    ) -> tuple[Array, Array, Array, dict[str, Gradient]]:
        """(nats [N], predictions [N], d_projected [N,E], gradients of the rows of the candidates)."""
        assert self.rows_VE is not None
        symbols_C, dtype = candidates.symbols_C, self.bias_V.dtype
        rows_CE = workspace.array("candidates", (len(symbols_C), self.rows_VE.shape[1]), dtype)
        self.kernels.lookup(self.rows_VE, symbols_C, out=rows_CE)
        weight = self.kernels.pack(rows_CE, self.precision, place=workspace.scope("packed candidates"))
        bias_C = (self.bias_V[symbols_C] + candidates.shift_C).astype(dtype)
        nats_N, predictions_N, d_NE, d_weight_CE, d_bias_C, _ = self.kernels.cross_entropy_gradient(
            projected_NE, weight, bias_C, candidates.places(targets_N), workspace, None, targets
        )
        found = {"weight": Gradient(d_weight_CE, symbols_C), "bias": Gradient(d_bias_C, symbols_C)}
        return nats_N, symbols_C[predictions_N].astype(np.int32), d_NE, found

    def _projected(self, hidden_NH: Array) -> Array:
        return hidden_NH if self.projection is None else self.projection.product(hidden_NH)


def cross_entropy(logits: Array, targets: Array) -> float:
    """The mean loss in nats of logits [...,V] for targets [...], over exactly the targets given."""
    logits, targets = np.asarray(logits), np.asarray(targets)
    V = logits.shape[-1] if logits.ndim else 0
    if targets.shape != logits.shape[:-1] or not targets.size:
        raise SettingError(
            "targets",
            targets.shape,
            f"must have the logits' shape without V, {logits.shape[:-1]}",
            "give one target for each row of logits",
        )
    if targets.dtype.kind not in "iu" or targets.min() < 0 or targets.max() >= V:
        raise SettingError(
            "targets",
            f"{targets.dtype.name} from {targets.min()} to {targets.max()}",
            f"must be whole numbers from 0 to {V - 1}",
            "give the numbers of symbols",
        )
    flat_N = targets.reshape(-1)
    kept = logits.dtype if logits.dtype.kind == "f" else np.dtype(np.float64)
    logits_NV = np.array(logits.reshape(-1, V), kept)
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    of_targets_N = logits_NV[np.arange(len(flat_N)), flat_N]
    sums_N = np.exp(logits_NV).sum(axis=1)
    return float((np.log(sums_N) - of_targets_N).mean(dtype=np.float64))
