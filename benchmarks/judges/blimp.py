"""BLiMP (Warstadt et al. 2020): of two sentences the grammatical one should be more probable.

    python benchmarks/judges/blimp.py blimp/data --train wiki.train.tokens --pantoum RUN --lstm lstm.pt

DATA is the folder ``data`` of alexwarstadt/blimp: 67 files of 1,000 pairs. Accuracy per phenomenon
(``linguistics_term``) for all contestants, with WikiText's words: so a pair is not the one that
`pantoum evaluate --pairs` reads, but compared in the same way. A pair is known where the vocabulary has all
words in which its sentences differ. ``--out FILE`` also writes the pairs in these words, for
`pantoum evaluate RUN --pairs FILE`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from word_models import (
    Item,
    contestants,
    differing_words,
    first_is_likelier,
    judged,
    parser_of,
    wikitext_words,
)


def read(folder: Path) -> Iterator[Item]:
    """The pairs of all files."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            good, bad = (wikitext_words(found[f"sentence_{which}"]) for which in ("good", "bad"))
            yield Item(found["linguistics_term"], (good, bad), differing_words(good, bad), first_is_likelier)


def write(items: list[Item], path: Path) -> None:
    """The pairs as `pantoum evaluate --pairs` takes them."""
    keys = "sentence_good", "sentence_bad"
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            pair = dict(zip(keys, (" ".join(words) for words in item.sentences), strict=True))
            file.write(json.dumps(pair | {"linguistics_term": item.about}) + "\n")


def main() -> None:
    """Print the table."""
    parser = parser_of(__doc__, "the folder data/ of alexwarstadt/blimp")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the pairs in WikiText's words")
    asked = parser.parse_args()
    items = list(read(asked.data))[:: asked.every]
    if asked.out:
        write(items, asked.out)
    known, models = contestants(asked)
    judged(items, known, models, asked.json)


if __name__ == "__main__":
    main()
