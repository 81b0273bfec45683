"""What many tests share: one environment, whatever has started them; no deadline for properties; and a real
browser, Chromium driven by Playwright."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import settings

HIDDEN = {
    "COLUMNS", "LINES", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
    "LANG", "LANGUAGE", "PYTHONIOENCODING", "PYTHONWARNINGS", "XDG_STATE_HOME",
    "PANTOUM_DEBUG", "PANTOUM_LAUNCHER", "PANTOUM_RANK_TIMEOUT", "WORLD_SIZE", "RANK",
}  # fmt: skip
HIDDEN_GROUPS = ("LC_", "OMPI_", "PMI_", "PMIX_", "MPI_", "MV2_", "SLURM_", "TORCHELASTIC_")


def settle(environment: MutableMapping[str, str]) -> None:
    """Hide what a terminal, a person, a container or a cluster sets, before anything reads it: a test that is
    about one of these sets it. What chooses the arithmetic stays (``PANTOUM_ISA``, the threads)."""
    for name in [name for name in environment if name in HIDDEN or name.startswith(HIDDEN_GROUPS)]:
        del environment[name]
    environment["TERM"] = "xterm-256color"
    for name in ("no_proxy", "NO_PROXY"):  # the servers of the tests are on this machine
        environment[name] = ",".join(filter(None, (environment.get(name), "127.0.0.1", "localhost")))


settle(os.environ)
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="pantoum-tests-")  # what is measured is not the user's
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture
def hang_up() -> Iterator[None]:
    """SIGHUP ends who hears it, also where ``nohup`` has started the tests."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


# A busy machine is no defect: an example may take as long as it needs.
settings.register_profile("pantoum", deadline=None)
settings.load_profile("pantoum")

PATIENCE = 120_000
"""Milliseconds that a test waits for a page at most: a slow machine is no defect either."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
]
WORST_CONTRAST = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; }
    return [255, 255, 255]; };
  let worst = [99, ""];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()); ) {
    const e = node.parentElement, style = getComputedStyle(e);
    const unseen = !e.getClientRects().length || ["SCRIPT", "title", "desc"].includes(e.tagName);
    if (unseen || !node.data.trim() || style.color === "rgba(0, 0, 0, 0)") continue;
    const ink = parse(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, node.data.trim().slice(0, 40)];
  }
  return worst;
}"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium; a loud skip where it or Playwright is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="SKIP SKIP SKIP: Playwright is missing")
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("SKIP SKIP SKIP: Chromium is missing, no page was looked at in a browser")
    api.expect.set_options(timeout=PATIENCE)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


class Tab:
    """A page in the browser, with what it asked for and what went wrong in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        found = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return int(found)

    def worst_contrast(self) -> tuple[float, str]:
        """The least contrast of a text with its background (WCAG 2), and the text."""
        ratio, words = self.page.evaluate(WORST_CONTRAST)
        return float(ratio), str(words)


@pytest.fixture
def tab(chromium: Any) -> Iterator[Callable[..., Tab]]:
    """``tab(width, scheme, **options)``: a new tab with nothing stored."""
    opened = []

    def make(width: int = 1280, scheme: str = "light", **options: Any) -> Tab:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True, **options
        )
        context.set_default_timeout(PATIENCE)
        opened.append(context)
        return Tab(context.new_page())

    yield make
    for context in opened:
        context.close()
