"""What counted contexts say of a decision, and how they learn from it: the specification of
``core/kernels/context_counts.h``, in the same order and with the same bits.

Integers have any size, cut to 64 bits where a hash overflows; what is not an integer is float32.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.native import context_tables as sizes
from pantoum.kernels.native.context_tables import (
    BEGUN,
    FOUND,
    LINE,
    LINE_BEFORE,
    LONG,
    READ,
    SHAPE,
    WORD0,
    WORD1,
    WORD2,
    ContextTables,
    logistic,
)
from pantoum.kernels.types import Array

__all__ = ["BITS", "STEP", "WHOLE", "ContextCounts", "F", "mix", "within"]

F = np.float32
BITS = (1 << 64) - 1
MIX, STEP, WORD = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0x1234567
WHOLE = 1 << 22
CHAIN_RATE = F(0.02)
SLOWEST, MAP_SLOWEST = 250, 1023
FIRST_RUN, ORDERS, WAYS, GROUP, GROUP_WAYS = 2, 8, 4, 8, 2
LEAST = (12, 6)
FAR_OFF, COLUMNS = 100, 63
CHAINED, WORDS, BEFORE_WORDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14), 7, 3
SHARES = [131072 // (2 * n + 3) for n in range(1024)]


def mix(code: int, following: int) -> int:
    code = (code ^ following) * MIX & BITS
    return code ^ code >> 29


def within(x: np.float32, most: float) -> np.float32:
    return F(most) if x > F(most) else F(-most) if x < F(-most) else x


class ContextCounts:
    """What a reader of these tables counts."""

    def __init__(self, tables: ContextTables) -> None:
        self.a = tables
        self.where = tables.where
        self.group_shift, self.run_shift, self.match_shift = (
            67 - len(bin(size))
            for size in (len(tables.slots) // GROUP, len(tables.runs), tables.matches.shape[1])
        )
        self.mask = len(tables.history) - 1
        self.told, self.untold = 1 << 62, list[int]()
        self.node = self.low = self.high = self.inside = 0
        self.networks = 0

    @property
    def decided(self) -> bool:
        return self.high - self.low == 1

    @property
    def symbol(self) -> int:
        return int(self.a.symbols[self.low])

    def goes_right(self, symbol: int) -> bool:
        return bool(self.a.places[symbol] >= self.a.middles[self.node])

    def go(self, right: bool) -> None:
        middle = int(self.a.middles[self.node])
        if right:
            self.node, self.low = self.node + middle - self.low, middle
        else:
            self.node, self.high = self.node + 1, middle
        self.inside = 2 * self.inside + right
        if self.inside >= GROUP and not self.decided:
            self._find_groups()

    def count(self, right: bool) -> None:
        """Learn how often what came, without predicting: what that means is learned where it predicts."""
        middle = int(self.a.middles[self.node])
        for i in self.known:
            slot = self._seen_slot(i) or _first_slot(*self._run_at(i, middle))
            self._keep_slot(i, _slot_after(slot, right))

    def end(self, symbol: int) -> None:
        """The symbol is known."""
        a = self.a
        for i in range(FIRST_RUN, sizes.CONTEXTS):
            a.runs[self.run_places[i]] = _run_after(self.runs[i], symbol)
        for place in (
            self._recent(1) % sizes.INDIRECT,
            sizes.INDIRECT + (self._chained(2) >> 64 - sizes.INDIRECT_BITS),
        ):
            a.followed[place] = (int(a.followed[place]) << 10 | symbol & 1023) & 0xFFFFFFFF
        a.history[int(self.where[READ]) & self.mask] = symbol
        self._pass(symbol, learns=True)

    def follow_on(self, symbols: list[int]) -> None:
        """These symbols alone are before the next one. They follow what was read, and nothing is learned from
        them."""
        self.reset()
        self.told, self.untold = int(self.where[READ]), symbols
        for symbol in symbols:
            self._pass(symbol, learns=False)

    def reset(self) -> None:
        """A document begins: what was read before is no context any more."""
        self.where[[BEGUN, LINE, LINE_BEFORE]] = self.where[READ]
        self.where[[WORD0, WORD1, WORD2, SHAPE]] = 0
        self.where[LONG : LONG + sizes.MATCHES] = 0

    def _begin_counts(self) -> None:
        a = self.a
        self.hashes = [mix(code, 101 + i) for i, code in enumerate(self._codes())]
        self.runs, self.run_places = [0] * sizes.CONTEXTS, [-1] * sizes.CONTEXTS
        for i in range(FIRST_RUN, sizes.CONTEXTS):
            self._find_run(i)
        self.known = [i for i in range(sizes.CONTEXTS) if i < FIRST_RUN or self.runs[i] & 0x7FFF]
        self.inputs = np.zeros(sizes.INPUTS, np.float32)
        self.slots, self.groups, self.names = ([0] * sizes.CONTEXTS for _ in range(3))
        self.maps, self.run_maps = [-1] * sizes.CONTEXTS, [-1] * sizes.CONTEXTS
        self.expected = [
            self._at(int(self.where[FOUND + m])) if self._goes_on(m) else -1 for m in range(sizes.MATCHES)
        ]
        self.node = self.low = 0
        self.high = len(a.symbols)
        self._find_groups()

    def _at(self, place: int) -> int:
        return int(self.a.history[place & self.mask]) if place < self.told else self.untold[place - self.told]

    def _goes_on(self, m: int) -> bool:
        return bool(self.where[LONG + m]) and int(self.where[FOUND + m]) < self.told

    def _pass(self, symbol: int, learns: bool) -> None:
        self.where[READ] += 1
        self._end_word(symbol)
        for m in range(sizes.MATCHES):
            self._end_match(m, symbol, learns)

    def _recent(self, back: int) -> int:
        place = int(self.where[READ]) - back
        return self._at(place) + 1 if place >= self.where[BEGUN] else 0

    def _chained(self, count: int) -> int:
        code = 0
        for back in range(1, count + 1):
            code = (code + self._recent(back) + 1) * STEP & BITS
        return code

    def _codes(self) -> list[int]:
        """What each context is, as a hash."""
        a = self.a
        orders = [self._chained(count) for count in range(12)]
        word, word1, word2 = (int(self.where[place]) & BITS for place in (WORD0, WORD1, WORD2))
        shape = int(self.where[SHAPE])
        c1, c2, c3, c4 = (self._recent(back) for back in range(1, 5))
        outside = 0 if word else 16 * c1
        line = int(self.where[LINE])
        above_place = int(self.where[LINE_BEFORE] + self.where[READ]) - line
        above = self._at(above_place) + 1 if above_place < line else 0
        one = int(a.followed[c1 % sizes.INDIRECT]) & 0xFFFFF
        two = int(a.followed[sizes.INDIRECT + (orders[2] >> 64 - sizes.INDIRECT_BITS)]) & 0xFFFFF
        return [
            0,
            *orders[1:7],
            orders[8],
            mix(word, 1 + outside),
            mix(mix(word, 2 + outside), word1),
            mix(mix(mix(word, 3 + outside), word1), word2),
            mix(mix(c2, 4), c3),
            mix(mix(word, 5), word2),
            mix(mix(one, 6), c1),
            mix(mix(two, 7), c1),
            mix(mix(above, 8), c1),
            mix(mix(mix(c1, 9), c3), c4),
            mix(mix(shape & 0xFFFF, 10), c1),
            mix(mix(mix(word, 11), c1), mix(word1, c2)),
            mix(mix(mix(c2, 12), c3), c4),
            mix(mix(min(int(self.where[READ]) - line, COLUMNS), 13), c1),
        ]

    def _find_run(self, i: int) -> None:
        key = self.hashes[i] * STEP & BITS
        check, first, least = key >> 8 & 0xFFFFFF, key >> self.run_shift, BITS
        self.runs[i] = check << 40
        for way in range(WAYS):
            run = int(self.a.runs[first ^ way])
            if run & 0x7FFF and run >> 40 == check:
                self.runs[i], self.run_places[i] = run, first ^ way
                return
            if run & 0x7FFF < least:
                least, self.run_places[i] = run & 0x7FFF, first ^ way

    def _find_groups(self) -> None:
        """The slots of the next three levels."""
        slots, self.inside = self.a.slots, 1
        for i in self.known:
            key = (self.hashes[i] + (self.node + 1) * MIX) * STEP & BITS
            self.names[i], first, least = key >> 8 & 0xFFFFFFFF | 1, key >> self.group_shift, BITS
            for way in range(GROUP_WAYS):
                place = (first ^ way) * GROUP
                if slots[place] == self.names[i]:
                    self.groups[i] = place
                    break
                count = int(slots[place + 1]) & 255
                if count < least:
                    least, self.groups[i] = count, place

    def _ask_counts(self, middle: int) -> tuple[int, int, int, int]:
        """(the longest order seen, runs of one symbol alone, the match, the symbol that it expects)."""
        longest = sure = match = said = 0
        for i in self.known:
            counted, alone = self._ask_context(i, middle)
            longest = i if counted and i < ORDERS else longest
            sure += alone
        self.match_maps = [-1] * sizes.MATCHES
        for m in range(sizes.MATCHES):
            size = self._ask_match(m, middle)
            if size and not match:
                match, said = size, self.expected[m] + 1
        self._ask_chain()
        return longest, sure, match, said

    def _run_at(self, i: int, middle: int) -> tuple[int, bool, bool, bool]:
        """What the run of a context says of a decision: (how often in a row, whether its symbol can still
        come, whether on the right, whether nothing else ever came)."""
        run = self.runs[i]
        times, place = run & 0x7FFF, int(self.a.places[run >> 16 & 0xFFFFFF])
        return times, bool(times) and self.low <= place < self.high, place >= middle, bool(run & 0x8000)

    def _seen_slot(self, i: int) -> int:
        """The slot of a context at this node; 0: it has none."""
        slots, group = self.a.slots, self.groups[i]
        return int(slots[group + self.inside]) if slots[group] == self.names[i] else 0

    def _keep_slot(self, i: int, slot: int) -> None:
        slots, group = self.a.slots, self.groups[i]
        if slots[group] != self.names[i]:
            slots[group : group + GROUP] = 0
            slots[group] = self.names[i]
        slots[group + self.inside] = slot

    def _ask_context(self, i: int, middle: int) -> tuple[bool, bool]:
        a, x = self.a, self.inputs[i * sizes.EACH : (i + 1) * sizes.EACH]
        times, goes_on, right, alone = run = self._run_at(i, middle)
        slot = self._seen_slot(i) or _first_slot(*run)
        self.slots[i], count, first = slot, slot & 255, i * sizes.STATES
        self.maps[i] = first + _map_of(slot, a.maps[first : first + 256])
        map_ = int(a.maps[self.maps[i]])
        x[0], x[1] = a.logits[map_ >> 20], _centred(map_) * F(2.0)
        x[2], x[3] = a.logits[slot >> 20] if count else 0.0, 0.0
        self.run_maps[i] = -1
        if not goes_on:
            return bool(count), False
        kept = sizes.RUN_MAPS + i * sizes.RUN_STATES + min(times, 31) * 2 + alone
        said = a.logits[int(a.maps[kept]) >> 20]
        x[3], self.run_maps[i] = said if right else -said, kept << 1 | right
        return bool(count), alone

    def _ask_match(self, m: int, middle: int) -> int:
        a, place = self.a, sizes.CONTEXTS * sizes.EACH + 2 * m
        x = self.inputs[place : place + 2]
        x[:] = 0.0
        if self.expected[m] < 0:
            return 0
        place = int(a.places[self.expected[m]])
        if not self.low <= place < self.high:
            return 0
        length = int(self.where[LONG + m])
        for limit, less, divisor in ((16, 0, 1), (32, 12, 4), (64, 16, 8), (512, 23, 64)):
            if length < limit:
                size = less + length // divisor
                break
        else:
            size = 31
        kept, right = sizes.MATCH_MAPS + m * sizes.MATCH_STATES + size, place >= middle
        map_, sign = int(a.maps[kept]), F(1.0 if right else -1.0)
        x[0], x[1] = sign * a.logits[map_ >> 20], sign * (_centred(map_) * F(4.0))
        self.match_maps[m] = kept << 1 | right
        return size

    def _ask_chain(self) -> None:
        said, links = self.inputs[0], self.a.links
        self.before, self.after = np.zeros(sizes.CHAIN, np.float32), np.zeros(sizes.CHAIN, np.float32)
        for j, context in enumerate(CHAINED):
            if j == WORDS:
                said = self.after[BEFORE_WORDS]
            self.before[j], map_ = said, self.maps[context]
            if map_ >= 0:
                said = within(links[map_, 0] * said + links[map_, 1], 12.0)
            self.after[j] = said
        place = sizes.CONTEXTS * sizes.EACH + 2 * sizes.MATCHES
        self.inputs[place : place + sizes.CHAIN] = self.after

    def _learn_counts(self, right: bool) -> None:
        a, y = self.a, F(right)
        for i in self.known:
            _learn_map(a.maps, self.maps[i], right, MAP_SLOWEST)
            self._keep_slot(i, _slot_after(self.slots[i], right))
            if self.run_maps[i] >= 0:
                _learn_map(a.maps, self.run_maps[i] >> 1, right == (self.run_maps[i] & 1), 1023)
        for kept in self.match_maps:
            if kept >= 0:
                _learn_map(a.maps, kept >> 1, right == (kept & 1), 1023)
        for j, context in enumerate(CHAINED):
            kept = self.maps[context]
            if kept >= 0:
                step = (y - logistic(self.after[j])) * CHAIN_RATE
                a.links[kept, 0] += step * self.before[j]
                a.links[kept, 1] += step * F(0.5)

    def _end_word(self, symbol: int) -> None:
        kind, where = int(self.a.kinds[symbol]), self.where
        word, letter = int(where[WORD0]) & BITS, int(self.a.folds[symbol]) + 1
        if kind == 1 or (kind == 4 and not word):
            where[WORD0] = _signed(mix(word + WORD & BITS, letter))
        elif word:
            where[WORD2], where[WORD1] = where[WORD1], where[WORD0]
            where[WORD0] = _signed(mix(WORD, letter)) if kind == 4 else 0
        if kind == 3:
            where[LINE_BEFORE], where[LINE] = where[LINE], where[READ]
        where[SHAPE] = (int(where[SHAPE]) << 2 | kind & 3) & 0xFFFFFFFF

    def _end_match(self, m: int, symbol: int, learns: bool) -> None:
        where, read, begun = self.where, int(self.where[READ]), int(self.where[BEGUN])
        length, found = int(where[LONG + m]), int(where[FOUND + m])
        if self._goes_on(m) and self._at(found) == symbol:
            found, length = found + 1, min(length + 1, 65535)
        else:
            length = 0
        place = self._chained(LEAST[m]) >> self.match_shift
        candidate = int(self.a.matches[m, place])
        if not length and candidate:
            most = min(32, candidate, read - begun)
            while length < most and self._at(candidate - 1 - length) == self._at(read - 1 - length):
                length += 1
            length, found = 0 if length < LEAST[m] else length, candidate
        where[LONG + m], where[FOUND + m] = length, found
        if learns:
            self.a.matches[m, place] = read


def _run_after(run: int, symbol: int) -> int:
    count, kept = run & 0x7FFF, run >> 40 << 40 | symbol << 16
    if not count:
        return kept | 0x8001
    if run >> 16 & 0xFFFFFF != symbol:
        return kept | 1
    return kept | run & 0x8000 | min(count + 1, 0x7FFF)


def _first_slot(times: int, goes_on: bool, right: bool, alone: bool) -> int:
    """What a slot begins with: a context has slots from its second occurrence on, so the run knows what came
    before."""
    slot = 32768 << 16 | 1 << 8
    for _ in range(min(3, times) if goes_on and alone else 0):
        slot = _slot_after(slot, right)
    return slot


def _slot_after(slot: int, right: bool) -> int:
    count, outcomes, slow = slot & 255, (slot >> 8 & 255) << 1 | right, slot >> 16
    slow += (65535 * right - slow) * SHARES[min(count, SLOWEST)] >> 16
    outcomes = outcomes if outcomes < 256 else 128 | outcomes & 127
    return slow << 16 | outcomes << 8 | min(count + 1, 255)


def _map_of(slot: int, maps: Array) -> int:
    """The map of a slot, of those of its context: by its last outcomes, and where there were more, by whether
    all of them say less, about as much or more."""
    last = slot >> 8 & 255
    more = (slot >> 20) - (int(maps[last]) >> 20)
    return last + (0 if slot & 255 < 8 else 256 if more < -FAR_OFF else 768 if more > FAR_OFF else 512)


def _learn_map(maps: Array, place: int, right: bool, slowest: int) -> None:
    chance, count = int(maps[place]) >> 10, int(maps[place]) & 1023
    chance += ((WHOLE - 1) * right - chance) * SHARES[count] >> 16
    maps[place] = chance << 10 | (count + 1 if count < slowest else count)


def _centred(map_: int) -> np.float32:
    centred: np.float32 = F(map_ >> 10) * F(1 / WHOLE) - F(0.5)
    return centred


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number
