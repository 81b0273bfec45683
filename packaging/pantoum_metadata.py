"""What a package index shows of this project: its README, with links that lead somewhere, and its addresses.

A README on an index has no files beside it, so its links to files of the repository become links to the
repository's address: `repository` in `[tool.pantoum]` of pyproject.toml, or the environment variable
PANTOUM_REPOSITORY, with which `make release-check` tries one. While the owner is a placeholder, links stay as
they are, and the project names no address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["PLACEHOLDER", "dynamic_metadata", "repository", "stated", "with_addresses"]

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "OWNER"
LINK = re.compile(r"(!?)(\[[^\]]*\]\()(?!\w+:|#)([^)\s]+)")
PLACES = {
    "Repository": "",
    "Changelog": "/blob/HEAD/CHANGELOG.md",
    "Issues": "/issues",
}


def dynamic_metadata(field: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """A field of the metadata, as scikit-build-core asks for it."""
    address = repository()
    if field == "urls":
        places = {name: address + place for name, place in PLACES.items()}
        return {**places, "Documentation": stated("documentation")} if address else {}
    if field == "readme":
        text = (ROOT / "README.md").read_text("utf-8")
        return {"content-type": "text/markdown", "text": with_addresses(text, address)}
    raise ValueError(f"nothing is known of the field {field!r}")


def stated(name: str) -> str:
    """An entry of ``[tool.pantoum]``. There is no `tomllib` in Python 3.10."""
    (value,) = re.findall(rf'^{name} = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    return str(value)


def repository() -> str:
    """The address of the repository; empty where none is known."""
    address = os.environ.get("PANTOUM_REPOSITORY") or stated("repository")
    return "" if f"/{PLACEHOLDER}/" in address else address.rstrip("/")


def with_addresses(text: str, address: str) -> str:
    """A page of Markdown whose links to files, and pictures, are addresses."""
    if not address:
        return text

    def absolute(link: re.Match[str]) -> str:
        picture, label, path = link.groups()
        return f"{picture}{label}{address}/{'raw' if picture else 'blob'}/HEAD/{path}"

    return LINK.sub(absolute, text)
