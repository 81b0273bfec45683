"""How soon a page of ``export --to html`` writes, and whether it answers meanwhile, on desktop and phone.

    python benchmarks/page_marks.py runs/book --json

The page is opened in Chromium with a link that lets it write. A phone is this machine with every process of
the page stopped for three of four milliseconds (``--slower 4``): Chromium's own throttling slows the main
thread alone, and the model runs in a worker. Told are the milliseconds until the first character is shown,
those of 1,000 characters, the longest time in which the page answered nothing, and what share of the time
the page really ran. The least of some turns counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import measured

import pantoum

SLICE = 0.004
WATCH = """
new MutationObserver((_, observer) => {
  if (!document.querySelector(".text [role=button]")?.textContent) return;
  window.first = performance.now();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true, characterData: true });
window.gaps = [];
let before = performance.now();
const channel = new MessageChannel();
channel.port1.onmessage = () => {
  const now = performance.now();
  window.gaps.push(now - before);
  before = now;
  setTimeout(() => channel.port2.postMessage(0), 2);
};
channel.port2.postMessage(0);
"""
WRITE = """async () => {
  document.getElementById("prompt").value = "The ";
  document.getElementById("length").max = 4000;
  document.getElementById("length").value = 1200;
  window.gaps.length = 0;
  const began = performance.now();
  document.getElementById("write").click();
  const count = () => document.querySelector(".text").textContent.length;
  await new Promise((done) => {
    const look = () => (count() >= 1004 ? done() : setTimeout(look, 4));
    look();
  });
  const took = performance.now() - began;
  return { took, gap: Math.max(...window.gaps) };
}"""


def renderers() -> list[int]:
    """The processes of Chromium's pages that this process has begun."""
    parents, pages = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                pages.append(int(folder.name))

    def ours(process: int) -> bool:
        return process == os.getpid() or (process > 1 and ours(parents.get(process, 0)))

    return [page for page in pages if ours(page)]


@contextlib.contextmanager
def slowed(times: float, shares: list[float]) -> Iterator[None]:
    """Stops the pages for all but one of ``times`` slices; the share in which they ran goes to ``shares``."""
    if times <= 1:
        shares.append(1.0)
        yield
        return
    ended = threading.Event()
    ran = stopped = 0.0

    def alternate() -> None:
        nonlocal ran, stopped
        while not ended.is_set():
            pages = renderers()
            until = time.perf_counter() + 0.1
            while time.perf_counter() < until and not ended.is_set():
                began = time.perf_counter()
                owed = (times - 1) * (ran + SLICE / times) - stopped  # slices are longer than they should be
                if owed > 0:
                    send(pages, signal.SIGSTOP)
                    ended.wait(owed)
                middle = time.perf_counter()
                send(pages, signal.SIGCONT)
                ended.wait(SLICE / times)
                stopped += middle - began
                ran += time.perf_counter() - middle

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        send(renderers(), signal.SIGCONT)
        shares.append(ran / (ran + stopped))


def send(processes: list[int], number: int) -> None:
    """A signal, to those that are still there."""
    for process in processes:
        with contextlib.suppress(OSError):
            os.kill(process, number)


def turn(page: Path, slower: float) -> dict[str, float]:
    """One opening and one text."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    shares: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page()
        shown.add_init_script(WATCH)
        with slowed(slower, shares):
            shown.goto(page.as_uri() + "#prompt=The&seed=1&length=20", wait_until="commit")
            shown.wait_for_selector(".text [role=button]", timeout=60_000)
            shown.locator("#status", has_text="tokens in").wait_for(timeout=60_000)
            first = float(shown.evaluate("() => window.first"))
            found = shown.evaluate(WRITE)
        browser.close()
    return {
        "first_character_ms": first,
        "thousand_characters_ms": found["took"],
        "longest_gap_ms": found["gap"],
        "ran": shares[0],
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a run or a model file")
    parser.add_argument("--slower", type=float, default=4.0, help="how much slower a phone is")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"machine": measured.machine()}
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        pantoum.export(arguments.model, "html", page)
        report["page_bytes"] = page.stat().st_size
        turns: dict[str, list[dict[str, float]]] = {"desktop": [], "phone": []}
        for _ in range(arguments.turns):
            turns["desktop"].append(turn(page, 1.0))
            turns["phone"].append(turn(page, arguments.slower))
    report |= {who: {name: min(one[name] for one in own) for name in own[0]} for who, own in turns.items()}
    if arguments.json:
        json.dump(report, sys.stdout)
        return
    print(report["machine"])
    print(f"the page has {report['page_bytes']:,} bytes")
    for who in turns:
        print(who, ", ".join(f"{name} {value:.4g}" for name, value in report[who].items()))


if __name__ == "__main__":
    main()
