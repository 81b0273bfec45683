"""Makes the pictures of the documentation from real runs.

    python docs/make_pictures.py live-view runs/input           the terminal while the run trains, as SVG
    python docs/make_pictures.py report runs/book               the run's report.html, as PNG
    python docs/make_pictures.py scores runs/book other.txt     `pantoum score --format html`, as PNG

They are written to docs/pictures. The PNGs need Chromium.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from pantoum.report.live import Scene, frame
from pantoum.report.run_page import render
from pantoum.report.story import RunHistory, read

PICTURES = Path(__file__).with_name("pictures")
WIDTH, HEIGHT = 100, 30
SHOWN = 0.75
"""Share of the budget that is used in the picture of the live view."""


def live_view(run: Path, out: Path) -> None:
    """The live view at three quarters of the run, as SVG without web fonts."""
    story = read(run)
    records = [r for r in story.history.records if (r.get("progress") or 0.0) <= SHOWN]
    scene = Scene(story.name, RunHistory.of(records), story.about, story.unit)
    console = Console(file=io.StringIO(), record=True, width=WIDTH, height=HEIGHT, color_system="truecolor")
    console.print(frame(scene, WIDTH, HEIGHT))
    plain = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    plain = plain.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    console.save_svg(
        str(out), title=f"pantoum train {story.name}.txt --minutes 3", theme=MONOKAI, code_format=plain
    )


def screenshot(page: Path, out: Path, width: int, height: int) -> None:
    """A PNG of the top of a page."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print(f"no Chromium: {out.name} is not made", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as profile:
        options = f"--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
            --hide-scrollbars --user-data-dir={profile} --window-size={width},{height} --screenshot={out}"
        subprocess.run([browser, *options.split(), page.resolve().as_uri()], check=True, capture_output=True)


def report(run: Path, out: Path) -> None:
    """The top of the run's report, rendered anew from its files."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(render(read(run)), encoding="utf-8")
        screenshot(page, out, 1000, 900)


def scores(run: Path, text: Path, out: Path) -> None:
    """The page of a text's scores."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "scores.html"
        command = [sys.executable, "-m", "pantoum", "score", run, text, "--format", "html"]
        page.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
        screenshot(page, out, 1000, 560)


def main() -> None:
    """Make one picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", choices=["live-view", "report", "scores"])
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("text", type=Path, nargs="?", help="the text to score")
    asked = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    if asked.picture == "live-view":
        live_view(asked.run, PICTURES / "live-view.svg")
    elif asked.picture == "report":
        report(asked.run, PICTURES / "report.png")
    elif asked.text is None:
        parser.error("scores needs a text")
    else:
        scores(asked.run, asked.text, PICTURES / "scores.png")


if __name__ == "__main__":
    main()
