"""What a key costs on the writing desk, in a browser on a processor that is several times slower, and how
long a page with a text in it takes on a slow network.

    python benchmarks/page_keys.py [--sizes 20 50 100 200] [--slower 4] [--beside FOLDER] [--json]

A text of some hundred characters per paragraph stands on the desk, and was read. A key is pressed at its
end; its cost is the time that the browser's main thread works until the key was drawn, kept, read by the
server and coloured, all of it, the questions of this program included. ``at once`` is the part until the key
is on the screen, least and median; the first line has it for an empty textarea on an empty page.
``--beside``: the source tree of another commit (``git worktree add``), measured in the same run. ``--axe``:
the path of axe.min.js (npm: axe-core), which then judges the page, too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measured import machine
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parents[1]
LINE = "The cat number 4 sat on the mat, and dog 8 ran over the hill, and far away the bell rang for all. "
PARAGRAPH = LINE * 4 + "\n"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
SLOW_3G = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
TELL_DRAWN = """() => addEventListener("keydown", () =>
  requestAnimationFrame(() => setTimeout(() => console.debug("drawn"))))"""


def served(tree: Path, run: Path, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """``pantoum serve`` of a source tree."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "XDG_STATE_HOME": str(folder)}
    command = [sys.executable, "-m", "pantoum", "serve", str(run), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    for line in process.stderr:
        if "http://" in line:
            return process, line.split("http://")[1].split()[0].rstrip("/")
    raise SystemExit(f"{tree}: the server has ended")


def quiet(page: Any, seconds: float) -> None:
    """Wait until the desk does nothing any more. It is asked rarely, for answers take its time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1.0)
        if page.evaluate("() => document.getElementById('busy').hidden"):
            return


def working(wire: Any) -> float:
    """Seconds of processor time of the main thread."""
    metrics = {each["name"]: each["value"] for each in wire.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def pressed(page: Any, wire: Any) -> float:
    """Milliseconds until a key is on the screen. The page says when; asking it would cost as much again."""
    before = working(wire)
    with page.expect_console_message(lambda message: message.text == "drawn"):
        page.keyboard.press("x")
    return 1e3 * (working(wire) - before)


def empty(browser: Any, slower: float, presses: int) -> dict[str, float]:
    """The same in an empty textarea."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    try:
        page.set_content("<textarea></textarea>")
        page.locator("textarea").focus()
        page.evaluate(TELL_DRAWN)
        wire = context.new_cdp_session(page)
        wire.send("Performance.enable", {"timeDomain": "threadTicks"})
        wire.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        once = [pressed(page, wire) for _ in range(presses + 1)][1:]
        return {"at once, least ms": min(once), "at once, median ms": statistics.median(once)}
    finally:
        context.close()


def keys(browser: Any, url: str, size: int, slower: float, presses: int) -> dict[str, float | str]:
    """Milliseconds per key at the end of a text of so many kilobytes."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.extend([message.text] * (message.text != "drawn")))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    try:
        page.goto(url)
        page.wait_for_selector("#facts:not(:empty)")
        page.locator("#text").focus()
        page.keyboard.insert_text((PARAGRAPH * (size * 1000 // len(PARAGRAPH) + 1))[: size * 1000])
        quiet(page, 60.0)
        page.evaluate(TELL_DRAWN)
        wire = context.new_cdp_session(page)
        wire.send("Performance.enable", {"timeDomain": "threadTicks"})
        wire.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        once, whole = [], []
        for number in range(presses + 1):
            before = working(wire)
            drawn = pressed(page, wire)
            quiet(page, 30.0)
            if number:  # the first key also finds what was never laid out
                once.append(drawn)
                whole.append(1e3 * (working(wire) - before))
        told = page.locator("#error-text").text_content() or ""
        fault = {"fault": (told or wrong[0])[:80]} if told or wrong else {}
        return {
            "at once, least ms": min(once),
            "at once, median ms": statistics.median(once),
            "in all, median ms": statistics.median(whole),
            **fault,
        }
    finally:
        context.close()


def opening(browser: Any, url: str, size: int) -> float:
    """Seconds on a slow network until a text of so many kilobytes, kept in the browser, has its colours."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    try:
        page.goto(url)
        page.wait_for_selector("#facts:not(:empty)")
        page.locator("#text").focus()
        page.keyboard.insert_text((PARAGRAPH * (size * 1000 // len(PARAGRAPH) + 1))[: size * 1000])
        quiet(page, 60.0)
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
        wire.send("Network.emulateNetworkConditions", SLOW_3G)
        begun = time.monotonic()
        page.reload()
        page.wait_for_selector("#mirror i", state="attached")
        return time.monotonic() - begun
    finally:
        context.close()


def judged(browser: Any, url: str, axe: str, width: int, scheme: str) -> dict[str, Any]:
    """What axe finds with a text, alternatives, and an error on the desk."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    try:
        page.goto(url)
        page.wait_for_selector("#facts:not(:empty)")
        page.locator("#text").focus()
        page.keyboard.insert_text(PARAGRAPH * 3 + "Odd: ZZQ 77 xx")
        page.locator("#continue").click()
        page.get_by_text("Three alternatives are written.").wait_for()
        page.route("**/v1/completions", lambda route: route.abort())
        page.locator("#again").click()
        page.locator("#error-text:not(:empty)").wait_for()
        page.add_script_tag(path=axe)
        found = page.evaluate("() => axe.run()")
        unresolved = [each for each in found["incomplete"] if each["id"] == "color-contrast"]
        nodes = [node["html"][:90] for each in unresolved for node in each["nodes"]]
        return {"violations": [each["id"] for each in found["violations"]], "unresolved contrast": nodes}
    finally:
        context.close()


def main() -> None:
    """Measure the trees, one after the other at each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200], help="kilobytes of text")
    parser.add_argument("--slower", type=float, default=4.0, help="how many times slower the processor is")
    parser.add_argument("--keys", type=int, default=5, help="keys per size")
    parser.add_argument("--beside", type=Path, help="another source tree")
    parser.add_argument("--opening", type=int, nargs="*", default=[20], help="kilobytes on a slow network")
    parser.add_argument("--axe", help="the path of axe.min.js")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        raise SystemExit("Chromium is missing")
    trees = {"here": HERE, **({"beside": asked.beside} if asked.beside else {})}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "text.txt").write_text(PARAGRAPH * 40)
        train = ["train", str(folder / "text.txt"), "--run", str(folder / "run"), "--steps", "10"]
        subprocess.run([sys.executable, "-m", "pantoum", *train], check=True, capture_output=True)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        processes = []
        try:
            urls = {}
            for label, tree in trees.items():
                process, address = served(tree, folder / "run", folder / label)
                processes.append(process)
                urls[label] = f"http://{address}"
            rows.append({"tree": "empty textarea", **empty(browser, asked.slower, asked.keys)})
            print(rows[-1], file=sys.stderr)
            for size in asked.sizes:
                for label, url in urls.items():
                    row = {"tree": label, "KB": size, **keys(browser, url, size, asked.slower, asked.keys)}
                    rows.append(row)
                    print(row, file=sys.stderr)
            for size in asked.opening:
                for label, url in urls.items():
                    rows.append({"tree": label, "KB": size, "opened on 3G, s": opening(browser, url, size)})
                    print(rows[-1], file=sys.stderr)
            if asked.axe:
                for width, scheme in ((1280, "light"), (390, "dark")):
                    rows.append(
                        {
                            "width": width,
                            "scheme": scheme,
                            **judged(browser, urls["here"], asked.axe, width, scheme),
                        }
                    )
                    print(rows[-1], file=sys.stderr)
        finally:
            for process in processes:
                process.terminate()
            browser.close()
    if asked.json:
        print(json.dumps({"machine": machine(), "slower": asked.slower, "rows": rows}, default=str))


if __name__ == "__main__":
    main()
