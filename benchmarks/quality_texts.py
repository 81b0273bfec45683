"""The texts of ``quality.py``: made once into a folder, each a training file, a held-out one, and flags.

- ``shakespeare``: tiny Shakespeare; its last tenth is held out, as everybody does.
- ``another tenth``: the same without its first tenth, which is only read when the model is done: nothing was
  ever tuned on it.
- ``works``: Shakespeare's works, one file each, The Winter's Tale held out.
- ``library``: the source of Python's standard library, as bytes; every twentieth file is held out.
- ``names`` and ``poems``: some 20 KB each, a tenth held out: the names that the standard library defines, a
  line each, and sonnets.
"""

from __future__ import annotations

import ast
import sysconfig
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SMALL", "Text", "texts"]

SMALL = ("names", "poems")
SMALL_SIZE = 20_000
HELD_OUT_WORK = "winterstale.txt"
LEFT_OUT = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "__pycache__"}


@dataclass(frozen=True)
class Text:
    """A text: what is trained on, what the run looks at, what is reported, and flags of its own."""

    name: str
    train: Path
    valid: Path
    reported: Path
    flags: tuple[str, ...] = ()


def texts(folder: Path, shakespeare: Path, works: Path) -> dict[str, Text]:
    """All of them, written where they are not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        each.name: each
        for each in (
            *_tiny(folder, shakespeare),
            _works(folder, works),
            _library(folder),
            *_small(folder, works),
        )
    }


def _tiny(folder: Path, source: Path) -> list[Text]:
    text = source.read_text(encoding="utf-8")
    first, last = len(text) // 10, len(text) * 9 // 10
    valid = _written(folder / "shakespeare.valid.txt", text[last:])
    other = _written(folder / "another-tenth.txt", text[:first])
    both = _written(folder / "shakespeare.train.txt", text[:last])
    less = _written(folder / "another-tenth.train.txt", text[first:last])
    return [Text("shakespeare", both, valid, valid), Text("another tenth", less, valid, other)]


def _works(folder: Path, works: Path) -> Text:
    files = sorted(path for path in works.glob("*.txt") if path.name != HELD_OUT_WORK)
    held_out = works / HELD_OUT_WORK
    train = _written(folder / "works.train.txt", "".join(path.read_text(encoding="utf-8") for path in files))
    return Text("works", train, held_out, held_out)


def _library(folder: Path) -> Text:
    train, valid = bytearray(), bytearray()
    for place, path in enumerate(_sources()):
        (valid if place % 20 == 7 else train).extend(path.read_bytes())
    held_out = _written(folder / "library.valid.py", bytes(valid))
    return Text(
        "library",
        _written(folder / "library.train.py", bytes(train)),
        held_out,
        held_out,
        ("--tokens", "bytes"),
    )


def _small(folder: Path, works: Path) -> list[Text]:
    names = sorted(
        {
            node.name
            for path in _sources()
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        }
    )
    total = sum(map(len, names)) + len(names)
    names = names[:: max(1, round(total / SMALL_SIZE))]
    held_out = [name for place, name in enumerate(names) if place % 10 == 7]
    learned = [name for place, name in enumerate(names) if place % 10 != 7]
    poems = (works / "sonnets.txt").read_text(encoding="utf-8")[:SMALL_SIZE]
    found = []
    for kind, train, valid, flags in (
        ("names", "\n".join(learned) + "\n", "\n".join(held_out) + "\n", ("--documents", "lines")),
        ("poems", poems[: SMALL_SIZE * 9 // 10], poems[SMALL_SIZE * 9 // 10 :], ()),
    ):
        judged = _written(folder / f"{kind}.valid.txt", valid)
        found.append(Text(kind, _written(folder / f"{kind}.train.txt", train), judged, judged, flags))
    return found


def _sources() -> list[Path]:
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(path for path in root.rglob("*.py") if not LEFT_OUT & set(path.relative_to(root).parts))


def _written(path: Path, content: str | bytes) -> Path:
    if not path.exists():
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path
