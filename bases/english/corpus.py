"""The texts of the base, from a folder of the books that ``SOURCES.tsv`` lists:

    python bases/english/corpus.py BOOKS OUT

``OUT/train`` has the books that the base reads, ``OUT/valid.txt`` some 30,000 bytes from the middle of each
of those that are held out. A book that differs from the list is an error. ``OUT/mixed.txt`` has the first
``MIXED`` characters of the former in pieces of all books, in a drawn order. The lines of half of the pieces
are joined to paragraphs: books end a line every 70 letters, most texts of today do not.
"""

from __future__ import annotations

import csv
import hashlib
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).with_name("SOURCES.tsv")
PASSAGE, PIECE, MIXED = 30_000, 50_000, 24_000_000
WRAPPED = re.compile(r"(?<=.{51})\n(?=[^\s])")
"""An end of a line that is full, with text after it."""


def main(books: Path, out: Path) -> None:
    """Write the two parts."""
    (out / "train").mkdir(parents=True)
    passages = []
    with SOURCES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            data = (books / row["file"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != row["sha256"]:
                raise SystemExit(f"{row['file']} is not the book that SOURCES.tsv lists")
            if row["part"] == "held out":
                middle = data[len(data) // 2 :][:PASSAGE]
                passages.append(middle[middle.index(b"\n\n") + 2 : middle.rindex(b"\n\n") + 2])
            else:
                (out / "train" / row["file"]).write_bytes(data)
    (out / "valid.txt").write_bytes(b"".join(passages))
    pieces = [piece for book in sorted((out / "train").iterdir()) for piece in cut(book.read_text("utf-8"))]
    draw = random.Random(0)
    draw.shuffle(pieces)
    mixed = "".join(WRAPPED.sub(" ", each) if draw.random() < 0.5 else each for each in pieces)
    (out / "mixed.txt").write_text(mixed[:MIXED], "utf-8")


def cut(book: str) -> Iterator[str]:
    """The pieces of a book, which end with a paragraph."""
    while book:
        end = book.find("\n\n", PIECE) + 2
        yield book[:end] if end > 1 else book
        book = book[end:] if end > 1 else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
