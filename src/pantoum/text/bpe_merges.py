"""Learning the merges of byte-pair encoding, with the `tokenizers` package (the extra ``bpe``).

The package sees pieces that are cut already, their bytes as the letters U+0100 to U+01FF (so that nothing in
it can split or change them), each as often as it was counted. It merges what is most frequent, ties by the
lower numbers, and only what came at least twice; a short text therefore gives fewer merges than asked for.
The same pieces give the same merges.

Time and memory are bounded: the most frequent pieces are used, as many as have 600,000 characters together
(some 75,000 words), and where their counts add up to more than 1,000,000, all are divided alike. What is left
out or rounded to nothing is too rare to decide a merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pantoum.errors import SettingError

MOST_REPEATED = 1_000_000
MOST_CHARACTERS = 600_000
MOST_BYTES = 32 << 20
"""Bytes that all merges of a tokenizer stand for together; ordinary text needs some ten for each merge."""
LONGEST = 256
"""Characters of a piece; longer ones (a line of base64, say) hold no words."""
BATCH = 4_000
LETTERS = [chr(0x100 + b) for b in range(256)]


def learn_merges(ranked: Iterable[tuple[str, int]], most: int) -> list[tuple[int, int]]:
    """At most ``most`` pairs of token numbers (byte b is b + 1, the k-th merge 257 + k), in order, from
    pieces with their counts, most frequent first."""
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
        if len(piece) <= LONGEST:
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
