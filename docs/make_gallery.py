"""The gallery of the documentation: three models of a few minutes as pages that write, in build/gallery.

    python docs/make_gallery.py                 about 10 minutes
    python docs/make_gallery.py --minutes 1 --only names

- ``library``: the source of Python's standard library, as `pantoum demo` reads it.
- ``book``: "The Adventures of Sherlock Holmes" (1892, in the public domain), which the source distribution of
  markovify on PyPI ships for its tests; ``--book`` names another text.
- ``names``: the made-up names of examples/names.py, a document each.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pantoum
from pantoum.cli.demo import library_source

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "gallery"
MOST_BYTES = 8_000_000
BOOK_PACKAGE, BOOK = "markovify==0.9.4", "sherlock.txt"


def library(folder: Path, given: Path | None) -> tuple[str, list[str], dict[str, Any]]:
    """The title of a page, the texts, and how they are trained on."""
    return "Python's standard library", library_source(Path(sysconfig.get_path("stdlib"))), {}


def book(folder: Path, given: Path | None) -> tuple[str, list[str], dict[str, Any]]:
    """The same of a book."""
    if given is not None:
        return given.stem, [str(given)], {}
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), BOOK_PACKAGE], check=True)
    (archive,) = folder.glob("markovify*.tar.gz")
    with tarfile.open(archive) as files:
        (member,) = (file for file in files.getmembers() if file.name.endswith(f"/{BOOK}"))
        content = files.extractfile(member)
        assert content is not None
        text = folder / BOOK
        text.write_bytes(content.read())
    return "Sherlock Holmes", [str(text)], {}


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
    parser.add_argument("--book", type=Path, help="a text in place of the book")
    parser.add_argument("--only", choices=sorted(KINDS), help="one page alone")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else KINDS:
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
