"""Counted contexts that learn while they read: the specification of ``core/kernels/context_mixer.h``, in the
same order and with the same bits, a symbol at a time.

Shapes: T symbols, N networks, V of the vocabulary, Q decisions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pantoum.kernels.native import context_tables as sizes
from pantoum.kernels.native.context_tables import (
    DECISIONS,
    SHAPE,
    ContextTables,
    exp_of,
    log_of,
    logistic,
)
from pantoum.kernels.types import Array
from tests.oracle.context_counts import BITS, STEP, WHOLE, ContextCounts, F, mix, within

__all__ = ["ContextDecider", "context_decider", "context_probabilities", "read_contexts"]

RATE, FIRST_RATE, SLOWING = F(0.0013), F(0.02), F(0.0005)
FINAL_RATE, FIRST_FINAL_RATE = F(0.002), F(0.01)
CURVE_RATE, CURVE_SHARE = F(0.02), F(0.5)
IMPROBABLE, LEAST_MASS = F(1 / 4096), 1e-20


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
    reader, nats_T, place = MixedContexts(tables), np.zeros(len(tokens_T), np.float32), 0
    for t, symbol in enumerate(tokens_T.tolist()):
        if resets_T is not None and resets_T[t]:
            reader.reset()
        reader.begin(None if given_TNV is None else given_TNV[t])
        nats = 0.0
        while not reader.decided:
            right = reader.goes_right(symbol)
            if predict:
                chance = reader.chance()
                given = chance if right else WHOLE - chance
                nats -= float(log_of(F(given) * F(1 / WHOLE)))
                if chances_Q is not None:
                    chances_Q[place] = given << 1 | right
                    place += 1
                reader.learn(right)
            else:
                reader.count(right)
            reader.go(right)
        nats_T[t] = nats
        reader.end(symbol)
    return nats_T


def context_probabilities(
    tables: ContextTables, given_NV: Array | None = None, after_K: Array | None = None
) -> Array:
    """The probabilities [V] of the next symbol, ``after_K``: where these alone are before it. Nothing is
    learned: of the tables only ``where``, ``masses`` and ``pending`` change."""
    reader, probabilities_V = MixedContexts(tables), np.empty(len(tables.symbols), np.float32)
    if after_K is not None:
        reader.follow_on(after_K.tolist())
    reader.begin(given_NV)
    for symbol, share in reader.spread(F(1.0)):
        probabilities_V[symbol] = share
    return probabilities_V


class ContextDecider:
    """Symbols decision by decision."""

    def __init__(self, tables: ContextTables) -> None:
        self._reader, self._chance = MixedContexts(tables), 0

    def begin(self, given_NV: Array | None = None) -> int:
        """The chance, of 2^22, that the first decision of the next symbol is right (1)."""
        self._reader.begin(given_NV)
        self._chance = self._reader.chance()
        return self._chance

    def decide(self, outcome: int) -> tuple[int, int]:
        """(the chance of the next decision, -1) after this outcome of the one before, or where there is none,
        (that of the one before, the symbol)."""
        reader, right = self._reader, outcome == 1
        reader.learn(right)
        reader.go(right)
        if reader.decided:
            symbol = reader.symbol
            reader.end(symbol)
            return self._chance, symbol
        self._chance = reader.chance()
        return self._chance, -1


def context_decider(tables: ContextTables) -> ContextDecider:
    """What decodes symbols from decisions."""
    return ContextDecider(tables)


class MixedContexts(ContextCounts):
    """A reader of these tables."""

    def begin(self, given_NV: Array | None) -> None:
        a = self.a
        self.networks = 0 if given_NV is None else len(given_NV)
        for n, given_V in enumerate([] if given_NV is None else given_NV):
            below_V = np.asarray(given_V, np.float32)[a.symbols] - np.max(given_V)
            summands_V = exp_of(np.maximum(below_V, F(-80.0))).astype(np.float64)
            a.masses[n, 1:] = np.add.accumulate(summands_V)
        self._begin_counts()

    def chance(self) -> int:
        """The chance of 2^22 that the way goes right."""
        a, middle = self.a, int(self.a.middles[self.node])
        asked, x, place = self._ask_counts(middle), self.inputs, sizes.OF_COUNTS
        x[place + 2 * sizes.NETWORKS] = 0.4
        for n, mass in enumerate(a.masses[: self.networks]):
            right, left = mass[self.high] - mass[middle], mass[middle] - mass[self.low]
            logit = log_of(F(max(right, 1e-30))) - log_of(F(max(left, 1e-30)))
            x[place + 2 * n] = within(F(logit), 12.0)
            x[place + 2 * n + 1] = (logistic(x[place + 2 * n]) - F(0.5)) * F(2.0)
        return self._mixed(*asked)

    def learn(self, right: bool) -> None:
        """The way that was taken."""
        self._learn_counts(right)
        self._learn_mixture(F(right))

    def spread(self, share: np.float32) -> Iterator[tuple[int, np.float32]]:
        """The probabilities of all symbols below the node, which make up ``share``. What is improbable is
        divided as the networks divide it: a large vocabulary has thousands of such symbols."""
        if self.decided:
            yield self.symbol, share
            return
        if self.networks and share < IMPROBABLE:
            yield from self._divided(share)
            return
        here = self.node, self.low, self.high, self.inside, list(self.groups), list(self.names)
        right = self.chance()
        for way in (False, True):
            self.node, self.low, self.high, self.inside = here[:4]
            self.groups, self.names = list(here[4]), list(here[5])
            self.go(way)
            yield from self.spread(share * (F(right if way else WHOLE - right) * F(1 / WHOLE)))

    def _divided(self, share: np.float32) -> Iterator[tuple[int, np.float32]]:
        masses, own = self.a.masses[: self.networks], np.s_[self.low : self.high]
        parts = [
            (np.diff(mass[self.low : self.high + 1]) + LEAST_MASS)
            / (mass[self.high] - mass[self.low] + (self.high - self.low) * LEAST_MASS)
            for mass in masses
        ]
        shares = share * (np.add.accumulate(parts)[-1] / self.networks).astype(np.float32)
        yield from zip(self.a.symbols[own].tolist(), shares, strict=True)

    def _mixed(self, longest: int, sure: int, match: int, said: int) -> int:
        a, x = self.a, self.inputs
        guide = F(0.0) if self.networks else x[3 * sizes.EACH]
        for n in range(self.networks):
            guide = guide + x[sizes.OF_COUNTS + 2 * n] / F(self.networks)
        sureness = int((within(guide, 7.9) + F(8.0)) * F(2.0))
        c1, c2 = self._recent(1), self._recent(2)
        chosen = (
            match,
            self.node,
            c1,
            longest * 24 + min(sure, 23),
            c2,
            int(self.where[SHAPE]),
            said,
            sureness * 32 + match,
        )
        base, self.weights, self.results = 0, [], np.zeros(sizes.RESULTS, np.float32)
        for s, (size, one) in enumerate(zip(sizes.SET_SIZES, chosen, strict=True)):
            start = (base + one % size) * sizes.INPUTS
            self.weights.append(slice(start, start + sizes.INPUTS))
            base += size
            sums = np.zeros(16, np.float32)
            for part in (a.weights[self.weights[s]] * x).reshape(-1, 16):
                sums = sums + part
            for half in (8, 4, 2, 1):
                sums = sums[:half] + sums[half : 2 * half]
            self.results[s] = within(sums[0], 15.0)
        sets = len(sizes.SET_SIZES)
        self.chances = logistic(self.results[:sets])
        self.results[sets:] = x[sizes.OF_COUNTS : sizes.OF_COUNTS + 2 * sizes.NETWORKS : 2]
        mean, self.finals, self.final_chances = F(0.0), [], []
        first = sizes.MATCH_STATES
        for context in (match, first + c1 % 1024, first + 1024 + self.node % 1024):
            own = slice(context * sizes.RESULTS, (context + 1) * sizes.RESULTS)
            total = within(np.add.accumulate(np.append(F(0.0), a.finals[own] * self.results))[-1], 15.0)
            self.finals.append(own)
            self.final_chances.append(logistic(total))
            mean = mean + total * (F(1.0) / F(3.0))
        place = within(mean, 7.99) * F(2.0) + F(16.0)
        knot = int(place)
        self.between = place - F(knot)
        one = mix(mix(c1, 5), self.node)
        codes = (one, mix(one, c2), mix(mix(self.hashes[3], 77), self.node))
        corrected, self.knots = F(0.0), []
        for number, code in enumerate(codes):
            row = (number << sizes.CURVE_BITS) + ((code * STEP & BITS) >> 64 - sizes.CURVE_BITS)
            self.knots.append(row * sizes.KNOTS + knot)
            below, above = a.curves[self.knots[-1] : self.knots[-1] + 2]
            corrected = corrected + (below * (F(1.0) - self.between) + above * self.between)
        chance = logistic(mean) * (F(1.0) - CURVE_SHARE) + corrected * (CURVE_SHARE / F(sizes.CURVES))
        return min(max(int(chance * F(WHOLE)), 1), WHOLE - 1)

    def _learn_mixture(self, y: np.float32) -> None:
        a = self.a
        self.where[DECISIONS] += 1
        slower = F(1.0) / (F(1.0) + F(self.where[DECISIONS]) * SLOWING)
        rate, final_rate = RATE + FIRST_RATE * slower, FINAL_RATE + FIRST_FINAL_RATE * slower
        for own, chance in zip(self.weights, self.chances, strict=True):
            a.weights[own] += (y - chance) * rate * self.inputs
        for own, chance in zip(self.finals, self.final_chances, strict=True):
            a.finals[own] += (y - chance) * final_rate * self.results
        for knot in self.knots:
            a.curves[knot] += (y - a.curves[knot]) * (CURVE_RATE * (F(1.0) - self.between))
            a.curves[knot + 1] += (y - a.curves[knot + 1]) * (CURVE_RATE * self.between)
