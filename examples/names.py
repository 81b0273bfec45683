"""New first names, from a list of old ones: many short documents instead of one long text.

    python examples/names.py                    a built-in list, half a minute
    python examples/names.py names.txt --minutes 3 --count 20

With `documents="lines"` every line is a document: each name begins from a zero state, and the model learns
where names begin and end. A tenth of the list, spread over all of it, is held out.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import product
from pathlib import Path

import pantoum

BEGIN = [
    "Al",
    "An",
    "Bel",
    "Bri",
    "Cor",
    "Dan",
    "El",
    "Em",
    "Fe",
    "Gis",
    "Hel",
    "Il",
    "Jo",
    "Kat",
    "Li",
    "Mar",
    "Nor",
    "Ol",
    "Per",
    "Ro",
    "Sel",
    "Tam",
    "Ul",
    "Vi",
]
MIDDLE = ["", "a", "i", "an", "el", "in", "or", "is", "e"]
END = ["a", "ia", "ina", "o", "us", "e", "en", "bert", "ric", "lla"]


def names() -> list[str]:
    """A list of plausible names."""
    return sorted({b + m + e for b, m, e in product(BEGIN, MIDDLE, END)})


def main(argv: list[str] | None = None) -> list[str]:
    """Train on a list of names and write new ones."""
    parser = argparse.ArgumentParser(description="invent names that resemble the names of a list")
    parser.add_argument("names", nargs="?", help="a file with one name per line (default: a built-in list)")
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--count", type=int, default=12)
    asked = parser.parse_args(argv)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(asked.names) if asked.names else Path(folder, "names.txt")
        if not asked.names:
            path.write_text("\n".join(names()) + "\n")
        known = set(path.read_text(encoding="utf-8").split("\n"))
        budget = {"steps": asked.steps} if asked.steps is not None else {"minutes": asked.minutes}
        run = pantoum.train(path, documents="lines", run=str(Path(folder, "run")), **budget)
        if run.evaluation is not None:
            print(f"held-out names: {run.evaluation.nats_per_character:.3f} nats per character")
        written = run.model.generate(count=asked.count, seed=1, length=30, temperature=1.0)
    for name in written:
        print(name, "" if name in known else "  (new)")
    return written


if __name__ == "__main__":
    main()
