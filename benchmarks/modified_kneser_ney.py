"""An n-gram model with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998), in NumPy: what a
network trained for minutes has to beat.

    python benchmarks/modified_kneser_ney.py TRAIN TEST [--order 5] [--characters]

Prints the perplexity per word of TEST, or the nats per character, after the first.
Words are what white space separates, and each line ends with ``<eos>``. The longest n-grams count how often
they occurred, shorter ones how many different words preceded them. Each order takes one of three discounts
off a count of 1, 2, or 3 and more, and gives what it took to the next shorter order; the shortest gives it to
all words of the vocabulary alike. A text is one stream: n-grams go across the ends of lines.

An n-gram is the number of its first n - 1 words and its last word, so each order is one sorted array.

Shapes: N tokens, G different n-grams of an order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measured import parser
from numpy.typing import NDArray

__all__ = ["ModifiedKneserNey", "evaluated", "read_characters", "read_words"]

EOS, UNK = "<eos>", "<unk>"
Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The n-grams of one length."""

    keys_G: Tokens
    """Number of the first words times V, plus the last word; sorted."""
    taken_G: NDArray[np.float64]
    """The count after its discount, as a share of the counts after the same first words."""
    given: NDArray[np.float64]
    """By the number of the first words: the share of the next shorter order; 1 where nothing follows."""


class ModifiedKneserNey:
    """Counts of a text, and the probabilities that they give."""

    def __init__(self, tokens_N: Tokens, vocab_size: int, order: int = 5) -> None:
        self.vocab_size = vocab_size
        numbers, keys = [np.zeros(len(tokens_N), np.int64)], list[Tokens]()
        first = list[Tokens]()
        counts_G = np.zeros(0, np.int64)
        for length in range(1, order + 1):  # the n-gram that begins at each token, numbered
            ends_N = tokens_N[length - 1 :]
            found = np.unique(
                numbers[-1][: len(ends_N)] * vocab_size + ends_N,
                return_index=True,
                return_inverse=True,
                return_counts=True,
            )
            keys.append(found[0])
            first.append(found[1])
            numbers.append(found[2].reshape(-1))
            counts_G = found[3]
        self.orders = []
        for length in range(1, order + 1):
            if length < order:  # how many different words came before: each longer n-gram is one of them
                at = first[length] + 1
                counts_G = np.bincount(numbers[length][at], minlength=len(keys[length - 1]))
            else:
                counts_G = np.bincount(numbers[order])
            contexts = 1 if length == 1 else len(keys[length - 2])
            self.orders.append(_smoothed(keys[length - 1], counts_G, contexts, vocab_size))

    def nats(self, tokens_N: Tokens, before: int = 0) -> NDArray[np.float64]:
        """The nats of each token after the first ``before``, with all tokens before it as context."""
        N = len(tokens_N)
        p_N = np.full(N, 1.0 / self.vocab_size)
        contexts_N = np.zeros(N, np.int64)  # the number of the words before each token; -1: never seen
        shorter = [contexts_N]
        for length, order in enumerate(self.orders, 1):
            if length > 1:
                # The words before a token: those before the token to its left, and that token.
                contexts_N = np.full(N, -1)
                contexts_N[1:] = _number(
                    self.orders[length - 2].keys_G, shorter[-1][:-1], tokens_N[:-1], self.vocab_size
                )
                shorter.append(contexts_N)
            seen_N = contexts_N >= 0
            grams_N = _number(order.keys_G, contexts_N, tokens_N, self.vocab_size)
            taken_N = np.where(grams_N >= 0, order.taken_G[np.maximum(grams_N, 0)], 0.0)
            given_N = np.where(seen_N, order.given[np.maximum(contexts_N, 0)], 1.0)
            p_N = taken_N + given_N * p_N
        nats_N: NDArray[np.float64] = -np.log(p_N[before:])
        return nats_N

    def distribution(self, tokens_N: Tokens) -> NDArray[np.float64]:
        """The probabilities [V] of all words after the last tokens of a text."""
        V = self.vocab_size
        p_V = np.full(V, 1.0 / V)
        for length, order in enumerate(self.orders[: len(tokens_N) + 1], 1):
            number = np.zeros(1, np.int64)
            for at, token in enumerate(tokens_N[len(tokens_N) - length + 1 :]):
                number = _number(self.orders[at].keys_G, number, np.array([token]), V)
            if number[0] < 0:
                break
            begin, end = np.searchsorted(order.keys_G, [number[0] * V, (number[0] + 1) * V])
            p_V = p_V * order.given[number[0]]
            p_V[order.keys_G[begin:end] - number[0] * V] += order.taken_G[begin:end]
        return p_V


