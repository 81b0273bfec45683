"""Counted contexts that learn while they read: their arrays, and the calls of the core that read with them.

``core/kernels/contexts.h`` says what each array holds. NumPy has no such contexts: a symbol would take it a
hundred times as long (``tests/oracle`` has them, to compare bits with). All arithmetic here, as there, is
sums, products and quotients in a fixed order: libraries round exponentials and logarithms as they please.

Shapes: T symbols, N networks, V of the vocabulary, Q decisions.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pantoum.kernels.native.library import core
from pantoum.kernels.native.tables import checked_tokens
from pantoum.kernels.types import Array

__all__ = [
    "ContextDecider",
    "ContextTables",
    "context_probabilities",
    "exp_of",
    "log_of",
    "logistic",
    "read_contexts",
]

CONTEXTS, MATCHES, CHAIN, EACH, INPUTS = 21, 2, 11, 4, 112
SET_SIZES = (32, 2048, 1024, 256, 1024, 256, 1024, 1024)
STATES, RUN_STATES, MATCH_STATES = 1024, 64, 32
RUN_MAPS = CONTEXTS * STATES
MATCH_MAPS = RUN_MAPS + CONTEXTS * RUN_STATES
FINAL_CONTEXTS, CURVES, CURVE_BITS, KNOTS = MATCH_STATES + 2 * 1024, 3, 14, 33
INDIRECT, INDIRECT_BITS = 1024, 16
HISTORY_BITS, MATCH_BITS = 22, 20
OF_COUNTS = CONTEXTS * EACH + 2 * MATCHES + CHAIN
WHERE, PENDING = 16, 512
READ, BEGUN, LINE, LINE_BEFORE, WORD0, WORD1, WORD2, SHAPE, DECISIONS, FOUND = range(10)
"""Places of ``where``: symbols read, where the document began, the line, the line before; the word begun and
the two before it, as hashes; the kinds of the last symbols; decisions learned from; then for each match where
it goes on, and for each how long it is."""
LONG = FOUND + MATCHES
LINE_BYTES = 64
SURE, UNSURE, FIRST_TIMES = 0.4, 0.8, 6
"""How a history of outcomes is taken at first: as if 0.4 of each had been seen before, one outcome making
those of the other kind before it worth 0.8 of what they were; worth six observations."""
START, START_LINK = 0.1, 0.6
"""The first weights of the mixer and of the chain."""
NETWORKS = 2
"""At most."""
RESULTS = len(SET_SIZES) + NETWORKS
"""What the second layer of the mixer weighs: the results of the first, and the networks."""


@dataclass(eq=False)
class ContextTables:
    """They change as symbols are read."""

    symbols: Array
    places: Array
    middles: Array
    kinds: Array
    folds: Array
    logits: Array
    slots: Array
    runs: Array
    matches: Array
    history: Array
    followed: Array
    maps: Array
    links: Array
    weights: Array
    finals: Array
    curves: Array
    where: Array
    masses: Array
    pending: Array

    @staticmethod
    def of(symbols: Array, middles: Array, kinds: Array, folds: Array, slot_bits: int) -> ContextTables:
        """Those of a reader that has read nothing, with 2^slot_bits pairs of slots."""
        V = len(symbols)
        places = np.empty(V, np.int32)
        places[symbols] = np.arange(V)
        parts = (np.arange(4096) + 0.5).astype(np.float32)
        logits = log_of(parts) - log_of(np.float32(4096.0) - parts)
        start = np.zeros(INPUTS, np.float32)
        start[: CONTEXTS * EACH : EACH] = start[CONTEXTS * EACH : CONTEXTS * EACH + 2 * MATCHES : 2] = START
        final = np.full(RESULTS, 1 / len(SET_SIZES), np.float32)
        final[-NETWORKS:] = 0.0
        knots = logistic((np.arange(KNOTS) - KNOTS // 2).astype(np.float32) * np.float32(0.5))
        maps = _first_maps()
        links = np.empty((RUN_MAPS, 2), np.float32)
        links[:, 0] = START_LINK
        links[:, 1] = np.float32(START_LINK) * logits[maps[:RUN_MAPS] >> 20]
        return ContextTables(
            symbols=np.ascontiguousarray(symbols, np.int32),
            places=places,
            middles=np.ascontiguousarray(middles, np.int32),
            kinds=np.ascontiguousarray(kinds, np.int32),
            folds=np.ascontiguousarray(folds, np.int32),
            logits=logits,
            slots=_lines(2 << max(4, slot_bits), np.uint32),
            runs=_lines(1 << max(2, slot_bits - 2), np.uint64),
            matches=np.zeros((MATCHES, 1 << MATCH_BITS), np.int32),
            history=np.zeros(1 << HISTORY_BITS, np.int32),
            followed=np.zeros(INDIRECT + (1 << INDIRECT_BITS), np.uint32),
            maps=maps,
            links=links,
            weights=_in_lines(np.tile(start, sum(SET_SIZES))),
            finals=np.tile(final, FINAL_CONTEXTS),
            curves=np.tile(knots, CURVES << CURVE_BITS),
            where=np.zeros(WHERE, np.int64),
            masses=np.zeros((NETWORKS, V + 1)),
            pending=np.zeros(PENDING, np.uint64),
        )

    def named(self) -> dict[str, Array]:
        """All arrays by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def struct(self) -> ctypes.Structure:
        """They as the core takes them."""
        return core().struct("context_mixer", **self.named())

    def copy(self) -> ContextTables:
        """The same in memory of their own."""
        return ContextTables(**{name: _in_lines(array) for name, array in self.named().items()})

    def beside(self) -> ContextTables:
        """The same, with memory of its own for what changes where nothing is learned."""
        scratch = {name: np.zeros_like(getattr(self, name)) for name in ("where", "masses", "pending")}
        return replace(self, **scratch)

    def forget(self) -> None:
        """Forget all that was read; what was learned of predicting stays."""
        decisions = self.where[DECISIONS]
        for array in (self.slots, self.runs, self.matches, self.history, self.followed, self.where):
            array[...] = 0
        self.where[DECISIONS] = decisions


