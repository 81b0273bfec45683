"""What comes in from outside is checked once, here, and made time-major: tokens, lengths, resets, dropout.
``require_finite`` checks what a model says of it. What each call has (tokens, targets, resets) words an error
only where there is one.

Shapes: B streams, T steps, V symbols.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pantoum.config import DropoutConfig, require, whole
from pantoum.errors import PantoumError, SettingError
from pantoum.kernels import Array, DropoutDraw
from pantoum.kernels.types import NOT_FINITE


def as_array(value: object) -> Array:
    """What NumPy makes of a value. Where that is nothing, as of rows of different lengths, it is an array
    that no check lets pass."""
    try:
        return np.asarray(value)
    except Exception:  # of an object that is no array after all
        return np.array(None)


def require_numbers(array: Array, argument: str, advice: str) -> None:
    """Raise ``SettingError`` where an array does not hold real numbers."""
    fits = array.dtype.kind in "fiub"
    require(fits, argument, array.dtype.name, "must be an array of numbers", advice)


def time_major_tokens(tokens_BT: object, vocab_size: int, argument: str = "tokens_BT") -> Array:
    """Tokens [T,B], int32; whole numbers from 0 to V-1."""
    tokens_BT = as_array(tokens_BT)
    if tokens_BT.ndim != 2 or not tokens_BT.size:
        rule, advice = "must have the shape [B, T], with no side empty", "give one row of tokens per stream"
        raise SettingError(argument, tokens_BT.shape, rule, advice)
    if tokens_BT.dtype.kind not in "iu":
        raise SettingError(argument, tokens_BT.dtype.name, "must be whole numbers", "give an integer array")
    low, high = int(tokens_BT.min()), int(tokens_BT.max())
    if low < 0 or high >= vocab_size:
        rule = f"must be token numbers from 0 to {vocab_size - 1}"
        advice = "encode the text with this model's tokenizer"
        raise SettingError(argument, low if low < 0 else high, rule, advice)
    return np.ascontiguousarray(tokens_BT.T, np.int32)


def time_major_targets(targets_BT: object, inputs_BT: object, vocab_size: int) -> Array:
    """Targets [T,B], of the inputs' shape."""
    targets_TB = time_major_tokens(targets_BT, vocab_size, "targets_BT")
    shape, expected = targets_TB.T.shape, np.asarray(inputs_BT).shape
    if shape != expected:
        rule, advice = f"must have the inputs' shape {expected}", "give one target for each input"
        raise SettingError("targets_BT", shape, rule, advice)
    return targets_TB


def check_lengths(lengths: object, batch_size: int, steps: int) -> Array | None:
    """Lengths [B] from 0 to T, as int64."""
    if lengths is None:
        return None
    lengths = as_array(lengths)
    given, fits = lengths.tolist(), lengths.shape == (batch_size,) and lengths.dtype.kind in "iu"
    require(fits, "lengths", given, f"must be {batch_size} whole numbers", "give one length per row")
    fits = bool(lengths.min() >= 0 and lengths.max() <= steps)
    require(fits, "lengths", given, f"must be from 0 to {steps}", "give lengths within the inputs")
    numbers: Array = lengths.astype(np.int64)
    return numbers


def check_resets(reset_BT: object, batch_size: int, steps: int) -> Array | None:
    """The reset mask, time-major; None where nothing is reset."""
    if reset_BT is None:
        return None
    reset_BT = as_array(reset_BT)
    if reset_BT.shape != (batch_size, steps) or reset_BT.dtype != bool:
        given = f"{reset_BT.dtype.name} {reset_BT.shape}"
        rule, advice = f"must be bool of shape ({batch_size}, {steps})", "give one mask of the inputs' shape"
        raise SettingError("reset_BT", given, rule, advice)
    return np.ascontiguousarray(reset_BT.T) if reset_BT.any() else None


def dropout_draw(
    dropout: DropoutConfig, key: tuple[int, int] | None, streams: Array | None, batch_size: int
) -> DropoutDraw | None:
    """The draw of a key and of these streams, checked."""
    if key is None:
        return None
    fits = isinstance(key, tuple) and len(key) == 2
    require(fits, "dropout_key", key, "must be a pair (seed, step)", "give two whole numbers")
    seed = whole(key[0], "dropout_key", least=0, most=2**64 - 1)
    step = whole(key[1], "dropout_key", least=0, most=2**32 - 1)
    numbers = np.arange(batch_size) if streams is None else as_array(streams)
    fits, rule = numbers.dtype.kind in "iu", f"must be {batch_size} whole numbers"
    fits = fits and numbers.shape == (batch_size,)
    require(fits, "streams", numbers.tolist(), rule, "give each row's global number")
    return DropoutDraw(seed, step, numbers, dropout.kind == "variational")


def require_finite(arrays: Iterable[Array]) -> None:
    """Raise ``PantoumError`` unless every number of these arrays is finite: every path that reads text with a
    model asks this of what it read. A NaN compares as false with every threshold, so a damaged model would
    raise no alert, and its text would pass as ordinary. Finite weights do not prevent it, because products of
    large weights overflow."""
    if not all(bool(np.isfinite(array).all()) for array in arrays):
        raise PantoumError(NOT_FINITE)
