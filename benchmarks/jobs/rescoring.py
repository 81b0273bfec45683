"""Hypotheses of a made-up recogniser, rescored by a model of words and by KenLM: words per second, errors.

    python benchmarks/jobs/rescoring.py TRAIN TEST --out FOLDER [--minutes 10] [--lists 1000] [--threads 2]

TRAIN and TEST are texts whose words are parted by spaces, such as WikiText-2; a sentence ends at " . ". In
FOLDER a model of words is trained on the sentences of TRAIN (once), and exported to int8 and to ARPA: the
Kneser-Ney 5-gram of the same text, which KenLM reads. The channel: in place of each word of a sentence of
TEST a recogniser hears the words of the vocabulary that are at most two letters away, each with a
log-probability that falls with the distance and has noise. The list of a sentence has the 100 best
hypotheses. Each system adds its log-probability, times a weight that is chosen on every fifth list; errors
are counted on the others. Needs kenlm.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import pantoum
from pantoum.api import export
from pantoum.apps.plugins.rescoring import Model

sys.path.insert(0, str(Path(__file__).parent.parent))
import measured

BEST, MOST_HEARD = 100, 12
PER_LETTER, NOISE = 2.5, 1.2
"""What a letter of distance costs, in nats, and the deviation of the noise."""
WEIGHTS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5]
CHOOSE = 5
"""Every fifth list chooses the weight."""


def sentences(path: Path) -> Iterator[list[str]]:
    """The sentences of a text, without headings."""
    for line in path.read_text(encoding="utf-8").splitlines():
        for part in line.strip().split(" . "):
            words = part.removesuffix(" .").split()
            if words and words[0] != "=":
                yield words


def variants(word: str) -> set[str]:
    """The word, and what it is without a letter."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def distance(one: str, other: str) -> int:
    """Letters to put in, to take out or to change."""
    row = list(range(len(other) + 1))
    for place, sign in enumerate(one, 1):
        before, row[0] = row[0], place
        for at, letter in enumerate(other, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (sign != letter))
    return row[-1]


class Channel:
    """What is heard in place of words."""

    def __init__(self, vocabulary: set[str], seed: int) -> None:
        self._near: dict[str, list[str]] = defaultdict(list)
        for word in sorted(vocabulary):
            if word.isalpha():
                for variant in variants(word):
                    self._near[variant].append(word)
        self._random = np.random.default_rng(seed)

    def hear(self, sentence: list[str]) -> list[tuple[str, float]]:
        """The list of a sentence: hypotheses with the log-probabilities of the channel, best first."""
        best: list[tuple[float, tuple[str, ...]]] = [(0.0, ())]
        for word in sentence:
            found = {near for variant in variants(word) for near in self._near.get(variant, ())} | {word}
            far = (
                sorted((distance(word, near), near) for near in found)[:MOST_HEARD] if word.isalpha() else []
            )
            words = [near for _, near in far] or [word]
            scores = np.array([-PER_LETTER * d for d, _ in far] or [0.0])
            scores = scores + NOISE * self._random.standard_normal(len(scores))
            scores -= np.log(np.exp(scores).sum())
            heard = [(b + s, (*h, w)) for b, h in best for w, s in zip(words, scores, strict=True)]
            best = sorted(heard, key=lambda one: -one[0])[:BEST]
        return [(" ".join(words), score) for score, words in best]


def wrong(references: list[list[str]], chosen: list[str]) -> float:
    """The word error rate: hypotheses have as many words as the sentence."""
    pairs = [(r, h.split()) for r, h in zip(references, chosen, strict=True)]
    errors = sum(a != b for r, h in pairs for a, b in zip(r, h, strict=True))
    return errors / sum(len(r) for r, _ in pairs)


def rescored(lists: list[list[tuple[str, float]]], scores: list[list[float]], weight: float) -> list[str]:
    """The best hypothesis of each list."""
    return [
        max(zip(one, own, strict=True), key=lambda pair: pair[0][1] + weight * pair[1])[0][0]
        for one, own in zip(lists, scores, strict=True)
    ]


def judged(
    name: str,
    score: Callable[[list[str]], list[float]],
    references: list[list[str]],
    lists: list[list[tuple[str, float]]],
) -> dict[str, Any]:
    """The figures of one system; ``score`` gives logarithms to base 10."""
    texts = [text for one in lists for text, _ in one]
    began, used = time.perf_counter(), time.process_time()
    flat = np.array(score(texts)) * np.log(10)
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    ends = np.cumsum([len(one) for one in lists])[:-1]
    scores = [part.tolist() for part in np.split(flat, ends)]
    numbers = range(len(lists))
    to_choose = [n for n in numbers if n % CHOOSE == 0]
    to_judge = [n for n in numbers if n % CHOOSE]

    def rate(some: list[int], weight: float) -> float:
        picked = rescored([lists[n] for n in some], [scores[n] for n in some], weight)
        return wrong([references[n] for n in some], picked)

    weight = min(WEIGHTS, key=lambda weight: rate(to_choose, weight))
    words = sum(len(text.split()) + 1 for text in texts)
    return {
        "system": name,
        "words": words,
        "words per second": words / seconds,
        "words per second of a processor": words / processor,
        "weight": weight,
        "error rate": rate(to_judge, weight),
        "channel alone": rate(to_judge, 0.0),
    }


def main() -> None:
    """Print a row for each system."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--lists", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    import kenlm

    from pantoum.kernels.threads import with_threads

    learned = list(sentences(asked.train))
    asked.out.mkdir(parents=True, exist_ok=True)
    run, small, arpa = asked.out / "run", asked.out / "int8.safetensors", asked.out / "model.arpa"
    if not (run / "model.safetensors").exists():
        text = asked.out / "sentences.txt"
        text.write_text("".join(" ".join(words) + "\n" for words in learned), encoding="utf-8")
        pantoum.train(text, run=run, minutes=asked.minutes, tokens="words:whitespace", progress=False)
    for to, path in (("int8", small), ("arpa", arpa)):
        if not path.exists():
            export(run, to, path)
    vocabulary = {word for words in learned for word in words}
    chosen = [words for words in sentences(asked.test) if 6 <= len(words) <= 30 and set(words) <= vocabulary]
    step = max(1, len(chosen) // asked.lists)
    references = chosen[::step][: asked.lists]
    channel = Channel(vocabulary, seed=1)
    lists = [channel.hear(words) for words in references]
    oracle = wrong(references, [min((t for t, _ in one), key=lambda t: wrong([r], [t]))
                                for r, one in zip(references, lists, strict=True)])  # fmt: skip
    counted = kenlm.Model(str(arpa))
    rows = [judged("KenLM", lambda texts: [counted.score(text) for text in texts], references, lists)]
    with with_threads(asked.threads):
        model = Model(small)
        rows.append(judged("pantoum, int8", model.scores, references, lists))
    report = {"machine": measured.machine(), "lists": len(lists), "oracle": oracle, "rows": rows}
    if asked.json:
        print(json.dumps(report))
        return
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    print(f"{len(lists)} lists, {oracle:.4f} errors per word in the best hypothesis of each")
    for row in rows:
        print("  ".join(f"{k} {v:,.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
