"""The texts of the base, from a folder of the books that ``SOURCES.tsv`` lists:

    python bases/english/corpus.py BOOKS OUT

``OUT/train`` has the books that the base reads, ``OUT/valid.txt`` some 30,000 bytes from the middle of each
of those that are held out. A book that differs from the list is an error.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

SOURCES = Path(__file__).with_name("SOURCES.tsv")
PASSAGE = 30_000


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


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
