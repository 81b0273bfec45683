"""Byte-pair encoding: learned with the `tokenizers` package, used without it.

A text is first cut by a regular expression of our own: a word with the space before it, up to three digits,
a run of other signs, of underscores, of white space. ``bpe:whitespace`` cuts at white space alone, for text
whose signs belong to its words: formulas, addresses. Each piece is UTF-8, each byte a token, and then pairs
of neighbours are merged, always the pair that was learned first, until none is left to merge. So nothing
is ever unknown, and decoding gives the text back byte for byte.

Numbers: 0 ``<eos>``, 1 to 256 the bytes 0 to 255, then one for each merge in the order in which they were
learned: a merge's number is also its rank. The spec holds the pairs and nothing else.

Most pieces come again and again, so each is merged once: a learner merges its table of pieces at the end,
a tokenizer keeps those it met (at most 100,000, of at most 64 characters). A long piece is merged with a
heap, so that one word of 64 KB costs no more a byte than a text.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config.plain import Plain
from pantoum.errors import SettingError
from pantoum.text.byte import BYTES, OfBytes
from pantoum.text.documents import BORDER_SIGN, mark, sign_of
from pantoum.text.numbers import EOS, Numbers, Tokens, UnknownCount, joined
from pantoum.text.pieces import LONGEST, PieceCounter, chunks
from pantoum.text.tokenizer import MOST, Across, listed, refuse, require_documents, require_keys, shown
from pantoum.text.unicode import as_text

FIRST_MERGE = 257
SPLIT = 1
"""The number of the regular expressions below; a model keeps to the one it was learned with."""

CACHED, CACHED_LENGTH = 100_000, 64
SHORT = 48
"""Tokens from which a heap is faster than looking at all pairs again (measured: about 45)."""

LETTER = (
    r"[^\s\d\x00-\x1f!-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u2000-\u2bff\u2e00-\u2e7f"
    r"\u3000-\u303f\ud800-\udfff\ufe10-\ufe6f\uff00-\uff0f]"
)
"""All but white space, digits and common punctuation: unlike ``\\w``, the marks of Indic and other scripts
stay in their words."""


def _pattern(kind: str, sign: str) -> re.Pattern[str]:
    space = rf"[^\S{sign}]"
    words = rf" ?[^\s{sign}]{{1,{LONGEST}}}"
    if kind == "bpe":
        words = rf" ?{LETTER}{{1,{LONGEST}}}|\d{{1,3}}| ?[^\w\s{sign}]{{1,{LONGEST}}}|_{{1,{LONGEST}}}"
    return re.compile(
        rf"{sign}|{words}"
        # The last space of a run goes to the word after it, but for the border of a document.
        rf"|{space}{{1,{LONGEST}}}(?![^\s{BORDER_SIGN}])|{space}|.",
        re.DOTALL,
    )


PATTERNS = {
    (kind, sign): _pattern(kind, sign) for kind in ("bpe", "bpe:whitespace") for sign in ("\n", BORDER_SIGN)
}


class BpeTokenizer(OfBytes):
    """Bytes, and pairs of tokens that came together often."""

    def __init__(
        self, merges: Sequence[tuple[int, int]], documents: str | None = None, kind: str = "bpe"
    ) -> None:
        self.merges = list(merges)
        """The pairs of numbers that become number 257, 258, ..."""
        super().__init__(kind, documents, [*BYTES, *repeat(b"", len(self.merges))])
        for number, (left, right) in enumerate(self.merges, FIRST_MERGE):
            self._pieces[number] = self._pieces[left] + self._pieces[right]
        self._sign = sign_of(documents)
        self._pattern = PATTERNS[kind, self._sign]
        self._merged = {pair: number for number, pair in enumerate(self.merges, FIRST_MERGE)}
        self._cache: dict[str, list[int]] = {}

    def encode(self, text: str | bytes) -> Tokens:
        """The numbers of a whole text; ``<eos>`` where documents meet."""
        marked = mark(as_text(text), self.documents)
        return joined([self._encoded(self._pattern.findall(marked))])

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = map
    ) -> Iterator[Numbers]:
        """The numbers of the pieces of each block. Nothing is unknown."""
        return across(self._encoded_chunk, chunks(self._pattern, blocks))

    def token_lengths(self, text: str) -> list[tuple[int, int]]:
        """Each piece of the regular expression is encoded apart."""
        return [(len(piece), len(self.merge(piece))) for piece in self._pattern.findall(text)]

    def spec(self) -> dict[str, Plain]:
        """What a document is, how pieces are cut, and the merges."""
        return {**super().spec(), "split": SPLIT, "merges": [list(pair) for pair in self.merges]}

    def merge(self, piece: str) -> list[int]:
        """The numbers of one piece (of a border: ``<eos>``)."""
        if piece == self._sign:
            return [EOS]
        ids = [b + 1 for b in piece.encode("utf-8", "surrogateescape")]
        return self._merge_short(ids) if len(ids) < SHORT else self._merge_long(ids)

    def _encoded_chunk(self, chunk: str) -> Numbers:
        return self._encoded(self._pattern.findall(chunk))

    def _encoded(self, pieces: list[str]) -> Numbers:
        cache = self._cache
        try:
            found = list(map(cache.__getitem__, pieces))
        except KeyError:
            found = list(map(self._remembered, pieces))
        return np.fromiter(chain.from_iterable(found), self._dtype)

    def _remembered(self, piece: str) -> list[int]:
        found = self._cache.get(piece)
        if found is None:
            found = self.merge(piece)
            if len(piece) <= CACHED_LENGTH:
                if len(self._cache) >= CACHED:
                    self._cache.clear()
                self._cache[piece] = found
        return found

    def _merge_short(self, ids: list[int]) -> list[int]:
        """Merge the first pair in rank, the leftmost of several; again. The ranks of all pairs are kept."""
        rank_of, none = self._merged.get, self.vocab_size
        ranks = list(map(rank_of, pairwise(ids), repeat(none)))
        while ranks and (best := min(ranks)) != none:
            at = ranks.index(best)
            ids[at] = best
            del ids[at + 1], ranks[at]
            if at < len(ranks):
                ranks[at] = rank_of((best, ids[at + 1]), none)
            if at:
                ranks[at - 1] = rank_of((ids[at - 1], best), none)
        return ids

    def _merge_long(self, ids: list[int]) -> list[int]:
        """The same by a heap of (rank, place) over a linked list: n log n instead of n squared."""
        end = len(ids)
        before, after = list(range(-1, end - 1)), list(range(1, end + 1))
        ids = [*ids, -1]  # a last token that is in no pair
        rank_of = self._merged.get
        heap = [(rank, at) for at, pair in enumerate(pairwise(ids)) if (rank := rank_of(pair)) is not None]
        heapq.heapify(heap)
        while heap:
            rank, at = heapq.heappop(heap)
            beside = after[at]
            if ids[at] < 0 or rank_of((ids[at], ids[beside])) != rank:
                continue  # one of the two has been merged since
            ids[at], ids[beside] = rank, -1
            after[at] = after[beside]
            if after[at] < end:
                before[after[at]] = at
            for first in (before[at], at):
                if first >= 0 and after[first] < end:
                    found = rank_of((ids[first], ids[after[first]]))
                    if found is not None:
                        heapq.heappush(heap, (found, first))
        return [number for number in ids if number >= 0]


class BpeLearner(PieceCounter):
    """Counts pieces, then has the merges learned from them."""

    def __init__(self, vocab_size: int, documents: str | None, kind: str = "bpe") -> None:
        super().__init__(PATTERNS[kind, sign_of(documents)])
        self._vocab_size, self._documents, self._kind = vocab_size, documents, kind
        self._flat: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._starts = self._lengths = np.zeros(0, np.int64)

    def learn(self) -> BpeTokenizer:
        """The tokenizer; every piece of the table is merged by it, once."""
        pieces, counts = self.counted()
        sign = sign_of(self._documents)
        ranked = np.argsort(-counts, kind="stable").tolist()  # ties in order of appearance
        words = ((pieces[number], int(counts[number])) for number in ranked if pieces[number] != sign)
        merges = learn_merges(words, self._vocab_size - FIRST_MERGE)
        tokenizer = BpeTokenizer(merges, self._documents, self._kind)
        if self.exact:
            self._lengths = np.zeros(len(pieces), np.int64)
            self._flat = np.fromiter(self._all_merged(tokenizer, pieces), np.uint32)
            self._starts = np.cumsum(self._lengths) - self._lengths
        return tokenizer

    def tokens(self, numbers: Numbers, unknown: UnknownCount | None = None) -> Numbers:
        """Provisional numbers as the tokens of their pieces, one run after the other."""
        lengths = self._lengths.take(numbers)
        ends = np.cumsum(lengths)
        places = np.repeat(self._starts.take(numbers) - ends + lengths, lengths)
        places += np.arange(len(places))
        return self._flat.take(places)

    def _all_merged(self, tokenizer: BpeTokenizer, pieces: list[str]) -> Iterator[int]:
        for number, piece in enumerate(pieces):
            merged = tokenizer.merge(piece)
            self._lengths[number] = len(merged)
            yield from merged


def learner(kind: str, size: int, documents: str | None) -> BpeLearner:
    """What learns the merges of a text, until there are ``size`` numbers."""
    return BpeLearner(size, documents, kind)


def declared_size(spec: Mapping[str, Plain]) -> int:
    """The size that a spec speaks of."""
    return len(listed(spec, "merges")) + FIRST_MERGE


def from_spec(spec: Mapping[str, Plain]) -> BpeTokenizer:
    """The inverse of ``BpeTokenizer.spec``.

    Every merge must be of earlier numbers, and no pair may come twice. A merge can double the bytes of the
    one before it, so the bytes of all of them together are bounded by ``MOST_BYTES``.
    """
    require_keys(spec, "kind", "documents", "split", "merges")
    documents, merges = require_documents(spec), spec["merges"]
    if spec["split"] != SPLIT or isinstance(spec["split"], bool):
        raise refuse(f"splits text in a way ({shown(spec['split'])!r}) that this version does not know")
    if not isinstance(merges, list) or len(merges) > MOST - FIRST_MERGE:
        raise refuse("has merges that are not a list of pairs")
    pairs = _pairs(merges)
    lengths, room = [0] + [1] * 256, MOST_BYTES
    for left, right in pairs:
        lengths.append(lengths[left] + lengths[right])
        room -= lengths[-1]
        if room < 0:
            raise refuse(f"has merges that stand for more than {MOST_BYTES:,} bytes")
    return BpeTokenizer(pairs, documents, str(spec["kind"]))


def _pairs(merges: list[Any]) -> list[tuple[int, int]]:
    """The merges as pairs of numbers, each of them checked."""
    if not all(type(pair) is list and len(pair) == 2 for pair in merges):
        raise refuse("has a merge that is not a pair")
    if not all(type(left) is int and type(right) is int for left, right in merges):
        raise refuse("has a merge that is not a pair of numbers")
    try:
        pairs_N2 = np.array(merges, np.int64).reshape(-1, 2)
    except OverflowError:
        raise refuse("has a merge of numbers that do not exist") from None
    own_N1 = np.arange(FIRST_MERGE, FIRST_MERGE + len(merges))[:, None]
    if bool(((pairs_N2 < 1) | (pairs_N2 >= own_N1)).any()):
        raise refuse("has a merge that is not a pair of earlier numbers")
    if len(np.unique(pairs_N2 @ np.array([MOST + 1, 1]))) != len(merges):
        raise refuse("has the same merge twice")
    return [(left, right) for left, right in merges]


MOST_REPEATED = 1_000_000
MOST_CHARACTERS = 600_000
MOST_BYTES = 32 << 20
"""Bytes that all merges of a tokenizer stand for together; ordinary text needs some ten for each merge."""
LONGEST_LEARNED = 256
"""Characters of a piece; longer ones (a line of base64, say) hold no words."""
BATCH = 4_000
LETTERS = [chr(0x100 + b) for b in range(256)]


def learn_merges(ranked: Iterable[tuple[str, int]], most: int) -> list[tuple[int, int]]:
    """At most ``most`` pairs of token numbers (byte b is b + 1, the k-th merge 257 + k), in order, from
    pieces with their counts, most frequent first.

    The package sees pieces that are cut already, their bytes as the letters U+0100 to U+01FF (so that nothing
    in it can split or change them). It merges what is most frequent, ties by the lower numbers, and only what
    came at least twice. Time and memory are bounded: the most frequent pieces are used, as many as have
    ``MOST_CHARACTERS`` together, and where their counts add up to more than ``MOST_REPEATED``, all are
    divided alike. What is left out is too rare to decide a merge.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        raise SettingError(
            "tokens",
            f"bpe:{most + 257}",
            "needs the package `tokenizers`, which is not installed, to be learned",
            "run: pip install 'pantoum[bpe]'",
        ) from None
    engine: Any = Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + most,
        min_frequency=2,
        special_tokens=[],
        initial_alphabet=LETTERS,
        show_progress=False,
    )
    engine.train_from_iterator(_repeated(list(_enough(ranked))), trainer)
    return _numbered(json.loads(engine.to_str())["model"]["merges"])


