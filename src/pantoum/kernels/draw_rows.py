"""What the draw of the next token needs of each row of a batch: settings and counters, a column each.

The rows of a batch live in arrays that are longer than the batch, so that a row can be added, moved and left
without touching the others. ``sampler`` of a backend reads the settings and moves the counters on. A row's
window of recent tokens exists only where some row of the batch has a penalty, and its mask of allowed tokens
only where some row has one.

Shapes: R rows that there is room for, W tokens of a window, M words of a mask.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.types import Array

ALL = 0xFFFFFFFF
"""A word of a mask that allows all of its tokens."""
WINDOW = 64
"""Tokens that the repetition penalty looks back on."""
NOT_FINITE = "the model's scores are not finite: its weights are damaged; train it again or use another model"
COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "temperature": (np.float64, 1.0),
    "top_p": (np.float64, 1.0),
    "min_p": (np.float64, 0.0),
    "penalty": (np.float64, 1.0),
    "top_k": (np.int32, 0),
    "seed": (np.uint64, 0),
    "stream": (np.uint64, 0),
    "position": (np.uint64, 0),
    "written": (np.int64, 0),
    "nats": (np.float64, 0.0),
    "log_probability": (np.float64, 0.0),
    "tokens": (np.int32, 0),
}
"""dtype of each column, and the value of a row that says nothing of it (its filter is off)."""


class DrawRows:
    """The columns, of R rows each."""

    temperature: Array
    """Divides the logits; 0: the most probable token."""
    top_p: Array
    min_p: Array
    penalty: Array
    top_k: Array
    seed: Array
    stream: Array
    position: Array
    """The number of the draw within its stream."""
    written: Array
    """Tokens drawn so far."""
    nats: Array
    """What the model itself asks for all of them."""
    log_probability: Array
    """The log-probability of the last token."""
    tokens: Array
    """The last one."""

    def __init__(self, rows: int) -> None:
        self.recent_RW: Array | None = None
        self.allowed_RM: Array | None = None
        """Bit t % 32 of word t // 32: whether token t may be drawn."""
        for name, (dtype, value) in COLUMNS.items():
            setattr(self, name, np.full(rows, value, dtype))

    def __len__(self) -> int:
        return len(self.tokens)

    def set(self, row: int, **values: float) -> None:
        """Begin a row anew: these values, the others off."""
        for name, (_, value) in COLUMNS.items():
            getattr(self, name)[row] = values.get(name, value)
        if self.recent_RW is None and values.get("penalty", 1.0) != 1.0:
            self.recent_RW = np.full((len(self), WINDOW), -1, np.int32)
        if self.recent_RW is not None:
            self.recent_RW[row] = -1
        if self.allowed_RM is not None:
            self.allowed_RM[row] = ALL

    def mask(self, words: int) -> None:
        """Give each row a mask of so many words, which allows all tokens."""
        self.allowed_RM = np.full((len(self), words), ALL, np.uint32)

    def get(self, row: int) -> dict[str, float]:
        """The values of a row, for ``set``; without its window of recent tokens."""
        return {name: getattr(self, name)[row].item() for name in COLUMNS}

    def move(self, source: int, to: int) -> None:
        """One row's values in another's place."""
        for array in self.arrays():
            array[to] = array[source]

    def resize(self, rows: int) -> None:
        """Room for more or fewer rows; the first ones stay."""
        other, stay = DrawRows(rows), min(rows, len(self))
        if self.recent_RW is not None:
            other.recent_RW = np.full((rows, WINDOW), -1, np.int32)
        if self.allowed_RM is not None:
            other.mask(self.allowed_RM.shape[1])
        for new, array in zip(other.arrays(), self.arrays(), strict=True):
            new[:stay] = array[:stay]
        self.__dict__.update(other.__dict__)

    def arrays(self) -> list[Array]:
        """All columns."""
        columns: list[Array | None] = [getattr(self, name) for name in COLUMNS]
        return [each for each in (*columns, self.recent_RW, self.allowed_RM) if each is not None]
