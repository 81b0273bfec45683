"""Counted contexts that learn while they read: what was said before, exactly and at once, beside a network.

A ``ContextMixer`` reads one stream of symbols. It predicts each by what came after the same last symbols,
after the same beginning of a word, and after the longest earlier passage that ends in the same way; it mixes
these predictions with that of a network, where there is one, by weights that it learns, too, and then it
learns from the symbol (``core/kernels/contexts.h``). It has no gradient and no part in training. Its memory
is bounded: what was seen least makes room.

Its arithmetic is the same on every machine, so what it says can be coded and decoded again. A coder asks for
``chances``, one for each decision on a symbol's path; a decoder for the chance of one decision at a time.

Beside a network that writes, a ``ContextMixture`` expects what the contexts have read again:

    p(w) = (1 - v) p_network(w) + v p_contexts(w)

The contexts are given the network's logits, too. Nothing is learned from what is read or written here: any
number of streams share the contexts, and what a stream has of its own is its last tokens. A weight v is known
from how well both predicted what the contexts have read.

Shapes: T symbols or steps, B rows (streams), N networks, or tokens, K tokens before one, V of the vocabulary,
Q decisions.
"""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pantoum.errors import CoreError
from pantoum.kernels import Array, without_core
from pantoum.kernels.native.context_tables import (
    DECISIONS,
    HISTORY_BITS,
    NETWORKS,
    READ,
    RESULTS,
    ContextDecider,
    ContextTables,
    context_probabilities,
    read_contexts,
)
from pantoum.network.mixers import Found, History, Mixer, ReadTokens
from pantoum.network.spec import StateArray

MOST_SYMBOLS = 1 << 13
"""The largest vocabulary that a path through a tree is worth while for."""
SLOT_BITS = 22
"""2^22 pairs of slots, and a quarter as many runs: 40 MB, and 36 MB of other arrays."""
LEARNED = ("maps", "links", "weights", "finals", "curves")
"""What depends on more than the symbols that were read: what was learned where they were predicted."""
MOST_WEIGHT = 1e6
MOST_READ, SPARE, READ_AGAIN = 1 << HISTORY_BITS, 1 << 12, 1 << 20
"""Symbols that a reader can hold; how many free places make it full; how many it then reads again."""
RECENT = 160
"""Tokens that a context beside a network may look back on: two lines of a text, or a match of 32 and three
long words."""
IMPOSSIBLE = "contexts hold what no text leaves there"
JOINED, JOINED_FIRST = (0.4, 0.6), (0.2, 1.0)
"""The first weights of contexts and of the networks that join them, in all, after they have read something,
and before."""
WORD, DIGIT, ENDS_LINE, BEGINS = 1, 2, 3, 4
"""Kinds of symbols; 0: another."""