def read_contexts(
    tables: ContextTables,
    tokens_T: Array,
    given_TNV: Array | None = None,
    resets_T: Array | None = None,
    predict: bool = True,
    chances_Q: Array | None = None,
) -> Array:
    """Nats [T] of symbols, each before it was learned from, mixed with what N networks gave; with ``predict``
    false all are 0, and only how often what came is learned. ``chances_Q`` takes those of all decisions."""
    V = len(tables.symbols)
    tokens_T = checked_tokens(tokens_T, V, "tokens_T")
    nats_T = np.zeros(len(tokens_T), np.float32)
    core().call(
        "read_contexts",
        mixer=tables.struct,
        tokens=tokens_T,
        given=_floats(given_TNV),
        networks=0 if given_TNV is None else given_TNV.shape[1],
        resets=None if resets_T is None else np.ascontiguousarray(resets_T, np.bool_),
        nats=nats_T if predict else None,
        chances=chances_Q,
        vocabulary=V,
    )
    return nats_T


def context_probabilities(
    tables: ContextTables,
    given_NV: Array | None = None,
    after_K: Array | None = None,
    mixed_V: Array | None = None,
    share: float = 0.0,
) -> Array:
    """The probabilities p [V] of the next symbol; ``after_K``: only these come before it, after the last of
    them that is no symbol. ``mixed_V``: logits that become logarithms of (1 - share) softmax + share p.
    Nothing is learned: of the tables only ``where``, ``masses`` and ``pending`` change."""
    probabilities_V = np.empty(len(tables.symbols), np.float32)
    core().call(
        "context_probabilities",
        mixer=tables.struct,
        given=_floats(given_NV),
        networks=0 if given_NV is None else len(given_NV),
        after=None if after_K is None else np.ascontiguousarray(after_K, np.int32),
        after_count=0 if after_K is None else len(after_K),
        probabilities=probabilities_V,
        mixed=mixed_V,
        share=share,
        vocabulary=len(tables.symbols),
    )
    return probabilities_V