def _smoothed(keys_G: Tokens, counts_G: Tokens, contexts: int, vocab_size: int) -> Order:
    """Discounts by how many counts are 1, 2, 3 and 4 (Chen and Goodman, equation 26)."""
    n1, n2, n3, n4 = (max(1, int((counts_G == count).sum())) for count in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    discounts = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    discounts = np.clip(discounts, 0.0, [0.0, 1.0, 2.0, 3.0])
    off_G = discounts[np.minimum(counts_G, 3)]
    contexts_G = keys_G // vocab_size
    totals = np.bincount(contexts_G, counts_G, contexts)
    given = np.ones(contexts)
    some = totals > 0
    given[some] = np.bincount(contexts_G, off_G, contexts)[some] / totals[some]
    return Order(keys_G, (counts_G - off_G) / np.maximum(totals[contexts_G], 1.0), given)


def _number(keys_G: Tokens, contexts_N: Tokens, tokens_N: Tokens, vocab_size: int) -> Tokens:
    """The number of each n-gram among the known ones; -1 where it is none of them. No n-gram has a -1."""
    keys_N = np.where((contexts_N < 0) | (tokens_N < 0), -1, contexts_N * vocab_size + tokens_N)
    at_N = np.minimum(np.searchsorted(keys_G, keys_N), len(keys_G) - 1)
    return np.where(keys_G[at_N] == keys_N, at_N, -1)


def read_words(*paths: Path) -> tuple[int, list[Tokens]]:
    """(vocabulary size, the tokens of each text); the words are those of the first text and ``<unk>``."""
    texts = [
        [word for line in path.read_text(encoding="utf-8").splitlines() for word in (*line.split(), EOS)]
        for path in paths
    ]
    return _numbered([EOS, UNK], texts)


def read_characters(*paths: Path) -> tuple[int, list[Tokens]]:
    """The same of characters."""
    return _numbered([UNK], [path.read_text(encoding="utf-8") for path in paths])


def _numbered(first: list[str], texts: Sequence[Sequence[str]]) -> tuple[int, list[Tokens]]:
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys([*first, *texts[0]]))}
    return len(numbers), [np.array([numbers.get(unit, numbers[UNK]) for unit in text]) for text in texts]


def evaluated(train: Path, test: Path, order: int = 5, characters: bool = False) -> dict[str, int | float]:
    """The figures of TEST by the protocol ``carried``: all targets after the first token."""
    began = time.perf_counter()
    vocab_size, (learned, judged) = (read_characters if characters else read_words)(train, test)
    model = ModifiedKneserNey(learned, vocab_size, order)
    seconds, nats = time.perf_counter() - began, model.nats(judged, 1)
    figure = float(nats.mean())
    found = {"seconds": seconds, "vocab_size": vocab_size, "tokens": len(learned), "targets": len(nats)}
    return {**found, "carried": figure, "static": math.exp(figure)}


def main() -> None:
    """Print the figure."""
    options = parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--order", type=int, default=5)
    options.add_argument("--characters", action="store_true")
    asked = options.parse_args()
    found = evaluated(asked.train, asked.test, asked.order, asked.characters)
    figure = "{carried:.4f} nats per character" if asked.characters else "perplexity {static:.2f} per word"
    print(f"{figure.format(**found)}, counted in {found['seconds']:.1f} s")


if __name__ == "__main__":
    main()
