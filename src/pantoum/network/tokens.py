"""Token numbers as they come in: checked once, here, and made time-major."""

from __future__ import annotations

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels import Array

__all__ = ["time_major_targets", "time_major_tokens"]


def time_major_tokens(tokens_BT: object, vocab_size: int, argument: str = "tokens_BT") -> Array:
    """Tokens [T,B], int32; whole numbers from 0 to V-1."""
    tokens_BT = np.asarray(tokens_BT)
    if tokens_BT.ndim != 2 or not tokens_BT.size:
        raise SettingError(
            argument,
            tokens_BT.shape,
            "must have the shape [B, T], with no side empty",
            "give one row of tokens a stream",
        )
    if tokens_BT.dtype.kind not in "iu":
        raise SettingError(argument, tokens_BT.dtype.name, "must be whole numbers", "give an integer array")
    low, high = int(tokens_BT.min()), int(tokens_BT.max())
    if low < 0 or high >= vocab_size:
        raise SettingError(
            argument,
            low if low < 0 else high,
            f"must be token numbers from 0 to {vocab_size - 1}",
            "encode the text with this model's tokenizer",
        )
    return np.ascontiguousarray(tokens_BT.T, np.int32)


def time_major_targets(targets_BT: object, inputs_BT: object, vocab_size: int) -> Array:
    """Targets [T,B], of the inputs' shape."""
    targets_TB = time_major_tokens(targets_BT, vocab_size, "targets_BT")
    shape = np.asarray(inputs_BT).shape
    if targets_TB.T.shape != shape:
        raise SettingError(
            "targets_BT",
            targets_TB.T.shape,
            f"must have the inputs' shape {shape}",
            "give one target for each input",
        )
    return targets_TB