class ContextDecider:
    """Symbols decision by decision: a call changes one number of its arguments."""

    def __init__(self, tables: ContextTables) -> None:
        self._symbol, self._chance = np.zeros(1, np.int32), np.zeros(1, np.uint32)
        self._tables, self._struct = tables, tables.struct
        self._operation, self._fill = core().operation("decide_context")
        self._arguments = self._filled(None)

    def begin(self, given_NV: Array | None = None) -> int:
        """The chance, of 2^22, that the first decision of the next symbol is right (1)."""
        self._arguments = self._filled(_floats(given_NV))
        return self.decide(-1)[0]

    def decide(self, outcome: int) -> tuple[int, int]:
        """(the chance of the next decision, -1) after this outcome of the one before, or where there is none,
        (that of the one before, the symbol)."""
        self._arguments.outcome = outcome
        status = self._operation(self._arguments)
        if status:
            core().refuse("decide_context", status)
        return int(self._chance[0]), int(self._symbol[0])

    def _filled(self, given_NV: Array | None) -> ctypes.Structure:
        self._given = given_NV
        return self._fill(
            mixer=self._struct,
            given=given_NV,
            networks=0 if given_NV is None else len(given_NV),
            symbol=self._symbol,
            chance=self._chance,
            vocabulary=len(self._tables.symbols),
            outcome=-1,
        )


def _floats(given: Array | None) -> Array | None:
    return None if given is None else np.ascontiguousarray(given, np.float32)


def _lines(count: int, kind: npt.DTypeLike) -> Array:
    """So many zeros; what is looked up at once lies in one line of the cache."""
    kind = np.dtype(kind)
    spare = LINE_BYTES // kind.itemsize
    zeros = np.zeros(count + spare, kind)
    first = -(zeros.ctypes.data // kind.itemsize) % spare
    return zeros[first : first + count]


def _in_lines(array: Array) -> Array:
    """A copy that begins where a line does."""
    copied = _lines(array.size, array.dtype).reshape(array.shape)
    copied[...] = array
    return copied


def _first_maps() -> Array:
    """The chances that a map is made with (22 bits), and how often they were seen (10 bits)."""
    chances = np.empty(MATCH_MAPS + MATCHES * MATCH_STATES)
    for outcomes in range(256):
        left = right = SURE
        for place in reversed(range(max(0, outcomes.bit_length() - 1))):
            if outcomes >> place & 1:
                left, right = UNSURE * left, right + 1.0
            else:
                left, right = left + 1.0, UNSURE * right
        chances[outcomes:RUN_MAPS:256] = right / (left + right)
    times = np.arange(RUN_STATES) // 2
    chances[RUN_MAPS:MATCH_MAPS] = np.tile((times + 1) / (times + 1.5), CONTEXTS)
    chances[MATCH_MAPS:] = np.tile(1.0 - 0.5 / (np.arange(MATCH_STATES) + 2), MATCHES)
    return ((chances * 4194303).astype(np.uint32) << 10 | FIRST_TIMES).astype(np.uint32)


def exp_of(x: Array | np.float32) -> Array:
    """exp x, float32, of -80 to 80."""
    kind = np.float32
    n = (x * kind(1.44269504) + kind(12582912.0)) - kind(12582912.0)
    r = (x - n * kind(0.693359375)) + n * kind(2.12194440e-4)
    y = np.full(np.shape(x), kind(1.0) / kind(5040.0), kind)
    for part in (720.0, 120.0, 24.0, 6.0):
        y = y * r + kind(1.0) / kind(part)
    for last in (0.5, 1.0, 1.0):
        y = y * r + kind(last)
    found: Array = (y.view(np.int32) + (n.astype(np.int32) << 23)).view(np.float32)
    return found


def log_of(x: Array | np.float32) -> Array:
    """log x, float32, of positive normal numbers."""
    kind, bits = np.float32, np.asarray(x, np.float32).view(np.int32)
    k = (bits - np.int32(0x3F3504F3)) >> 23
    m = (bits - (k << 23)).view(np.float32)
    y = (m - kind(1.0)) / (m + kind(1.0))
    z = y * y
    series = z * (kind(0.4) + z * (kind(0.28571429) + z * kind(0.22222222)))
    found: Array = k.astype(np.float32) * kind(0.69314718) + y * (kind(2.0) + z * (kind(0.66666667) + series))
    return found


def logistic(x: Array | np.float32) -> Array:
    """1 / (1 + exp -x), float32."""
    found: Array = np.float32(1.0) / (np.float32(1.0) + exp_of(-x))
    return found
