"""The texts of ``quality.py``: made once into a folder, each a training file, a held-out one, and flags.

- ``shakespeare``: tiny Shakespeare; its last tenth is held out, as everybody does.
- ``another tenth``: the same without its first tenth, which is only read when the model is done: nothing was
  ever tuned on it.
- ``works``: Shakespeare's works, one file each, The Winter's Tale held out.
- ``library``: the source of Python's standard library, as bytes; every twentieth file is held out.
- ``names`` and ``poems``: some 20 KB each, a tenth held out: the names that the standard library defines, a
  line each, and sonnets.
- ``words``: WikiText-2 as it is parted into words; ``raw characters`` and ``raw bpe``: the same files as
  text.
"""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SMALL", "Text", "texts"]

SMALL = ("names", "poems")
SMALL_SIZE = 20_000
HELD_OUT_WORK = "winterstale.txt"
LEFT_OUT = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "__pycache__"}
TOKENS = {"words": "words:whitespace", "raw characters": "characters", "raw bpe": "bpe:4000"}


@dataclass(frozen=True)
class Text:
    """A text: what is trained on, what the run looks at, what is reported, and flags of its own."""

    name: str
    train: Path
    valid: Path
    reported: Path
    flags: tuple[str, ...] = ()


def texts(
    folder: Path, shakespeare: Path | None, works: Path | None, wikitext: Path | None
) -> dict[str, Text]:
    """Those whose sources are there, written where they are not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [_library(folder)]
    if shakespeare is not None:
        found += _tiny(folder, shakespeare)
    if works is not None:
        found += [_works(folder, works), *_small(folder, works)]
    if wikitext is not None:
        parts = [wikitext / f"wiki.{part}.tokens" for part in ("train", "valid", "test")]
        found += [Text(name, *parts, ("--tokens", tokens)) for name, tokens in TOKENS.items()]
    return {each.name: each for each in found}


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
    learned = _written(folder / "library.train.py", bytes(train))
    held_out = _written(folder / "library.valid.py", bytes(valid))
    return Text("library", learned, held_out, held_out, ("--tokens", "bytes"))


def _small(folder: Path, works: Path) -> Iterator[Text]:
    nodes = (node for path in _sources() for node in ast.walk(ast.parse(path.read_bytes())))
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names = sorted(name for name in defined if not name.startswith("_"))
    names = names[:: max(1, round(sum(len(name) + 1 for name in names) / SMALL_SIZE))]
    parts = [
        "".join(f"{n}\n" for at, n in enumerate(names) if (at % 10 == 7) == held) for held in (False, True)
    ]
    poems = (works / "sonnets.txt").read_text(encoding="utf-8")[:SMALL_SIZE]
    at = SMALL_SIZE * 9 // 10
    for name, (train, valid), flags in (
        ("names", parts, ("--documents", "lines")),
        ("poems", (poems[:at], poems[at:]), ()),
    ):
        held_out = _written(folder / f"{name}.valid.txt", valid)
        yield Text(name, _written(folder / f"{name}.train.txt", train), held_out, held_out, flags)


def _sources() -> list[Path]:
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(path for path in root.rglob("*.py") if not LEFT_OUT & set(path.relative_to(root).parts))


def _written(path: Path, content: str | bytes) -> Path:
    if not path.exists():
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path
