"""The documentation site, as `make site` builds it and says to open it: its search works in Chromium."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the site is served."""
    pytest.importorskip("mkdocstrings_handlers", reason="SKIP SKIP SKIP  mkdocs-material is missing")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_search_of_the_site_finds_something(address: str, tab: Callable[..., Any]) -> None:
    page = tab().page
    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").click()
    page.keyboard.type("surprisal")
    page.locator(".md-search-result__link").first.wait_for(state="attached")
    assert "surprisal" in page.locator(".md-search-result").inner_text().lower()


def test_make_says_the_address_and_not_a_file() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nsite:")[2].partition("\n\n")[0]
    assert "http.server" in recipe and "open http://127.0.0.1:8800" in recipe
