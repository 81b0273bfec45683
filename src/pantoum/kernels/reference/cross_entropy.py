"""Softmax, cross-entropy in nats and the most probable symbol, a chunk of rows at a time, and the gradient.

The logits of a chunk of rows exist only while the chunk is worked on: for a vocabulary of 20,000 and a
batch of 4,096 tokens all of them would be 330 MB. Losses are summed in float64.

Shapes: N rows of the bag, H units, V symbols, C rows of a chunk.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.types import Array, PackedMatrix, Workspace

__all__ = [
    "chunks",
    "cross_entropy",
    "cross_entropy_gradient",
    "cross_entropy_of_logits",
    "softmax_cross_entropy",
]

# Logits of one chunk: enough that its products run at full rate, few enough to stay near the cache.
CHUNK_LOGITS, FEWEST_ROWS = 1 << 19, 256


def softmax_cross_entropy(logits_CV: Array, targets_C: Array) -> tuple[Array, Array, Array]:
    """Nats [C], most probable symbols [C] and the sums of exp [C]; the logits become exp(logit - largest)."""
    rows_C = np.arange(len(targets_C))
    predictions_C = logits_CV.argmax(axis=1)
    logits_CV -= logits_CV[rows_C, predictions_C][:, None]
    of_targets_C = logits_CV[rows_C, targets_C]
    np.exp(logits_CV, out=logits_CV)
    sums_C = logits_CV.sum(axis=1)
    return np.log(sums_C) - of_targets_C, predictions_C, sums_C


def cross_entropy(
    hidden_NH: Array,
    weight: PackedMatrix,
    bias_V: Array,
    targets_N: Array,
    workspace: Workspace | None = None,
    given_NV: Array | None = None,
) -> tuple[Array, Array]:
    """Nats [N] of the targets and the most probable symbols [N]; ``given_NV`` is added to the logits."""
    workspace = Workspace() if workspace is None else workspace
    nats_N, predictions_N = np.empty(len(targets_N), hidden_NH.dtype), np.empty(len(targets_N), np.int32)
    for rows in chunks(len(targets_N), FEWEST_ROWS, CHUNK_LOGITS // len(bias_V)):
        logits_CV = _logits(hidden_NH[rows], weight, bias_V, workspace)
        if given_NV is not None:
            logits_CV += given_NV[rows]
        nats_N[rows], predictions_N[rows], _ = softmax_cross_entropy(logits_CV, targets_N[rows])
    return nats_N, predictions_N


def cross_entropy_of_logits(logits_NV: Array, targets_N: Array) -> tuple[Array, Array]:
    """Nats [N] and predictions [N] from logits, which are spent."""
    nats_N, predictions_N, _ = softmax_cross_entropy(logits_NV, targets_N)
    return nats_N, predictions_N.astype(np.int32)


def cross_entropy_gradient(
    hidden_NH: Array,
    weight: PackedMatrix,
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
    N, dtype = len(targets_N), hidden_NH.dtype
    count = N if targets is None else targets
    nats_N, predictions_N = np.empty(N, dtype), np.empty(N, np.int32)
    d_hidden_NH = workspace.array("d_hidden", hidden_NH.shape, dtype)
    d_weight_VH, share_VH = (workspace.array(name, weight.shape, dtype) for name in ("d_weight", "share"))
    d_bias_V = np.zeros(len(bias_V), dtype)
    if N == 0:  # a shard of a small batch may have none
        d_weight_VH[...] = 0.0
    for rows in chunks(N, FEWEST_ROWS, CHUNK_LOGITS // len(bias_V)):
        d_CV, targets_C = _logits(hidden_NH[rows], weight, bias_V, workspace), targets_N[rows]
        if given_NV is not None:
            d_CV += given_NV[rows]
        nats_N[rows], predictions_N[rows], sums_C = softmax_cross_entropy(d_CV, targets_C)
        # d loss / d logit = (softmax - one at the target) / count
        d_CV *= (1 / (count * sums_C))[:, None]
        d_CV[np.arange(len(targets_C)), targets_C] -= dtype.type(1 / count)
        if given_NV is not None:
            given_NV[rows] = d_CV
        weight.product_transposed(d_CV, out=d_hidden_NH[rows])
        first = rows.start == 0
        np.matmul(d_CV.T, hidden_NH[rows], out=d_weight_VH if first else share_VH)
        if not first:
            d_weight_VH += share_VH
        d_bias_V += d_CV.sum(axis=0)
    return nats_N, predictions_N, d_hidden_NH, d_weight_VH, d_bias_V, given_NV


def chunks(rows: int, fewest: int, most: int) -> list[slice]:
    """The rows in parts of ``most``, but of ``fewest`` at least."""
    size = max(fewest, most)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _logits(hidden_CH: Array, weight: PackedMatrix, bias_V: Array, workspace: Workspace) -> Array:
    logits_CV = workspace.array("logits", (len(hidden_CH), len(bias_V)), hidden_CH.dtype)
    weight.product(hidden_CH, out=logits_CV)
    logits_CV += bias_V
    return logits_CV
