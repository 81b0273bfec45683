"""Figures behind the default sampling settings: what each setting writes, beside the training text.

    python benchmarks/sampling.py runs/tiny=input.txt runs/works=works/ [--texts 48] [--length 800] [--show 1]

Each argument is a model and the text that it was trained on. For each sampling setting the model writes
``--texts`` texts of ``--length`` tokens from one seed. The table has:

words    share of the words (letters and digits) that the training text has
repeats  share of the word 4-grams that stood in the same text before
copies   share of the word 6-grams that the training text has, too
variety  different word pairs per pair, over all texts together
nats     mean surprisal per token under the model itself, at temperature 1
new      (documents) share of texts that are not training documents; ``words`` then counts letter 4-grams

The first row has the same figures for passages of the same length from the end of the training text
(``words`` and ``copies`` without the passages themselves). A good setting comes near that row: fewer known
words are misspellings, more repeats are loops, less variety is a dull text. The temperature alone trades
the two; the question is whether top-p or min-p gives more known words for the same variety.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pantoum

WORD = re.compile(r"\w+")
SETTINGS: tuple[dict[str, float], ...] = (
    *({"temperature": t} for t in (0.6, 0.7, 0.8, 0.9, 1.0)),
    *({"temperature": 1.0, "top_p": p} for p in (0.8, 0.85, 0.9, 0.95)),
    *({"temperature": 0.9, "top_p": p} for p in (0.85, 0.9, 0.95)),
    *({"temperature": 0.8, "top_p": p} for p in (0.9, 0.95)),
    *({"temperature": 1.0, "min_p": p} for p in (0.02, 0.05, 0.1, 0.2)),
    *({"temperature": 0.9, "min_p": p} for p in (0.02, 0.05, 0.1)),
    *({"temperature": 0.8, "min_p": p} for p in (0.02, 0.05, 0.1)),
)


def grams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """All runs of so many words."""
    return zip(*(itertools.islice(words, start, None) for start in range(size)), strict=False)


def figures(texts: Sequence[str], known: frozenset[str], six: frozenset[int]) -> list[float]:
    """words, repeats, copies, variety."""
    split = [WORD.findall(text)[1:-1] for text in texts]  # the first and the last may be cut
    words = [word for text in split for word in text]
    fours = [list(grams(text, 4)) for text in split]
    sixes = [hash(gram) for text in split for gram in grams(text, 6)]
    pairs = [pair for text in split for pair in grams(text, 2)]
    return [
        sum(word in known for word in words) / max(1, len(words)),
        1.0 - sum(len(set(four)) for four in fours) / max(1, sum(map(len, fours))),
        sum(gram in six for gram in sixes) / max(1, len(sixes)),
        len(set(pairs)) / max(1, len(pairs)),
    ]


def letters(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The letter 4-grams of short documents."""
    return [gram for text in texts for gram in grams(f" {text} ", 4)]


def read(name: str) -> str:
    """A text, or all files of a folder."""
    path = Path(name)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return "".join(file.read_text("utf-8", "replace") for file in files)


def main() -> None:
    """Write, count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+", metavar="MODEL=TEXT")
    parser.add_argument("--texts", type=int, default=24)
    parser.add_argument("--length", type=int, default=800)
    parser.add_argument("--show", type=int, default=0, help="texts of each setting to print, for the eye")
    options = parser.parse_args()
    for pair in options.pairs:
        name, _, text_name = pair.partition("=")
        model, text = pantoum.load(name), read(text_name)
        lines = set(text.splitlines())
        spelled = set() if model.documents is None else set(letters(tuple(lines)))
        size = options.length * (4 if model.tokenizer.kind.startswith("words") else 1)
        body, end = text[: -size * options.texts], text[-size * options.texts :]
        words = WORD.findall(body if model.documents is None else text)
        known, six = frozenset(words), frozenset(map(hash, grams(words, 6)))
        print(f"\n{name}: {len(text):,} characters, {options.texts} texts of {options.length} tokens")
        print("temperature top-p  min-p   words repeats  copies variety    nats     new")
        if model.documents is None:
            own = figures([end[k * size : (k + 1) * size] for k in range(options.texts)], known, six)
            print("the text itself         " + "".join(f"{value:8.3f}" for value in own), flush=True)
        for setting in SETTINGS:
            count = options.texts if model.documents is None else 40 * options.texts
            generation = model.generation(
                "",
                pantoum.config.GenerationConfig(length=options.length, seed=1, count=count),
                pantoum.config.SamplingConfig(**setting),
            )
            for _ in generation:
                pass
            written = [each.text for each in generation.texts]
            nats = sum(each.nats for each in generation.texts) / sum(each.tokens for each in generation.texts)
            row = [*figures(written, known, six), nats]
            if model.documents is not None:
                fours = letters(written)
                row[0] = sum(four in spelled for four in fours) / max(1, len(fours))
                row.append(len({line for line in written if line not in lines}) / len(written))
            shown = [setting.get(key) for key in ("temperature", "top_p", "min_p")]
            print(
                "".join(f"{value if value is not None else '-':>8}" for value in shown)
                + "".join(f"{value:8.3f}" for value in row),
                flush=True,
            )
            for sample in written[: options.show]:
                print("    | " + sample.replace("\n", "\n    | "))


if __name__ == "__main__":
    main()