class ContextMixer:
    """Reads one stream of symbols and learns from each."""

    def __init__(
        self,
        texts: Sequence[bytes],
        counts_V: npt.NDArray[np.int64] | None = None,
        *,
        beside: int = 0,
        slot_bits: int = SLOT_BITS,
    ) -> None:
        """``texts``: of each symbol; ``counts_V``: how often each occurs, about (all alike): frequent symbols
        take fewer decisions; ``beside``: so many networks join them from the beginning (``join``)."""
        if (reason := without_core()) is not None:
            raise CoreError(
                f"counted contexts, which compress a text, need the native core, and {reason}; install "
                "pantoum with a C++ compiler"
            )
        symbols_V, middles = _tree(texts, counts_V)
        self._tables = ContextTables.of(symbols_V, middles, *_kinds(texts), slot_bits)
        self._slot_bits, self._depths_V = slot_bits, _depths(symbols_V, middles)
        self._borders: list[Array] = []
        """How many symbols had been read where documents began."""
        self._first = 0
        """How many symbols a state does not hold: those that were read first."""
        self._expecting, self._lock = self._tables.beside(), threading.Lock()
        """The same tables, for what changes nothing; one call at a time."""
        if beside:
            self.join(beside)

    @property
    def nbytes(self) -> int:
        """Its memory."""
        return sum(array.nbytes for array in self._tables.named().values())

    def read(self, tokens_T: Array, logits_TNV: Array | None = None, resets_T: Array | None = None) -> Array:
        """Nats [T] of symbols, each before it was learned from. ``logits_TNV``: by networks;
        ``resets_T``: a document begins with the symbol."""
        return read_contexts(self._tables, tokens_T, logits_TNV, self._resets(resets_T))

    def chances(self, tokens_T: Array, logits_TNV: Array | None = None) -> Array:
        """Read symbols as ``read`` does; for each decision on their paths twice the chance, of 2^22, of the
        way that was taken, plus 1 where that is right [Q]."""
        chances_Q = np.empty(int(self._depths_V[tokens_T].sum()), np.uint32)
        read_contexts(self._tables, tokens_T, logits_TNV, None, chances_Q=chances_Q)
        return chances_Q

    def decider(self) -> ContextDecider:
        """What decodes symbols from decisions: ``begin(logits_NV)`` gives the chance of right, of 2^22, of
        the first, ``decide(outcome)`` that of the next and -1, or with the last outcome the symbol, which is
        then learned."""
        return ContextDecider(self._tables)

    def count(self, tokens_T: Array, resets_T: Array | None = None) -> None:
        """Learn how often what came, without predicting."""
        read_contexts(self._tables, tokens_T, None, self._resets(resets_T), predict=False)

    def probabilities(
        self, logits_NV: Array | None = None, after_K: Array | None = None, *mixed: Any
    ) -> Array:
        """The probabilities [V] of the next symbol; nothing changes. ``read`` gives about these: it learns
        from each decision on the path of a symbol before the next one. ``after_K``: what comes before it, in
        place of what was read last; ``mixed``: logits to mix them into, and their weight."""
        with self._lock:
            self._expecting.where[...] = self._tables.where
            return context_probabilities(self._expecting, logits_NV, after_K, *mixed)

    def join(self, networks: int = 1) -> None:
        """From now on networks give logits: believe mostly what they say, and learn how much."""
        own, theirs = JOINED if self._tables.where[READ] else JOINED_FIRST
        finals = self._tables.finals.reshape(-1, RESULTS)
        finals[:, :-NETWORKS] *= np.float32(own)
        finals[:, -NETWORKS:][:, :networks] = theirs / networks

    def copy(self) -> ContextMixer:
        """Another that goes on from here by itself."""
        other = object.__new__(ContextMixer)
        other.__dict__.update(self.__dict__)
        other._tables, other._borders = self._tables.copy(), list(self._borders)
        other._expecting, other._lock = other._tables.beside(), threading.Lock()
        return other

    @property
    def is_full(self) -> bool:
        """Whether it cannot remember much more text: it must begin anew."""
        return bool(self._tables.where[READ] > MOST_READ - SPARE)

    def begin_anew(self) -> None:
        """Forget all but the last symbols, and what was learned of predicting."""
        read = int(self._tables.where[READ])
        first, borders = read - READ_AGAIN, self._all_borders()
        tokens_T = self._tables.history[np.arange(first, read) % MOST_READ]
        self._tables.forget()
        self._first, self._borders = 0, []
        self._count(tokens_T, borders[borders >= first] - first)

    def remember_from_here(self) -> None:
        """States leave out what was read so far: whoever resumes one reads the same text first."""
        self._first, self._borders = int(self._tables.where[READ]), []

    def kept(self) -> dict[str, Array]:
        """Where it stands: the symbols that were read, because what is counted follows from them, and what it
        learned of predicting. Tables of a hundred megabytes are then a byte or less per symbol."""
        own, first = self._tables, self._first
        text = own.history[first : int(own.where[READ])].astype(np.uint16)
        arrays = {
            "text": text,
            "borders": self._all_borders(),
            **{name: getattr(own, name) for name in LEARNED},
        }
        packed = {
            name: np.frombuffer(zlib.compress(array.tobytes(), 6), np.uint8) for name, array in arrays.items()
        }
        numbers = first, self._checksum(first), len(text), self._slot_bits, own.where[DECISIONS]
        return {**packed, "numbers": np.array(numbers, np.int64)}

    def resume(self, arrays: Mapping[str, Array]) -> None:
        """Go on from there, a reader that has read nothing but what the other had read first; ``ValueError``
        or ``KeyError`` where it cannot be."""
        own = self._tables
        first, checksum, size, slot_bits, decisions = arrays["numbers"].tolist()
        if slot_bits != self._slot_bits or (first and (first, checksum) != self._read_first()):
            raise ValueError("it began with the training text that its run kept, which is not the one here")
        if not (0 <= first <= MOST_READ and 0 <= size <= MOST_READ - first and decisions >= 0):
            raise ValueError(IMPOSSIBLE)
        text = _unpacked(arrays["text"], np.uint16, size)
        borders = _unpacked(arrays["borders"], np.int64)
        learned = {
            name: _unpacked(arrays[name], getattr(own, name).dtype, getattr(own, name).size)
            for name in LEARNED
        }
        bounds = np.concatenate([[first], borders, [first + size]])
        fits = bool((text < len(own.symbols)).all()) and bool((np.diff(bounds) >= 0).all())
        weights = [array for name, array in learned.items() if name != "maps"]  # every map is one
        if not (fits and all((np.abs(array) < MOST_WEIGHT).all() for array in weights)):
            raise ValueError(IMPOSSIBLE)
        if not first and own.where[READ]:
            own.forget()
        self._first, self._borders = first, []
        self._count(text, borders)
        for name, array in learned.items():
            getattr(own, name).reshape(-1)[:] = array
        own.where[DECISIONS] = decisions

    def _count(self, tokens_T: Array, borders: Array) -> None:
        resets_T = np.zeros(len(tokens_T) + 1, bool)
        resets_T[borders - int(self._tables.where[READ])] = True
        self.count(tokens_T.astype(np.int64), resets_T[:-1])

    def _read_first(self) -> tuple[int, int]:
        read = int(self._tables.where[READ])
        return read, self._checksum(read)

    def _checksum(self, count: int) -> int:
        return zlib.crc32(self._tables.history[:count].tobytes())

    def _all_borders(self) -> npt.NDArray[np.int64]:
        return np.concatenate([np.zeros(0, np.int64), *self._borders])

    def _resets(self, resets_T: Array | None) -> Array | None:
        if resets_T is not None and resets_T.any():
            self._borders.append(np.flatnonzero(resets_T) + int(self._tables.where[READ]))
        return resets_T


