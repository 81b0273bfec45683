"""Learning the merges of byte-pair encoding, with the `tokenizers` package (the extra ``bpe``).

The package sees pieces that are cut already, their bytes as the letters U+0100 to U+01FF (so that nothing in
it can split or change them), each as often as it was counted. It merges what is most frequent, ties by the
lower numbers, and only what came at least twice; a short text therefore gives fewer merges than asked for.
The same pieces give the same merges.

More than 4,000,000 pieces are not repeated one by one: all counts are divided alike, and pieces that round to
none are left out. The order of what is frequent stays; memory and time stay bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pantoum.errors import SettingError

__all__ = ["learn_merges"]

MOST_REPEATED = 4_000_000
MOST_CHARACTERS = 256
"""Longer pieces (a line of base64, say) are passed over: what they hold is no words."""
BATCH = 4_000
LETTERS = [chr(0x100 + b) for b in range(256)]


def learn_merges(counted: Iterable[tuple[str, int]], total: int, most: int) -> list[tuple[int, int]]:
    """At most ``most`` pairs of token numbers (byte b is b + 1, the k-th merge 257 + k), in order.

    ``counted`` are pieces with their counts, ``total`` the sum of these.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        raise SettingError("tokens", f"bpe:{most + 257}", "needs the package `tokenizers`, which is not "
                           "installed, to be learned", "run: pip install 'pantoum[bpe]'") from None
    engine: Any = Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=256 + most, min_frequency=2, special_tokens=[],
                                  initial_alphabet=LETTERS, show_progress=False)
    engine.train_from_iterator(_repeated(counted, max(1, -(-total // MOST_REPEATED))), trainer)
    return _numbered(json.loads(engine.to_str())["model"]["merges"])


def _repeated(counted: Iterable[tuple[str, int]], divisor: int) -> Iterator[str]:
    """Lines of pieces parted by spaces, each piece as often as its share of the counts."""
    for piece, count in counted:
        times = (count + divisor // 2) // divisor
        if len(piece) > MOST_CHARACTERS:
            continue
        line = "".join([LETTERS[b] for b in piece.encode("utf-8")]) + " "
        while times > 0:
            yield line * min(times, BATCH)
            times -= BATCH


def _numbered(merges: list[Any]) -> list[tuple[int, int]]:
    """Pairs of letters as pairs of numbers. A pair that makes bytes which another pair made before is left
    out: here every number has bytes of its own."""
    numbers = {letter: b + 1 for b, letter in enumerate(LETTERS)}
    pairs: list[tuple[int, int]] = []
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge  # text before tokenizers 0.20
        if left + right not in numbers:
            numbers[left + right] = 257 + len(pairs)
            pairs.append((numbers[left], numbers[right]))
    return pairs
