"""Counted contexts that learn while they read: what was said before, exactly and at once, beside a network.

A ``ContextMixer`` reads one stream of symbols. It predicts each by what came after the same last symbols,
after the same beginning of a word, and after the longest earlier passage that ends in the same way; it mixes
these predictions with that of a network, where there is one, by weights that it learns, too, and then it
learns from the symbol (``core/kernels/contexts.h``). It has no gradient and no part in training. Its memory
is bounded: what was seen least makes room.

Its arithmetic is the same on every machine, so what it says can be coded and decoded again. A coder asks for
``chances``, one for each decision on a symbol's path; a decoder for the chance of one decision at a time.

Shapes: T symbols, N networks, V of the vocabulary, Q decisions.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array, backend
from pantoum.kernels.context_tables import (
    BEGUN,
    DECISIONS,
    FOUND,
    LINE,
    LINE_BEFORE,
    MATCHES,
    NETWORKS,
    READ,
    RESULTS,
    ContextTables,
    tables,
)
from pantoum.kernels.types import Decider

__all__ = ["MOST_SYMBOLS", "ContextMixer"]

MOST_SYMBOLS = 1 << 13
"""The largest vocabulary that a path through a tree is worth while for."""
SLOT_BITS = 22
"""2^22 pairs of slots, and a quarter as many runs: 40 MB, and 36 MB of other arrays."""
CHANGING = (
    *("slots", "runs", "matches", "history", "followed", "maps", "links", "weights", "finals", "curves"),
    "where",
)
MOST_WEIGHT = 1e6
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
        symbols_V, middles = _tree(texts, counts_V)
        self._kernels = backend(np.float32)
        self._tables: ContextTables = tables(symbols_V, middles, *_kinds(texts), slot_bits)
        self._depths_V = _depths(symbols_V, middles)
        self._begins = False
        if beside:
            self.join(beside)

    @property
    def nbytes(self) -> int:
        """Its memory."""
        return sum(array.nbytes for array in self._tables.named().values())

    def read(self, tokens_T: Array, logits_TNV: Array | None = None, resets_T: Array | None = None) -> Array:
        """Nats [T] of symbols, each before it was learned from. ``logits_TNV``: by networks;
        ``resets_T``: a document begins with the symbol."""
        nats_T: Array = self._kernels.read_contexts(
            self._tables, tokens_T, logits_TNV, self._resets(resets_T, tokens_T)
        )
        return nats_T

    def chances(self, tokens_T: Array, logits_TNV: Array | None = None) -> Array:
        """Read symbols as ``read`` does; for each decision on their paths twice the chance, of 2^22, of the
        way that was taken, plus 1 where that is right [Q]."""
        chances_Q = np.empty(int(self._depths_V[tokens_T].sum()), np.uint32)
        resets_T = self._resets(None, tokens_T)
        self._kernels.read_contexts(self._tables, tokens_T, logits_TNV, resets_T, chances_Q=chances_Q)
        return chances_Q

    def decider(self) -> Decider:
        """What decodes symbols from decisions: ``begin(logits_NV)`` gives the chance of right, of 2^22, of
        the first, ``decide(outcome)`` that of the next and -1, or with the last outcome the symbol, which is
        then learned."""
        decider: Decider = self._kernels.context_decider(self._tables)
        return decider

    def count(self, tokens_T: Array, resets_T: Array | None = None) -> None:
        """Learn how often what came, without predicting: in half of the time."""
        self._kernels.read_contexts(
            self._tables, tokens_T, None, self._resets(resets_T, tokens_T), predict=False
        )

    def probabilities(self, logits_NV: Array | None = None) -> Array:
        """The probabilities [V] of the next symbol; nothing is learned. ``read`` gives about these: it learns
        from each decision on the path of a symbol before the next one."""
        probabilities_V: Array = self._kernels.context_probabilities(self._tables, logits_NV)
        return probabilities_V

    def join(self, networks: int = 1) -> None:
        """From now on networks give logits: believe mostly what they say, and learn how much."""
        own, theirs = JOINED if self._tables.where[READ] else JOINED_FIRST
        finals = self._tables.finals.reshape(-1, RESULTS)
        finals[:, :-NETWORKS] *= np.float32(own)
        finals[:, -NETWORKS:][:, :networks] = theirs / networks

    def begin_document(self) -> None:
        """What was read before is no context of the next symbol; what was learned stays."""
        self._begins = True

    def copy(self) -> ContextMixer:
        """Another that goes on from here by itself."""
        other = object.__new__(ContextMixer)
        other.__dict__.update(self.__dict__)
        other._tables = self._tables.copy()
        return other

    def kept(self) -> dict[str, Array]:
        """Where it stands, by name, each array compressed: most of them is as it began."""
        arrays = {name: array for name, array in self._tables.named().items() if name in CHANGING}
        packed = {
            name: np.frombuffer(zlib.compress(array.tobytes(), 1), np.uint8) for name, array in arrays.items()
        }
        return {**packed, "begins": np.array([self._begins], np.int64)}

    def resume(self, arrays: Mapping[str, Array]) -> None:
        """Go on from there; ``ValueError`` or ``KeyError`` where it cannot be."""
        found = {}
        for name in CHANGING:
            like = getattr(self._tables, name)
            unpacking = zlib.decompressobj()
            try:
                data = unpacking.decompress(arrays[name].tobytes(), like.nbytes + 1)
            except zlib.error as problem:
                raise ValueError(f"{name}: {problem}") from None
            if len(data) != like.nbytes:
                raise ValueError(f"{name} does not fit the contexts")
            found[name] = np.frombuffer(data, like.dtype).reshape(like.shape)
        self._require_sound(found)
        for name, array in found.items():
            getattr(self._tables, name)[...] = array
        self._begins = bool(arrays["begins"][0])

    def _require_sound(self, found: Mapping[str, Array]) -> None:
        """The core believes what these arrays say."""
        V, where = len(self._tables.symbols), found["where"]
        read = where[READ]
        numbers = (found["history"], found["runs"] >> np.uint64(16) & np.uint64(0xFFFFFF))
        places = where[[BEGUN, LINE, LINE_BEFORE, *range(FOUND, FOUND + MATCHES)]]
        floats = (found[name] for name in ("links", "weights", "finals", "curves"))
        sound = (
            all((array >= 0).all() and (array < V).all() for array in numbers)
            and (where[[READ, DECISIONS, *range(FOUND + MATCHES, FOUND + 2 * MATCHES)]] >= 0).all()
            and bool((places >= 0).all() and (places <= read).all())
            and all((np.abs(array) < MOST_WEIGHT).all() for array in floats)
        )
        if not sound:
            raise ValueError("contexts hold what no text leaves there")

    def _resets(self, resets_T: Array | None, tokens_T: Array) -> Array | None:
        if self._begins and len(tokens_T):
            resets_T = np.zeros(len(tokens_T), bool) if resets_T is None else resets_T.copy()
            resets_T[0], self._begins = True, False
        return resets_T


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