@dataclass(frozen=True, eq=False)
class ContextMixture(Mixer):
    """The contexts, and the weight of their prediction in the mixture."""

    name: ClassVar[str] = "contexts"
    sees_tokens: ClassVar[bool] = True

    contexts: ContextMixer
    weight: float

    def states(self, units: int) -> tuple[StateArray, ...]:
        """The last tokens."""
        return (StateArray("contexts.recent", RECENT, "tokens"),)

    def find(self, read: ReadTokens, state: Sequence[Array]) -> FoundContexts:
        """The tokens before each."""
        recent_BK = state[0]
        known_BK = np.where((recent_BK >= 1) & (recent_BK <= read.vocab_size), recent_BK, 0)  # of a file
        history = History(read.tokens_TB, known_BK, read.reset_TB, read.lengths)
        return FoundContexts(self, history, (history.after().astype(np.float32),))

    def step(self, tokens_B: Array, state: Sequence[Array], logits_BV: Array) -> None:
        """The same for a token of each row, in place."""
        recent_BK = state[0]
        recent_BK[:, :-1] = recent_BK[:, 1:]
        recent_BK[:, -1] = tokens_B + 1
        for logits_V, after_K in zip(logits_BV, recent_BK - 1, strict=True):
            self.mix(logits_V, after_K)

    def mix(self, logits_V: Array, after_K: Array) -> None:
        """Mix into the logits after these tokens."""
        # They have learned with the logits of two networks: here both are those of the one that writes.
        self.contexts.probabilities(np.stack([logits_V] * NETWORKS), after_K, logits_V, self.weight)


