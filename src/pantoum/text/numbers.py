"""Token numbers: how they are kept, and the check that every decoder makes first.

Number 0 is ``<eos>`` in every tokenizer; ``<unk>``, where there is one, is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import SettingError

Tokens: TypeAlias = "NDArray[np.uint32]"
"""What ``encode`` returns."""
Numbers: TypeAlias = "NDArray[np.unsignedinteger[Any]]"
"""Token numbers in whatever width was at hand: the streaming side, where width is speed."""
Ids: TypeAlias = "Sequence[int] | NDArray[Any] | Iterable[int]"
"""What ``decode`` takes."""

EOS = 0
UNK = 1


class UnknownCount:
    """Counts the words or characters of a text that a vocabulary lacks, while the text is encoded."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, numbers: Numbers, written: int = 0) -> None:
        """Count the unknown among these tokens. ``written``: how many ``<unk>`` the text itself contains, for
        in a pre-tokenised corpus it is a word like any other."""
        self.count += int(np.count_nonzero(numbers == UNK)) - written


def smallest_dtype(count: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The narrowest little-endian unsigned type that holds the numbers below ``count``."""
    for code in ("u1", "<u2"):
        if count <= 1 << 8 * np.dtype(code).itemsize:
            return np.dtype(code)
    return np.dtype("<u4")


def joined(blocks: Iterable[Numbers]) -> Tokens:
    """Blocks of numbers as one uint32 array."""
    parts = [np.asarray(block, np.uint32) for block in blocks]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint32)


def whole_numbers(ids: Ids, vocab_size: int) -> list[int]:
    """The ids as Python ints, each of them checked to be in the vocabulary: a negative one would count
    from its end."""
    if isinstance(ids, np.ndarray):
        flat = ids.reshape(-1)
        fits = not flat.size or np.issubdtype(flat.dtype, np.integer)
        outside = flat[(flat < 0) | (flat >= vocab_size)][:1] if fits else flat[:1]
        if outside.size:
            raise _refusal(outside[0], vocab_size)
        whole: list[int] = flat.tolist()
        return whole
    if not isinstance(ids, Iterable):
        raise _refusal(ids, vocab_size)
    found: list[int] = []
    for one in ids:
        number = int(one) if isinstance(one, (int, np.integer)) else -1
        if not 0 <= number < vocab_size:
            raise _refusal(one, vocab_size)
        found.append(number)
    return found


def _refusal(value: object, vocab_size: int) -> SettingError:
    rule = f"must be token numbers from 0 to {vocab_size - 1}"
    return SettingError("ids", value, rule, "give numbers that this tokenizer made")
