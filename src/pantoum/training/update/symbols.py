"""What training knows of the symbols of a text, beside how many there are.

Shapes: V symbols, O parts of the spelling of a symbol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from pantoum.kernels import Array


@dataclass(frozen=True)
class Symbols:
    """What a recipe asks for; the same in every process."""

    counts_V: Array | None = None
    """How often each occurs in the training text, if a step compares its targets with samples."""
    parts_VO: Array | None = None
    """The parts of the spelling of each (``spelling.parts_of``), if those of like spelling learn together."""

    def arrays(self) -> dict[str, Array]:
        """Those that are there, by name, to be sent to other processes."""
        named = {f"symbols.{each.name}": getattr(self, each.name) for each in fields(self)}
        return {name: array for name, array in named.items() if array is not None}

    @staticmethod
    def of(arrays: Mapping[str, Array]) -> Symbols:
        """The inverse of ``arrays``, which may be among others."""
        return Symbols(**{each.name: arrays.get(f"symbols.{each.name}") for each in fields(Symbols)})


NO_SYMBOLS = Symbols()
"""Neither counts nor parts."""
