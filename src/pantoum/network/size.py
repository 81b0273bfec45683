"""How many numbers a network has at least, from its configuration alone, before anything is made.

A configuration in a file is a few bytes that can ask for gigabytes. Whoever builds a network from a file
compares the two first: a network that the file's arrays can fill is at most some eight times as large as the
bound here, and every array is checked as soon as the network stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from pantoum.config import CELLS, ModelConfig
from pantoum.errors import FormatError
from pantoum.network.packing import Weight

__all__ = ["fewest_numbers", "require_filled"]

SPARE = 1 << 20


def fewest_numbers(config: ModelConfig, vocab_size: int) -> int:
    """A lower bound: input vectors, one gate of each layer over its inputs and its state, head, tables."""
    H, L, V, E = config.hidden_size, config.num_layers, vocab_size, config.embedding_size
    inputs = H * (V if E is None else E) + (L - 1) * H * H
    states = L * H * H if CELLS[config.cell].products else 0
    member = V * (E or 0) + inputs + states + (0 if config.tied else V * H)
    return config.members * member + config.table_rows * V


def require_filled(
    config: ModelConfig, vocab_size: int, arrays: Mapping[str, Weight], error: type[FormatError], path: object
) -> None:
    """Raise ``error`` where the arrays of a file hold far fewer numbers than its configuration needs.

    What lacks less than ``SPARE`` numbers is left to the check of each array, which names the wrong one.
    """
    config.check_tables(vocab_size)
    found, needed = sum(prod(array.shape) for array in arrays.values()), fewest_numbers(config, vocab_size)
    if found + SPARE < needed:
        raise error(
            f"{path}: its configuration needs at least {needed:,} numbers for {vocab_size:,} symbols, its "
            f"arrays hold {found:,}; use another copy of it, or train again"
        )
