"""State who owns the repository, wherever an address of it stands: ``python packaging/owner.py NAME``.

pyproject.toml says who it was until now: a placeholder before the project is public.
"""

from __future__ import annotations

import re
import subprocess
import sys

from pantoum_metadata import ROOT, stated

__all__ = ["with_owner"]


def main(name: str) -> None:
    """Rewrite every tracked file that has such an address."""
    (before,) = re.findall(r"github\.com/([^/]+)/pantoum", stated("repository"))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in map(ROOT.joinpath, listed.stdout.split("\0")[:-1]):
        old = path.read_bytes()
        new = with_owner(old, before, name)
        if new != old:
            path.write_bytes(new)
            print(path.relative_to(ROOT))


def with_owner(text: bytes, before: str, name: str) -> bytes:
    """A file whose addresses are those of ``name``."""
    old, new = before.encode(), name.encode()
    text = text.replace(b"github.com/" + old + b"/pantoum", b"github.com/" + new + b"/pantoum")
    return text.replace(old + b".github.io/pantoum", new + b".github.io/pantoum")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(r"[A-Za-z0-9-]+", sys.argv[1]):
        sys.exit("give one argument, the name of a user or an organisation: packaging/owner.py NAME")
    main(sys.argv[1])
