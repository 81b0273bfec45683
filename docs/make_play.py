"""The pages of docs/play that are made for the site: the one that trains, and those of the gallery.

mkdocs calls this file (``hooks`` in mkdocs.yml). The page that trains needs the core as WebAssembly
(``pantoum.apps.web.module``); `make gallery` has made the pages of the gallery, where they are in
build/gallery. They stand at the end of docs/play/index.md.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from pantoum.apps.web.html_page import training_page
from pantoum.errors import PantoumError

GALLERY = Path(__file__).parents[1] / "build" / "gallery"
ENGLISH = Path(__file__).parents[1] / "bases" / "english" / "pantoum_base_english" / "english.safetensors"
INDEX, TRAIN = "play/index.md", "train.html"
NONE = "- The gallery is empty: `make gallery` makes it."


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages."""
    try:
        files.append(File.generated(config, f"play/{TRAIN}", content=training_page("base:english", ENGLISH)))
    except PantoumError as missing:
        print(f"the page that trains is left out: {missing}", file=sys.stderr)
    for page in sorted(GALLERY.glob("*.html")):
        files.append(File.generated(config, f"play/{page.name}", content=page.read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """List them."""
    if page.file.src_uri != INDEX:
        return markdown
    made = [name for file in files for name in re.findall(r"^play/(\w+\.html)$", file.src_uri)]
    gallery = [f"- [{_title(GALLERY / name)}]({name})" for name in made if name != TRAIN] or [NONE]
    train = [f"- **[Train a model in this page]({TRAIN})**"] if TRAIN in made else []
    return "\n".join([markdown, "", *train, *gallery, ""])


def _title(page: Path) -> str:
    """The title of a page that writes, without what all of them say."""
    found = re.search(r"<title>(.*?)(?: · [^<]*)?</title>", page.read_text("utf-8"))
    return html.unescape(found[1]) if found else page.stem
