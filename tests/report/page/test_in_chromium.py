"""The page in a real browser: no error, no request, nothing wider than the window, every word legible.

Chromium is driven through its debugging pipe (NUL-parted JSON on descriptors 3 and 4), so that no other
package is needed. Without Chromium these tests are skipped, and say so.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pantoum.report.page import Story, render

pytestmark = pytest.mark.slow
Make = Callable[..., list[dict[str, Any]]]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)
WORST = """(() => {
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
    if (unseen || !node.data.trim()) continue;
    const ink = parse(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, node.data.trim().slice(0, 40)];
  }
  return worst;
})()"""


class Browser:
    """One headless Chromium with one tab."""

    def __init__(self, program: str, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        def wire() -> None:
            os.dup2(theirs_in, 103)
            os.dup2(theirs_out, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        self._process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=wire,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest, self._number, self.events = b"", 0, []  # type: ignore[var-annotated]
        self._session: str | None = None
        tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not (data := os.read(self._in, 1 << 16)):
                raise AssertionError("Chromium ended")
            self._rest += data
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command and its answer; what happens meanwhile goes to ``events``."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while (message := self._message()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def open(self, page: Path, width: int, scheme: str) -> None:
        """Load a file in a window of this width."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=page.as_uri())
        self.wait_for_load()

    def wait_for_load(self) -> None:
        """Until a page has loaded since the events were cleared."""
        while not self.happened("Page.loadEventFired"):
            self.events.append(self._message())

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def happened(self, *methods: str) -> list[dict[str, Any]]:
        """The parameters of these events."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def close(self) -> None:
        """End it, and everything that it started."""
        self._session = None
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        self._process.wait(20)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None or sys.platform == "win32":
        pytest.skip("SKIP SKIP SKIP: no Chromium here, the report was not looked at in a browser")
    found = Browser(program, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture
def page(
    tmp_path: Path, make_records: Make, config: dict[str, Any], evaluation: dict[str, Any], hostile: str
) -> Path:
    records = make_records(60, 40, notes=[hostile])
    records[20]["sample"] = hostile * 20 + "x" * 300
    pieces = [*"Once upon a time\n", hostile, "end"]
    path = tmp_path / "report.html"
    story = Story(
        "a long name_" * 9, config, records, evaluation, (pieces, [0.7 * i for i in range(len(pieces))])
    )
    path.write_text(render(story), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_looks_right(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.open(page, width, scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    ratio, words = browser.evaluate(WORST)
    assert ratio >= 4.5, words
    assert (browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 20, 18)") == (
        scheme == "dark"
    )
    asked = [request["request"]["url"] for request in browser.happened("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert not browser.happened("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


def test_pointing_at_a_curve_reads_it(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    browser.evaluate("document.querySelector('svg.curve').scrollIntoView()")
    place = json.loads(
        browser.evaluate("JSON.stringify(document.querySelector('svg.curve').getBoundingClientRect())")
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place["x"] + 5, y=place["y"] + 50)
    words = browser.evaluate("document.querySelector('svg.curve g[visibility=visible] text').textContent")
    assert words == "6,400:  training 3.217  validation 2.211 at 38.4 k"


def test_the_page_reloads_only_when_a_reader_wants_it(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    assert browser.evaluate("document.querySelector('a.follow').textContent") == "reload as it goes on"
    browser.events.clear()
    browser.evaluate("document.querySelector('a.follow').click()")
    browser.wait_for_load()
    assert browser.evaluate("document.querySelector('a.follow').textContent") == "stop reloading"