def _enough(ranked: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """The first pieces, until their characters are as many as may be."""
    room = MOST_CHARACTERS
    for piece, count in ranked:
        if len(piece) <= LONGEST_LEARNED:
            room -= len(piece)
            if room < 0:
                return
            yield piece, count


def _repeated(counted: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Lines of pieces parted by spaces, each piece as often as its share of the counts."""
    divisor = max(1, -(-sum(count for _, count in counted) // MOST_REPEATED))
    for piece, count in counted:
        times = (count + divisor // 2) // divisor
        line = "".join([LETTERS[b] for b in piece.encode("utf-8")]) + " "
        while times > 0:
            yield line * min(times, BATCH)
            times -= BATCH


def _numbered(merges: list[Any]) -> list[tuple[int, int]]:
    """Pairs of letters as pairs of numbers. A pair that makes bytes which another pair made before is left
    out: here every number has bytes of its own. Merges end where they would stand for ``MOST_BYTES``."""
    numbers = {letter: b + 1 for b, letter in enumerate(LETTERS)}
    pairs: list[tuple[int, int]] = []
    room = MOST_BYTES
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge  # text before tokenizers 0.20
        if left + right not in numbers:
            room -= len(left + right)
            if room < 0:
                break
            numbers[left + right] = 257 + len(pairs)
            pairs.append((numbers[left], numbers[right]))
    return pairs
