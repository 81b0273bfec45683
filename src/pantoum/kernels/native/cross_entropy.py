"""Losses, predictions and gradients of the head: the operations of ``reference.cross_entropy`` in the core.

Losses alone are one call of the core, which holds a tile of logits at a time. For gradients the logits of a
chunk of rows are overwritten with their own gradient, and the gradients of weight and bias are summed up from
chunk to chunk. Logits of more than one chunk never exist, and those that are given are the place of their
chunk's logits: a model with n-grams has no second array of that size.

Shapes: N rows of the bag, H units, V symbols, C rows of a chunk.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels import types
from pantoum.kernels.native.library import core
from pantoum.kernels.native.product import (
    CoreMatrix,
    bias_gradient,
    linear,
    linear_weight_gradient,
    number_of,
)
from pantoum.kernels.native.tables import checked_tokens
from pantoum.kernels.reference.cross_entropy import chunks
from pantoum.kernels.types import Array, Workspace

__all__ = ["cross_entropy", "cross_entropy_gradient", "cross_entropy_of_logits"]

# Logits of a chunk: some 4 MB, but rows enough that the weight's gradient, read and written once a chunk, is
# cheap.
CHUNK_LOGITS, FEWEST_ROWS = 1 << 20, 512
# Rows enough beside given logits, which have taken the memory of all rows already.
FEWEST_BESIDE = 64


def cross_entropy(
    hidden_NH: Array,
    weight: types.PackedMatrix,
    bias_V: Array,
    targets_N: Array,
    workspace: Workspace | None = None,
    given_NV: Array | None = None,
) -> tuple[Array, Array]:
    """Nats [N] of the targets and the most probable symbols [N]; ``given_NV`` is added to the logits."""
    assert isinstance(weight, CoreMatrix)
    V, H = weight.shape
    assert weight.block == V, "a head is packed with gates=1"
    targets_N, nats_N, predictions_N = _results(hidden_NH, targets_N, V)
    core().call(
        "losses",
        x=hidden_NH,
        panels=weight.panels(False),
        bias=bias_V,
        given=given_NV,
        targets=targets_N,
        nats=nats_N,
        predictions=predictions_N,
        depth=H,
        vocabulary=V,
        precision=number_of(weight.precision),
    )
    return nats_N, predictions_N


def cross_entropy_of_logits(logits_NV: Array, targets_N: Array) -> tuple[Array, Array]:
    """Nats [N] and predictions [N] from logits, with the bits of ``cross_entropy``."""
    targets_N, nats_N, predictions_N = _results(logits_NV, targets_N, logits_NV.shape[1])
    core().call(
        "softmax", logits=logits_NV, targets=targets_N, nats=nats_N, predictions=predictions_N, weight=0.0
    )
    return nats_N, predictions_N


def cross_entropy_gradient(
    hidden_NH: Array,
    weight: types.PackedMatrix,
    bias_V: Array,
    targets_N: Array,
    workspace: Workspace | None = None,
    given_NV: Array | None = None,
    targets: int | None = None,
) -> tuple[Array, Array, Array, Array, Array, Array | None]:
    """Nats [N], predictions [N], and the gradients of the *mean* loss: of hidden, weight, bias and of
    ``given_NV``, if any, which is added to the logits and overwritten with its gradient. The mean is over
    ``targets`` (default: N): more than N where the rows are a shard of a batch."""
    workspace = Workspace() if workspace is None else workspace
    N, V = len(targets_N), len(bias_V)
    share = 1 / max(1, N if targets is None else targets)
    targets_N, nats_N, predictions_N = _results(hidden_NH, targets_N, V)
    d_hidden_NH = workspace.array("d_hidden", hidden_NH.shape, np.float32)
    d_weight_VH = workspace.array("d_weight", weight.shape, np.float32)
    d_bias_V = np.empty(V, np.float32)
    if N == 0:  # a shard of a small batch may have none
        d_weight_VH[...] = d_bias_V[...] = 0.0
    assert given_NV is None or given_NV.shape == (N, V)
    for rows in chunks(N, FEWEST_ROWS if given_NV is None else FEWEST_BESIDE, CHUNK_LOGITS // V):
        resume = rows.start > 0
        d_CV = workspace.array("logits", (rows.stop - rows.start, V), np.float32)
        linear(hidden_NH[rows], weight, bias_V, out=d_CV)
        if given_NV is not None:
            given_NV[rows] += d_CV
            d_CV = given_NV[rows]
        core().call(
            "softmax",
            logits=d_CV,  # afterwards the gradient of the logits
            targets=targets_N[rows],
            nats=nats_N[rows],
            predictions=predictions_N[rows],
            weight=share,
        )
        weight.product_transposed(d_CV, out=d_hidden_NH[rows])
        linear_weight_gradient(d_CV, hidden_NH[rows], d_weight_VH, weight.precision, resume)
        bias_gradient(d_CV, d_bias_V, resume)
    return nats_N, predictions_N, d_hidden_NH, d_weight_VH, d_bias_V, given_NV


def _results(hidden_NH: Array, targets_N: Array, vocab_size: int) -> tuple[Array, Array, Array]:
    targets_N = checked_tokens(targets_N, vocab_size, "targets_N")
    assert len(targets_N) == len(hidden_NH)
    return targets_N, np.empty(len(targets_N), np.float32), np.empty(len(targets_N), np.int32)
