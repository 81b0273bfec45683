"""What is drawn by chance, and frequencies: ``reference.dropout`` and ``reference.sample`` in the core.

A mask of dropout is a hash, which ``reference.dropout`` defines. The arguments of a token's draw are made
once: addresses of the columns and of the logits. A call changes two numbers of them. The frequencies of an
entropy coder have the same bits on every path.

Shapes: T steps, B streams, H units; C rows of logits at once, V symbols, N banned tokens, or rows of
frequencies.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.native.library import core
from pantoum.kernels.native.tables import checked_tokens
from pantoum.kernels.reference.dropout import LEVELS, dropout_scales, dropout_threshold
from pantoum.kernels.types import COLUMNS, Array, DrawRows, DropoutDraw, RowCall

__all__ = ["dropout", "dropout_scales", "frequencies", "sampler"]

WORD = 0xFFFFFFFF


def dropout(
    x_TBH: Array,
    rate: float,
    layer: int,
    draw: DropoutDraw,
    out: Array | None = None,
) -> Array:
    """x with units dropped; gradients go back by the same call."""
    y_TBH: Array = np.empty(x_TBH.shape, np.float32) if out is None else out
    threshold = dropout_threshold(rate)
    core().call(
        "dropout",
        x=x_TBH,
        y=y_TBH,
        streams=np.ascontiguousarray(draw.streams_B.astype(np.uint32)),
        seed=draw.seed & 0xFFFFFFFFFFFFFFFF,
        step=draw.step & WORD,
        layer=layer & WORD,
        threshold=threshold,
        scale=LEVELS / (LEVELS - threshold),
        variational=draw.variational,
    )
    return y_TBH


def sampler(rows: DrawRows, banned_N: Array, logits_CV: Array) -> RowCall:
    """Draws one token for each of some of these rows, from logits that are written to this array before."""
    C, V = logits_CV.shape
    banned_N = checked_tokens(banned_N, V, "banned_N")
    assert rows.allowed_RM is None or 32 * rows.allowed_RM.shape[1] >= V
    operation, fill = core().operation("sample")
    arguments = fill(
        logits=logits_CV,
        banned=banned_N,
        recent=rows.recent_RW,
        allowed=rows.allowed_RM,
        first=0,
        **{name: getattr(rows, name) for name in COLUMNS},
    )
    held, room = (banned_N, logits_CV, rows.arrays()), len(rows)

    def draw(first: int, count: int, held: object = held) -> None:
        """One call of the core. ``held``: the memory that the arguments are addresses of."""
        assert 0 <= count <= C and 0 <= first <= room - count
        arguments.first, arguments.count = first, count
        if status := operation(arguments):
            core().refuse("sample", status)

    return draw


def frequencies(logits_NV: Array, total: int) -> None:
    """Logits become frequencies whose sum is ``total``, at most 2^24, in place."""
    core().call("frequencies", logits=logits_NV, total=total)
