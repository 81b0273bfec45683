"""Give the project its next version, wherever it stands: ``python packaging/version.py 0.2.0``."""

from __future__ import annotations

import re
import sys

from pantoum_metadata import ROOT

__all__ = ["PLACES"]

PLACES = {
    "pyproject.toml": r'^version = "(.*)"$',
    "src/pantoum/config/__init__.py": r'^VERSION = "(.*)"$',
    "src/pantoum/apps/web/package.json": r'^  "version": "(.*)",$',
    "src/pantoum/apps/web/training/training.js": r'^const VERSION = "(.*)";$',
    "packaging/conda/recipe.yaml": r'^  version: "(.*)"$',
    "CITATION.cff": r"^version: (.*)$",
}


def main(version: str) -> None:
    """Write it into every file."""
    for name, pattern in PLACES.items():
        path = ROOT / name
        text = path.read_text("utf-8")
        (place,) = re.finditer(pattern, text, re.MULTILINE)
        path.write_text(text[: place.start(1)] + version + text[place.end(1) :], "utf-8")
        print(name)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", sys.argv[1]):
        sys.exit("give one argument, the version: packaging/version.py 0.2.0")
    main(sys.argv[1])
