"""The gallery of the documentation: models of a few minutes as pages that write, in build/gallery.

    python docs/make_gallery.py --book book.txt     about 10 minutes
    python docs/make_gallery.py --minutes 1 --only names

- ``library``: the source of Python's standard library, as `pantoum demo` reads it.
- ``book``: the text that ``--book`` names, one in the public domain; without it this page is left out.
- ``names``: the made-up names of examples/names.py, a document each.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pantoum
from pantoum.cli.demo import library_source

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "gallery"
MOST_BYTES = 8_000_000


def library(folder: Path, given: Path | None) -> tuple[str, list[str], dict[str, Any]]:
    """The title of a page, the texts, and how they are trained on."""
    return "Python's standard library", library_source(Path(sysconfig.get_path("stdlib"))), {}


def book(folder: Path, given: Path | None) -> tuple[str, list[str], dict[str, Any]]:
    """The same of a book."""
    assert given is not None
    return given.stem, [str(given)], {}


def names(folder: Path, given: Path | None) -> tuple[str, list[str], dict[str, Any]]:
    """The same of names."""
    sys.path.insert(0, str(ROOT / "examples"))
    from names import names as made

    text = folder / "names.txt"
    text.write_text("\n".join(made()) + "\n", "utf-8")
    return "Made-up names", [str(text)], {"documents": "lines"}


KINDS: dict[str, Callable[[Path, Path | None], tuple[str, list[str], dict[str, Any]]]] = {
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
    parser.add_argument("--book", type=Path, help="a text in the public domain")
    parser.add_argument("--only", choices=sorted(KINDS), help="one page alone")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    if arguments.only == "book" and arguments.book is None:
        parser.error("--only book needs --book FILE")
    known = [name for name in KINDS if name != "book" or arguments.book is not None]
    for name in [arguments.only] if arguments.only else known:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            title, texts, how = KINDS[name](folder, arguments.book)
            pantoum.train(*texts, run=str(folder / title), minutes=arguments.minutes, **how)
            coded = folder / f"{title}.safetensors"
            pantoum.export(folder / title, "int8", coded)
            page = OUT / f"{name}.html"
            pantoum.export(coded, "html", page)
        size = page.stat().st_size
        print(f"{page}: {size:,} bytes")
        assert size <= MOST_BYTES, f"at most {MOST_BYTES:,}"


if __name__ == "__main__":
    main()
