"""Commands from rank 0 to the other ranks: a few words and, where needed, arrays.

Rank 0 runs the training loop; the others do what it says (``worker``). A command is a JSON object with an
``op``; arrays follow it by an exchange, whose sizes the command tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pantoum.config.plain import Plain
from pantoum.kernels import Array
from pantoum.ranks.interface import Ranks

__all__ = ["COUNTS", "command", "next_command", "receive_arrays", "send_arrays", "shapes"]


COUNTS = "counts"
"""The name of the counts of symbols among the arrays of a command."""


def command(ranks: Ranks, op: str, **words: object) -> None:
    """Give a command to all other ranks."""
    ranks.broadcast(json.dumps({"op": op, **words}).encode())


def next_command(ranks: Ranks) -> dict[str, Any]:
    """Wait for the next command."""
    found: dict[str, Plain] = json.loads(ranks.broadcast())
    return found


def shapes(arrays: Mapping[str, Array]) -> list[list[object]]:
    """Names, dtypes and shapes, for the words of a command."""
    return [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]


def send_arrays(ranks: Ranks, arrays: Iterable[Array], receivers: Sequence[int] | None = None) -> None:
    """Send arrays to these ranks, from rank 0 to every other one by default."""
    receivers = range(1, ranks.count) if receivers is None else receivers
    contiguous = [np.ascontiguousarray(array) for array in arrays if array.size]
    ranks.exchange([(rank, array) for rank in receivers for array in contiguous], [])()


def receive_arrays(ranks: Ranks, told: Iterable[Sequence[Any]], sender: int = 0) -> dict[str, Array]:
    """What ``send_arrays`` sends, of the ``shapes`` told."""
    arrays = {name: np.empty(shape, np.dtype(dtype)) for name, dtype, shape in told}
    ranks.exchange([], [(sender, array) for array in arrays.values() if array.size])()
    return arrays
