"""Number agreement (Gulordava et al. 2018): the right form of a verb should be more probable than the other.

    python benchmarks/judges/agreement.py generated.tab --train wiki.train.tokens --pantoum RUN --lstm lstm.pt

DATA is ``data/agreement/English/generated.tab`` of facebookresearch/colorlessgreenRNNs: 41 sentences from
texts and nine nonsense ones of the same structure for each. A sentence is read up to the verb. Accuracy for
both kinds, and for nonsense by the number of attractors between subject and verb.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from word_models import Item, first_is_likelier, judge

KEYS = "pattern", "constr_id", "sent_id"


def read(path: Path) -> Iterator[Item]:
    """The sentences, each with both forms."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for _, both in groupby(rows, key=lambda row: [row[key] for key in KEYS]):
        right, wrong = sorted(both, key=lambda row: row["class"])
        before, forms = right["prefix"].split(), [right["form"], wrong["form"]]
        about = right["type"]
        if about == "generated":
            about = f"nonsense, {right['n_attr']} attractors"
        sentences = tuple([*before, form] for form in forms)
        yield Item(about, sentences, forms, first_is_likelier)


def main() -> None:
    """Print the table."""
    judge(__doc__, "generated.tab of one language", read)


if __name__ == "__main__":
    main()
