"""Counted contexts that learn while they read, in the core: ``reference.contexts``.

Shapes: T symbols, N networks, V of the vocabulary, Q decisions.
"""

from __future__ import annotations

import ctypes

import numpy as np

from pantoum.kernels.context_tables import ContextTables
from pantoum.kernels.native.library import core
from pantoum.kernels.native.tables import checked_tokens
from pantoum.kernels.types import Array

__all__ = ["CoreContextDecider", "context_decider", "context_probabilities", "read_contexts"]


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
        mixer=_struct(tables),
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
    tables: ContextTables, given_NV: Array | None = None, after_K: Array | None = None
) -> Array:
    """The probabilities [V] of the next symbol, ``after_K``: where these alone are before it. Nothing is
    learned: of the tables only ``where``, ``masses`` and ``pending`` change."""
    probabilities_V = np.empty(len(tables.symbols), np.float32)
    core().call(
        "context_probabilities",
        mixer=_struct(tables),
        given=_floats(given_NV),
        networks=0 if given_NV is None else len(given_NV),
        after=None if after_K is None else checked_tokens(after_K, len(tables.symbols), "after_K"),
        after_count=0 if after_K is None else len(after_K),
        probabilities=probabilities_V,
        vocabulary=len(tables.symbols),
    )
    return probabilities_V


class CoreContextDecider:
    """Symbols decision by decision: a call changes one number of its arguments."""

    def __init__(self, tables: ContextTables) -> None:
        self._symbol, self._chance = np.zeros(1, np.int32), np.zeros(1, np.uint32)
        self._kept = tables, _struct(tables)
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
            mixer=self._kept[1],
            given=given_NV,
            networks=0 if given_NV is None else len(given_NV),
            symbol=self._symbol,
            chance=self._chance,
            vocabulary=len(self._kept[0].symbols),
            outcome=-1,
        )


def context_decider(tables: ContextTables) -> CoreContextDecider:
    """What decodes symbols from decisions."""
    return CoreContextDecider(tables)


def _floats(given: Array | None) -> Array | None:
    return None if given is None else np.ascontiguousarray(given, np.float32)


def _struct(tables: ContextTables) -> ctypes.Structure:
    return core().struct("context_mixer", **tables.named())
