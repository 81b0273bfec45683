"""How a model file holds counted n-grams: arrays of bytes among its extras.

    counts.weights           F32 [C]     the weight of the network for each class of contexts
    counts.discounts         F32 [O,3]   of each order
    counts.1.counts          numbers [V]
    counts.N.tokens          U8 [M,w]    the last token of each n-gram, w bytes, the lowest first
    counts.N.counts          numbers [M]
    counts.N.children        numbers [M] for all orders but the highest: n-grams of the next order
    counts.N.lost            numbers [M] likewise, if any is above 0 (``network.mixers.counts.Order``)

*Numbers* are a byte each, U8 under the name itself; 255 says that the number is the next one of
``NAME.large``, U32. Nearly all counts are small: an n-gram takes 4 to 5 bytes, of at most 256 symbols 2 to 4,
and a reader takes up to nine times as much. Everything is compared with the vocabulary and with each other
before it is used (``network.mixers.counts.Counts``).

Shapes: O orders, M n-grams of one order, V symbols, C classes of contexts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pantoum.formats.model_file import COUNTS as PREFIX
from pantoum.kernels import Array
from pantoum.network.mixers.counts import MOST_ORDER, CountMixture, Counts, Order

WEIGHTS, DISCOUNTS = PREFIX + "weights", PREFIX + "discounts"
LARGE = ".large"
ESCAPE = 255
MOST_WEIGHTS = 1024


def arrays_of(vocab_size: int, orders: Sequence[Order]) -> dict[str, Array]:
    """The arrays of counts, without the weights of the network beside them."""
    arrays: dict[str, Array] = {DISCOUNTS: np.stack([order.discounts_3 for order in orders])}
    width = _width(vocab_size)
    for number, order in enumerate(orders, start=1):
        name = f"{PREFIX}{number}."
        arrays |= _small(name + "counts", order.counts_M)
        if number > 1:
            wide_M = np.ascontiguousarray(order.tokens_M, "<u4")
            arrays[name + "tokens"] = np.ascontiguousarray(wide_M.view(np.uint8).reshape(-1, 4)[:, :width])
        if number < len(orders):
            arrays |= _small(name + "children", order.children_M)
            if order.lost_M.any():
                arrays |= _small(name + "lost", order.lost_M)
    return arrays


def with_weights(arrays: Mapping[str, Array], mixture: CountMixture) -> dict[str, Array]:
    """The arrays of counts with the weights of a mixture."""
    return {**arrays, WEIGHTS: mixture.weights_C}


def read(extras: Mapping[str, Array], vocab_size: int) -> CountMixture | None:
    """The counts among the extras of a file, ``None`` if there are none; ``ValueError``: what is wrong."""
    if not any(name.startswith(PREFIX) for name in extras):
        return None
    discounts, weights = _typed(extras, DISCOUNTS, "float32", 2), _typed(extras, WEIGHTS, "float32", 1)
    highest = len(discounts)
    if not 2 <= highest <= MOST_ORDER or discounts.shape != (highest, 3) or len(weights) > MOST_WEIGHTS:
        raise ValueError(f"its counts have discounts {discounts.shape} and {len(weights)} weights")
    orders = (_order(extras, number, highest, vocab_size, discounts) for number in range(1, highest + 1))
    return CountMixture(Counts(vocab_size, orders), weights.copy())


def _order(
    extras: Mapping[str, Array], number: int, highest: int, vocab_size: int, discounts: Array
) -> Order:
    """One order of the n-grams of a file."""
    name, width = f"{PREFIX}{number}.", _width(vocab_size)
    counts_M = _whole(extras, name + "counts")
    M = len(counts_M)
    if number == 1:
        tokens_M = np.arange(M, dtype=np.uint32)
    else:
        bytes_MW = _typed(extras, name + "tokens", "uint8", 2)
        if bytes_MW.shape != (M, width):
            raise ValueError(f"its {name}tokens are {bytes_MW.shape}, they must be {(M, width)}")
        wide_M4 = np.zeros((M, 4), np.uint8)
        wide_M4[:, :width] = bytes_MW
        tokens_M = wide_M4.view("<u4").reshape(M)
    none_M = np.broadcast_to(np.uint32(0), M)
    children_M = _whole(extras, name + "children") if number < highest else none_M
    lost_M = _whole(extras, name + "lost") if name + "lost" in extras else none_M
    return Order(tokens_M, counts_M, children_M, lost_M, discounts[number - 1])


def _width(vocab_size: int) -> int:
    """Bytes of a token."""
    return max(1, (int(vocab_size - 1).bit_length() + 7) // 8)


def _small(name: str, numbers_M: Array) -> dict[str, Array]:
    """Whole numbers as bytes, the large ones apart."""
    large = numbers_M[numbers_M >= ESCAPE].astype(np.uint32)
    return {
        name: np.minimum(numbers_M, ESCAPE).astype(np.uint8),
        **({name + LARGE: large} if len(large) else {}),
    }


def _whole(extras: Mapping[str, Array], name: str) -> Array:
    """The inverse of ``_small``: the bytes themselves where no number is large."""
    numbers_M = _typed(extras, name, "uint8", 1)
    escaped = int(np.count_nonzero(numbers_M == ESCAPE))
    large = _typed(extras, name + LARGE, "uint32", 1) if name + LARGE in extras else np.zeros(0, np.uint32)
    if len(large) != escaped:
        raise ValueError(f"its {name} has {escaped:,} large numbers, {len(large):,} are there")
    if not escaped:
        return numbers_M
    wide_M = numbers_M.astype(np.uint32)
    wide_M[numbers_M == ESCAPE] = large
    return wide_M


def _typed(extras: Mapping[str, Array], name: str, dtype: str, axes: int) -> Array:
    array = extras.get(name)
    if array is None or array.dtype.name != dtype or array.ndim != axes:
        found = "missing" if array is None else f"{array.dtype.name} {array.shape}"
        raise ValueError(f"its {name} is {found}: it must be {dtype} with {axes} axes")
    return array
