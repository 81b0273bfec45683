"""The last layer: from the bag of outputs [N,H] to the symbols' logits, losses and predictions.

All time steps of all rows lie in one bag and one softmax layer serves them all. A model of K members has one
head over all of their outputs, concatenated, [V, K*H]; its weights average their logits. With tied weights
the layer shares the weight of the embedding, with a projection [E,H] between if the width E differs from H;
of K members it has their embeddings, concatenated and divided by K, which exists only while a program needs
it. Logits exist for a chunk of rows at a time, unless they are asked for.

In training a large vocabulary can be replaced by the candidates of the step (``candidates``): the rows of the
weight that belong to them are a head of few symbols, and only they get a gradient.

Shapes: N rows of the bag, H units, E embedding, V symbols, K members, C candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pantoum.kernels import Array, StepPart, Workspace
from pantoum.network.candidates import Candidates
from pantoum.network.gradient import Gradient
from pantoum.network.packing import Packer, Weight, floats

WEIGHT, BIAS, PROJECTION = "head.weight", "head.bias", "head.projection.weight"


class Head:
    """The softmax layer, its weights ready."""

    def __init__(
        self,
        weights: Mapping[str, Weight],
        packer: Packer,
        tied: Sequence[str] = (),
        place: Workspace | None = None,
        changed_U: Array | None = None,
    ) -> None:
        """``weights``: those of a model by name; ``tied``: the embeddings that share the weight of the head,
        if it has none of its own; ``place``: where the weight of several is made again. ``changed_U``: the
        rows in which it differs from the one that was made there, and packed in this workspace, before."""
        self.tied, self.kernels, self._precision = tuple(tied), packer.kernels, packer.precision
        weight = shared_weight(tied, weights, place, changed_U) if tied else weights[WEIGHT]
        self.weight = packer.matrix("head", weight, changed_U=changed_U)
        self.bias_V = floats(weights[BIAS])
        projection = weights.get(PROJECTION)
        self.projection = None if projection is None else packer.matrix("projection", projection)
        self._rows_VE = floats(weight) if packer.purpose == "train" else None
        """The weight itself, whose rows are looked up for candidates."""

    def logits(self, hidden_NH: Array, given_NV: Array | None = None) -> Array:
        """The logits [N,V]; ``given_NV`` is added to them."""
        logits_NV: Array = self.kernels.linear(self._projected(hidden_NH), self.weight, self.bias_V)
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
        both: tuple[Array, Array] = self.kernels.cross_entropy(
            self._projected(hidden_NH), self.weight, self.bias_V, targets_N, workspace, given_NV
        )
        return both

    def gradients(
        self,
        hidden_NH: Array,
        targets_N: Array,
        workspace: Workspace,
        given_NV: Array | None = None,
        targets: int | None = None,
        candidates: Candidates | None = None,
    ) -> tuple[Array, Array, Array, dict[str, Gradient], Array | None]:
        """(nats [N], predictions [N], d_hidden [N,H], gradients by parameter name, d_given [N,V]), the last
        three of the mean loss. Of a weight that embeddings share, each of them has its part.
        ``given_NV`` is added to the logits and overwritten with its gradient. The mean is over ``targets``
        (default: N). With ``candidates``, which contain all of ``targets_N``, nats are estimates, predictions
        are candidates, and there is no ``given_NV``."""
        projected, d_given_NV = self._projected(hidden_NH), None
        if candidates is None:
            nats_N, predictions_N, d_NE, *d_own, d_given_NV = self.kernels.cross_entropy_gradient(
                projected, self.weight, self.bias_V, targets_N, workspace, given_NV, targets
            )
            of_weight, of_bias = (Gradient(d) for d in d_own)
        else:
            assert given_NV is None
            nats_N, predictions_N, d_NE, of_weight, of_bias = self._sampled(
                projected, targets_N, candidates, workspace, targets
            )
        gradients = {**self._shared(of_weight), BIAS: of_bias}
        if self.projection is None:
            return nats_N, predictions_N, d_NE, gradients, d_given_NV
        gradients[PROJECTION] = Gradient(
            self.kernels.linear_weight_gradient(d_NE, hidden_NH, precision=self.projection.precision)
        )
        return nats_N, predictions_N, self.projection.product_transposed(d_NE), gradients, d_given_NV

    def step_part(self) -> StepPart:
        """Itself as the step of a whole model takes it."""
        own = {"weight": self.weight, "bias_V": self.bias_V, "projection": self.projection}
        return StepPart("head", own)

    def _shared(self, of_weight: Gradient) -> dict[str, Gradient]:
        """The gradient of the weight, by the names of those who have it."""
        K = len(self.tied)
        if K < 2:
            return {self.tied[0] if K else WEIGHT: of_weight}
        each = zip(self.tied, np.split(of_weight.values, K, axis=1), strict=True)
        return {name: replace(of_weight, values=np.divide(d, d.dtype.type(K))) for name, d in each}

    def _sampled(
        self,
        projected_NE: Array,
        targets_N: Array,
        candidates: Candidates,
        workspace: Workspace,
        targets: int | None,
    ) -> tuple[Array, Array, Array, Gradient, Gradient]:
        """(nats [N], predictions [N], d_projected [N,E], gradients of the rows of the candidates)."""
        assert self._rows_VE is not None
        symbols_C, dtype = candidates.symbols_C, self.bias_V.dtype
        rows_CE = workspace.array("candidates", (len(symbols_C), self._rows_VE.shape[1]), dtype)
        self.kernels.lookup(self._rows_VE, symbols_C, out=rows_CE)
        weight = self.kernels.pack(rows_CE, self._precision, place=workspace.scope("packed candidates"))
        bias_C = (self.bias_V[symbols_C] + candidates.shift_C).astype(dtype)
        nats_N, predictions_N, d_NE, *d_own, _ = self.kernels.cross_entropy_gradient(
            projected_NE, weight, bias_C, candidates.places(targets_N), workspace, None, targets
        )
        of_weight, of_bias = (Gradient(d, symbols_C) for d in d_own)
        return nats_N, symbols_C[predictions_N].astype(np.int32), d_NE, of_weight, of_bias

    def _projected(self, hidden_NH: Array) -> Array:
        return hidden_NH if self.projection is None else self.projection.product(hidden_NH)


def shared_weight(
    tied: Sequence[str],
    weights: Mapping[str, Weight],
    place: Workspace | None = None,
    changed_U: Array | None = None,
) -> Array:
    """The weight of a tied head [V, K*E] from the embeddings of these names, of one the very embedding. With
    ``place`` its memory is used again; it may hold the weight already, but for the rows ``changed_U``."""
    first_VE = floats(weights[tied[0]])
    if len(tied) == 1:
        return first_VE
    (V, E), K, kind = first_VE.shape, len(tied), first_VE.dtype.type
    shared_VH = (Workspace() if place is None else place).array("tied head", (V, K * E), kind)
    for number, name in enumerate(tied):
        embedding_VE = floats(weights[name]) if number else first_VE  # of coded ones, one at a time
        columns = slice(number * E, (number + 1) * E)
        if changed_U is None:
            np.divide(embedding_VE, kind(K), out=shared_VH[:, columns])
        else:
            shared_VH[changed_U, columns] = embedding_VE[changed_U] / kind(K)
    return shared_VH
