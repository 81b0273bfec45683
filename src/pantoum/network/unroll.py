"""A cell or a stack over a sequence, and the exact gradient of it.

``unroll`` is what ``tf.nn.dynamic_rnn`` was: with lengths, outputs past a row's length are zero, the state
is copied through, and the returned state is each row's own last one. ``unroll_vjp`` is its back-propagation
through outputs and state both. Dropout is on only with ``dropout_key=(seed, step)``; ``streams`` are the
rows' global numbers, by default 0 to B-1.

Shapes: B rows, T steps, E inputs, H units.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pantoum.config import whole
from pantoum.errors import SettingError
from pantoum.kernels import Array
from pantoum.network.block import Block, DropoutDraw, check_state
from pantoum.network.state import BlockState, map_arrays

__all__ = ["Pullback", "dropout_draw", "unroll", "unroll_vjp"]


class Pullback(Protocol):
    """The backward pass of one ``unroll_vjp``."""

    def __call__(
        self, d_outputs_BTH: Array, d_state: BlockState | None = None
    ) -> tuple[Array, BlockState, dict[str, Array]]:
        """(d_inputs [B,T,E], d_initial_state, gradients by parameter name)."""


def unroll(
    cell: Block,
    inputs_BTE: Array,
    initial_state: BlockState | None = None,
    lengths: Array | None = None,
    *,
    reset_BT: Array | None = None,
    dropout_key: tuple[int, int] | None = None,
    streams: Array | None = None,
) -> tuple[Array, BlockState]:
    """(outputs [B,T,H], last state)."""
    x_TBE, state, lengths, reset_TB = cell.checked(inputs_BTE, initial_state, lengths, reset_BT)
    dropout = dropout_draw(dropout_key, streams, x_TBE.shape[1])
    outputs_TBH, state, _ = cell.pack().forward(
        x_TBE, state, reset_TB=reset_TB, lengths=lengths, dropout=dropout
    )
    return _turned(outputs_TBH), state


def unroll_vjp(
    cell: Block,
    inputs_BTE: Array,
    initial_state: BlockState | None = None,
    lengths: Array | None = None,
    *,
    reset_BT: Array | None = None,
    dropout_key: tuple[int, int] | None = None,
    streams: Array | None = None,
) -> tuple[Array, BlockState, Pullback]:
    """(outputs [B,T,H], last state, pullback), as ``jax.vjp``. Parameters must not change before the
    pullback."""
    x_TBE, state, lengths, reset_TB = cell.checked(inputs_BTE, initial_state, lengths, reset_BT)
    dropout = dropout_draw(dropout_key, streams, x_TBE.shape[1])
    packed = cell.pack()
    outputs_TBH, last, tape = packed.forward(
        x_TBE, state, reset_TB=reset_TB, lengths=lengths, dropout=dropout, tape=True
    )
    shape_BTH = outputs_TBH.swapaxes(0, 1).shape

    def pullback(
        d_outputs_BTH: Array, d_state: BlockState | None = None
    ) -> tuple[Array, BlockState, dict[str, Array]]:
        d_outputs_BTH = np.asarray(d_outputs_BTH, cell.dtype)
        if d_outputs_BTH.shape != shape_BTH:
            raise SettingError(
                "d_outputs_BTH",
                d_outputs_BTH.shape,
                f"must have the shape {shape_BTH}",
                "give the gradient of the outputs",
            )
        if d_state is not None:
            d_state = check_state(d_state, last)
        d_x_TBE, d_initial, gradients = packed.backward(tape, _turned(d_outputs_BTH), d_state)
        return _turned(d_x_TBE), map_arrays(np.copy, d_initial), gradients

    return _turned(outputs_TBH), last, pullback


def dropout_draw(key: tuple[int, int] | None, streams: Array | None, batch_size: int) -> DropoutDraw | None:
    """The dropout of a key and of these streams, checked."""
    if key is None:
        return None
    if not isinstance(key, tuple) or len(key) != 2:
        raise SettingError("dropout_key", key, "must be a pair (seed, step)", "give two whole numbers")
    seed, step = (int(word) for word in key)
    whole(seed, "dropout_key", least=0, most=2**64 - 1)
    whole(step, "dropout_key", least=0, most=2**32 - 1)
    numbers = np.arange(batch_size) if streams is None else np.asarray(streams)
    if numbers.shape != (batch_size,) or numbers.dtype.kind not in "iu":
        raise SettingError(
            "streams",
            numbers.tolist(),
            f"must be {batch_size} whole numbers",
            "give each row's global number",
        )
    return DropoutDraw(seed, step, numbers)


def _turned(array: Array) -> Array:
    """[T,B,...] to [B,T,...] and back."""
    return np.ascontiguousarray(array.swapaxes(0, 1))
