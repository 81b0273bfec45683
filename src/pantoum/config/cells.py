"""Every recurrent cell, one row each: all that is said of a cell outside of its equations.

The equations stand in ``kernels/reference/<cell>.py`` and, for the native core, in
``core/kernels/cells.h``. What chooses, builds, packs, counts, reports or exports a cell reads this
table and names no cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CellSpec:
    """A recurrent cell. A *gate* is a block of H rows of its weights, H being the hidden size."""

    name: str
    """As people write it."""
    title: str
    """As people read it."""
    gates: tuple[str, ...]
    """In the order of the rows of ``weight_ih``, ``weight_hh`` and the biases."""
    products: tuple[int, ...] = ()
    """How many gates each product of the state with ``weight_hh`` serves in a step, the later waiting for the
    earlier; without a product there is no ``weight_hh``."""
    state: tuple[str, ...] = ("h",)
    """Its parts [B,H]; the first is the output, and the one that products take."""
    hidden_bias: bool = False
    """Whether there is a ``bias_hh`` beside ``bias_ih``."""
    biased: bool = False
    """Whether the last gate's part of ``bias_hh`` is added to its product alone, before another gate
    multiplies it."""
    biases: Mapping[str, float] = field(default_factory=dict)
    """Gates whose bias begins at this value, and not as the weights do."""
    torch: str | None = None
    """The module of ``torch.nn`` that has the same parameters."""
    onnx: tuple[str, str] | None = None
    """The operator of ONNX that computes it, and its gates in the order of that operator."""

    @property
    def kernel(self) -> str:
        """The name of its equations' files."""
        return self.name.replace("-", "_")


CELLS: Mapping[str, CellSpec] = {
    cell.name: cell
    for cell in (
        CellSpec("rnn", "tanh RNN", ("h",), (1,), hidden_bias=True, torch="RNN", onnx=("RNN", "h")),
        CellSpec(
            "gru",
            "GRU",
            ("r", "z", "n"),
            (3,),
            hidden_bias=True,
            biased=True,
            torch="GRU",
            onnx=("GRU", "zrn"),
        ),
        CellSpec(  # TensorFlow 1's GRUCell, whose u is z here; a new cell keeps its state
            "gru-before",
            "GRU with the reset before the product",
            ("r", "z", "n"),
            (2, 1),
            biases={"r": 1, "z": 1, "n": 0},
            onnx=("GRU", "zrn"),
        ),
        CellSpec(  # the open forget gate is that of Gers et al. 2000 and Jozefowicz et al. 2015
            "lstm",
            "LSTM",
            ("i", "f", "g", "o"),
            (4,),
            ("h", "c"),
            hidden_bias=True,
            biases={"f": 1},
            torch="LSTM",
            onnx=("LSTM", "iofg"),
        ),
        CellSpec("mingru", "minGRU", ("z", "n")),
    )
}
"""By name."""
