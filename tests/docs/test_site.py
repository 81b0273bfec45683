"""The documentation site, as `make site` builds it and says to open it: one build for all that is checked."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
ASKED = re.compile(r"""(?:src|href)=["']?(https?:)?//[^"' >]+|url\(\s*["']?(?:https?:)?//|@import""")
"""What makes a browser ask another host."""


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder's files."""
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def asks_of_others(folder: Path) -> list[str]:
    """What pages ask of other hosts without a click."""
    found = []
    for page in [*folder.rglob("*.html"), *folder.rglob("*.css"), *folder.rglob("*.svg")]:
        text = page.read_text("utf-8")
        for match in ASKED.finditer(text):
            before = text[max(0, match.start() - 60) : match.start()]
            if not re.search(r"<a [^<]*$|rel=canonical[^<]*$", before):
                found.append(f"{page.name} asks for {match[0]}")
    return found


def test_the_site_is_strict_asks_no_other_host_and_finds_words(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("mkdocstrings_handlers", reason="SKIP SKIP SKIP  mkdocs-material is missing")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert asks_of_others(tmp_path) == []
    tab: Any = request.getfixturevalue("tab")  # a skip for want of a browser comes after the above
    with served(tmp_path) as address:
        page = tab().page
        page.goto(f"{address}/index.html")
        page.get_by_placeholder("Search").click()
        page.keyboard.type("surprisal")
        page.locator(".md-search-result__link").first.wait_for(state="attached")
        assert "surprisal" in page.locator(".md-search-result").inner_text().lower()


def test_make_says_the_address_and_not_a_file() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nsite:")[2].partition("\n\n")[0]
    assert "http.server" in recipe and "open http://127.0.0.1:8800" in recipe
