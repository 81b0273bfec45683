"""What the kernels take and give beside arrays and numbers.

Arrays are C-contiguous and time-major. ``Kernels`` is a module with the operations: ``reference``, which
states their equations and shapes, or ``native``, which has the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Kernels: TypeAlias = ModuleType
State: TypeAlias = Array | tuple[Array, Array]
"""The state of a cell: h [B,H], or (h, c)."""
Packs: TypeAlias = Literal["when asked", "as before", "for reading"]
"""When a matrix makes what its products need: when it is first asked for, at once what the matrix before in
its place had, or at once, for products alone."""
RowCall: TypeAlias = Callable[[int, int], None]
"""A step, or a draw, of the rows first .. first + count - 1 of a batch, called with (first, count); their
logits are the first ``count`` ones."""


class PackedMatrix(Protocol):
    """A weight [G,K] ready for many products. It does not follow a weight that changes: pack it again."""

    @property
    def precision(self) -> str:
        """``float32`` (the array's own), ``int8``, or what a backend has beside."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """(G, K)."""
        ...

    @property
    def coded(self) -> PackedMatrix | None:
        """The same weight in int8, if scans multiply with that; gradients are those of the weight itself."""
        ...

    def product(self, x_NK: Array, out: Array | None = None) -> Array:
        """x W^T, [N,G]."""
        ...

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """d W, [N,K]; a ``CoreError`` in int8."""
        ...


RecurrentWeight: TypeAlias = tuple[PackedMatrix, ...]
"""W_hh of a scan: a matrix for each product of a step."""


def forward_weights(weight_hh: RecurrentWeight) -> RecurrentWeight:
    """What the forward pass of a scan multiplies with: codes where there are some."""
    return tuple(each if each.coded is None else each.coded for each in weight_hh)


class DropoutDraw(NamedTuple):
    """Which dropout masks: those of this seed and step, for streams of these global numbers."""

    seed: int
    step: int
    streams_B: Any
    """Whole numbers: an array, or a tensor where PyTorch draws. Of embedded symbols, their own."""
    variational: bool = False
    """Whether one mask serves all steps of a chunk."""


class StepPart(NamedTuple):
    """A part of a model as the step of a whole model takes it: packed matrices, biases, tables.

    A model is a list of them: for each member ``inputs`` and its ``layer``s, then ``head``, ``ngrams`` and
    ``counts`` if it has these. The arrays of a state belong to the parts that have one, in this order."""

    kind: str
    values: Mapping[str, Any]


# Counted n-grams as the kernels look them up: contexts of 1, 2, ... tokens and their continuations.
# ``network.mixers.counts`` makes them, from numbers that it checks, and says what the numbers mean.
# V symbols, M contexts of one length that occurred, C continuations of all of them.
SIZES = 8
"""Classes of contexts of one length, by how often they occurred: once, twice, up to 4, 8, 16, ... times."""


@dataclass(frozen=True, eq=False)
class ContextsOfLength:
    """The contexts of one length."""

    starts: Array
    """Where the continuations of each context begin [M + 1], int32."""
    tokens_C: Array
    """The last token of each continuation, uint32; within a context ascending."""
    shares_C: Array
    """The probability of each by this length alone, float32."""
    left_M: Array
    """What each context leaves to the shorter ones, float32."""
    sizes_M: Array
    """A class of how often each occurred, int8; -1: nothing followed."""


@dataclass(frozen=True, eq=False)
class CountTree:
    """Contexts of all lengths. A continuation is the context of the next length that has its number."""

    unigrams_V: Array
    """The probabilities after no context, float32."""
    lengths: tuple[ContextsOfLength, ...]
    """Contexts of 1, ..., K tokens; those of 1 are all symbols."""
    shortest: int
    """The class of contexts of which nothing occurred."""


T = TypeVar("T")


class Workspace:
    """Named scratch arrays that are made once and reused from step to step; one owner, one thread.

    Fresh arrays would come from the system as untouched pages, and touching them costs more than the
    arithmetic on them; so whoever repeats a step owns a workspace and hands it down. An array is asked for by
    name; a name belongs to one use, and ``scope`` gives each layer names of its own. Contents are undefined
    when handed out, and a result in a workspace is valid until the next call with that workspace. It never
    shrinks.
    """

    def __init__(self, passing: Workspace | None = None) -> None:
        self._passing = passing
        self._owns_passing = passing is None
        self._arrays: dict[str, Array] = {}
        self._stores: dict[str, Array] = {}
        self._scopes: dict[str, Workspace] = {}
        self._kept: dict[str, Any] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """The array of this name, C-contiguous, of this shape and dtype; its contents are undefined."""
        known = self._arrays.get(name)
        if known is not None and known.shape == shape and known.dtype == dtype:
            return known
        size, dtype = int(np.prod(shape, dtype=np.int64)), np.dtype(dtype)
        store = self._stores.get(name)
        if store is None or store.dtype != dtype or store.size < size:
            store = self._stores[name] = np.empty(size, dtype)
        array = self._arrays[name] = store[:size].reshape(shape)
        return array

    def scope(self, name: str) -> Workspace:
        """The workspace of a part, such as a layer, whose names do not meet those of others."""
        if name not in self._scopes:
            self._scopes[name] = Workspace(self.passing)
        return self._scopes[name]

    @property
    def passing(self) -> Workspace:
        """Arrays that hold during one operation only: all scopes share them, so that what each layer needs
        for a moment is there once."""
        if self._passing is None:
            self._passing = Workspace()
        return self._passing

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """Something else that is made once and reused, such as packed weights: ``make()``, the first time."""
        if name not in self._kept:
            self._kept[name] = make()
        found: T = self._kept[name]
        return found

    @property
    def nbytes(self) -> int:
        """Bytes held, those of the scopes included."""
        own = sum(store.nbytes for store in self._stores.values())
        if self._owns_passing and self._passing is not None:
            own += self._passing.nbytes
        return own + sum(scope.nbytes for scope in self._scopes.values())


MOST = 127
"""The greatest code that there is."""
SMALLEST = np.float32(2.0**-100)
"""A row whose greatest is below counts as zeros."""


@dataclass(frozen=True, eq=False)
class RowCodes:
    """A large table of rows, only read: codes of a few bits of the rows in use, with a scale for each.

        code = row / scale, to the nearest whole number, ties to even, within -most .. most

    A number of the table is ``code * scale``. The scale is the smallest power of two that allows it, so the
    product is exact and the codes of a table that was coded before are the same again. Rows of zeros, which
    were never used, share place 0, where all is 0. Codes of eight bits with any scale per row are read in the
    same way. Shapes: R rows, U places, V columns.
    """

    codes_UV: Array
    """int8, -127 to 127."""
    scales_U: Array
    """float32."""
    places_R: Array
    """int32: where in ``codes_UV`` each row is."""

    def __post_init__(self) -> None:
        codes, scales, places = self.codes_UV, self.scales_U, self.places_R
        assert codes.dtype == np.int8 and codes.ndim == 2 and places.dtype == np.int32 and places.ndim == 1
        assert scales.dtype == np.float32 and scales.shape == codes.shape[:1]
        assert not places.size or (places.min() >= 0 and places.max() < len(codes))

    @staticmethod
    def of(table_RV: Array, most: int = MOST) -> RowCodes:
        """A table of float32, all of it finite. ``most``: the greatest code, at most 127: with a smaller one
        the codes are less exact, and compress better."""
        greatest_R = np.abs(table_RV).max(axis=1, initial=0)
        used_R = greatest_R >= SMALLEST
        share_U, exponents_U = np.frexp(greatest_R[used_R] / np.float32(most))
        exponents_U -= share_U == 0.5
        scales_U = np.ldexp(np.float32(1), np.concatenate([[0], exponents_U]))
        scales_U[0] = 0
        codes_UV = np.zeros((len(scales_U), table_RV.shape[1]), np.int8)
        codes_UV[1:] = np.rint(table_RV[used_R] / scales_U[1:, None])
        # With an even number of codes a greatest one that was rounded down may be half of it: such a row has
        # the form that coding it again gives.
        half_U = 2 * np.abs(codes_UV.astype(np.int16)).max(axis=1, initial=0) <= most
        half_U &= scales_U > 0
        codes_UV[half_U] *= 2
        scales_U[half_U] /= 2
        return RowCodes(codes_UV, scales_U.astype(np.float32), places(used_R))

    @staticmethod
    def whole(codes_RV: Array, scales_R: Array) -> RowCodes:
        """A table of which every row has codes of its own."""
        return RowCodes(codes_RV, scales_R, np.arange(len(codes_RV), dtype=np.int32))

    def __getitem__(self, rows: slice) -> RowCodes:
        return RowCodes(self.codes_UV, self.scales_U, self.places_R[rows])

    @property
    def shape(self) -> tuple[int, int]:
        """(R, V)."""
        return len(self.places_R), self.codes_UV.shape[1]

    def floats(self) -> Array:
        """The table that the codes stand for, float32."""
        rows_UV = self.codes_UV * self.scales_U[:, None]
        return np.ascontiguousarray(rows_UV[self.places_R], np.float32)


def places(used_R: Array) -> Array:
    """The place of each row, from which rows are used: these in order from 1 on, the others 0."""
    places_R: Array = np.cumsum(used_R, dtype=np.int32)
    places_R *= used_R
    return places_R


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
    """What the draw of the next token needs of each row of a batch: settings and counters, a column each.

    The rows of a batch live in arrays that are longer than the batch, so that a row can be added, moved and
    left without touching the others. ``sampler`` of a backend reads the settings and moves the counters on. A
    window of recent tokens exists only where some row has a penalty, a mask of allowed tokens only where some
    row has one. Shapes: R rows that there is room for, W tokens of a window, M words of a mask.
    """

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