@dataclass(frozen=True, eq=False)
class FoundContexts(Found):
    """The tokens before N tokens."""

    whole_rows: ClassVar[bool] = True

    mixture: ContextMixture
    history: History
    state: tuple[Array, ...]

    def mix(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        """Whole rows, one after the other."""
        numbers = np.arange(len(logits_NV)) if tokens is None else tokens
        for logits_V, number in zip(logits_NV, numbers.tolist(), strict=True):
            self.mixture.mix(logits_V, self.history.last(number)[-RECENT:])
        return logits_NV


def _unpacked(array: Array, kind: npt.DTypeLike, count: int | None = None) -> Array:
    """The numbers of a compressed array; ``ValueError`` unless there are ``count``."""
    size = np.dtype(kind).itemsize
    most = (MOST_READ if count is None else count) * size
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(array.tobytes(), most + 1)
    except zlib.error as problem:
        raise ValueError(str(problem)) from None
    if len(data) % size or len(data) > most or (count is not None and len(data) < most):
        raise ValueError(IMPOSSIBLE)
    return np.frombuffer(data, kind)


def _tree(texts: Sequence[bytes], counts_V: Array | None) -> tuple[Array, Array]:
    """(the symbols from left to right, the middle of each node in preorder). Each node divides the symbols,
    in the order of their texts, in two halves: where counts are known, halves of the sum of their roots.

    Symbols that are alike stay together: what is learned of a node then holds for all of them. By counts
    themselves, or in their order, a symbol takes fewer decisions, but each says less."""
    V = len(texts)
    if counts_V is None:
        order_V, sums = np.arange(V), np.arange(V + 1)
    else:
        order_V = np.array(sorted(range(V), key=lambda number: (texts[number], number)))
        roots = [math.isqrt(256 * int(count)) + 1 for count in np.asarray(counts_V)[order_V]]
        sums = np.concatenate([[0], np.cumsum(roots)])
    middles = np.zeros(V - 1, np.int32)
    left = [(0, 0, V)]
    while left:
        node, low, high = left.pop()
        if high - low < 2:
            continue
        half = (int(sums[low]) + int(sums[high])) // 2
        middle = int(np.searchsorted(sums[low : high + 1], half)) + low
        if middle > low and half - int(sums[middle - 1]) < int(sums[middle]) - half:
            middle -= 1
        middle = min(max(middle, low + 1), high - 1)
        middles[node] = middle
        left += [(node + 1, low, middle), (node + middle - low, middle, high)]
    return order_V, middles


def _depths(symbols_V: Array, middles: Array) -> npt.NDArray[np.int64]:
    """How many decisions each symbol takes."""
    V = len(symbols_V)
    depths_V = np.zeros(V, np.int64)
    left = [(0, 0, V, 0)]
    while left:
        node, low, high, depth = left.pop()
        if high - low == 1:
            depths_V[symbols_V[low]] = depth
            continue
        middle = int(middles[node])
        left += [(node + 1, low, middle, depth + 1), (node + middle - low, middle, high, depth + 1)]
    return depths_V


def _kinds(texts: Sequence[bytes]) -> tuple[Array, Array]:
    """(the kind of each symbol, the symbol that it counts as within a word: the one in lower case)."""
    numbers = {text: number for number, text in reversed(list(enumerate(texts)))}
    kinds, folds = np.zeros(len(texts), np.int32), np.arange(len(texts), dtype=np.int32)
    for number, text in enumerate(texts):
        if b"\n" in text:
            kinds[number] = ENDS_LINE
        elif text.isdigit():
            kinds[number] = DIGIT
        elif text[:1] == b" " and _is_word(text[1:]):
            kinds[number] = BEGINS
        elif _is_word(text):
            kinds[number] = WORD
        folds[number] = numbers.get(text.lower(), number)
    return kinds, folds


def _is_word(text: bytes) -> bool:
    """Letters alone; a byte of a longer character counts as one."""
    return bool(text) and all(byte >= 128 or chr(byte).isalpha() for byte in text)
