"""An optimiser by which words of like spelling learn from each other.

Most words of a text are rare, and what a rare word means must be learned from a few places. Its spelling says
some of it: *-ing*, *un-*, a capital, a year. So beside a vector of its own each word has those of its parts,
which all words with that part share, and its row of the embedding is the sum (fastText: Bojanowski et al.
2017; with an output layer that shares the embedding: Assylbekov and Takhanov 2018):

    embedding[w] = own[w] + (the sum of part[p] over the n parts of w) / sqrt(n)

Only this sum is held, and nothing that reads a model knows of parts. The gradient of a part is the sum of
those of its words, each over sqrt(n); AdamW turns it into a move. Moves of parts are collected and added to
the words at every ``EVERY``-th update, because that touches the whole embedding. The own vectors, which learn
by heart what the parts cannot say, have a lower rate than the rest of the model (``Recipe.spelling``).

Where words have a lower rate, the embedding has no weight decay, which would reach the rows of frequent words
at every update and those of rare words hardly ever.

Parts: the first and the last one to five letters, all letters without capitals, the length, whether there is
a capital at the beginning or everywhere, whether there are digits. A part of fewer than ``FEWEST`` words is
none.

Shapes: V symbols, O parts of a symbol at most, P parts in all, E units of the embedding, U rows in use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pantoum.kernels import Array, backend
from pantoum.network import LanguageModel
from pantoum.network.gradient import Gradients
from pantoum.network.spec import named
from pantoum.training.update.optimizer import BETAS, EPSILON, AdamW, Muon
from pantoum.training.update.shards import Share

RATES = {"adamw": 0.6, "muon": 0.3}
"""The rate of the vectors of parts, as a multiple of the learning rate, which is higher with Muon."""
SELDOM_BETAS = (0.9, 0.97)
"""The betas of the whole optimiser where words have a lower rate: most rows are used seldom, and with a
shorter memory of squares they move less far."""
LETTERS = range(1, 6)
"""How many letters a beginning or an end has."""
OF_LETTERS = "beginning", "end", "word"
LONGEST = 12
"""Letters from which on all lengths are one part."""
FEWEST = 2
EVERY = 4
"""Updates between two moves of all words. After 16 a wide embedding had gone too far (docs/log/words.md)."""
BLOCK = 2048
"""Words that are moved at a time."""


def parts_of(texts: Sequence[str]) -> Array | None:
    """The parts [V,O] of the symbols with these texts, int32; P where a symbol has fewer, as the first has,
    which is no word but ``<eos>``. ``None``: fewer than half of the symbols have letters in common with
    another, as in a Chinese text of single characters."""
    found = [[], *(_parts(text.strip()) for text in texts[1:])]
    words = Counter(part for parts in found for part in parts)
    numbers = {part: at for at, part in enumerate(part for part, count in words.items() if count >= FEWEST)}
    rows = [[numbers[part] for part in parts if part in numbers] for parts in found]
    alike = sum(any(part in numbers for part in parts if part[0] in OF_LETTERS) for parts in found)
    if 2 * alike < len(texts):
        return None
    most = max(map(len, rows))
    return np.array([[*row, *[len(numbers)] * (most - len(row))] for row in rows], np.int32)


def _parts(word: str) -> list[tuple[str, object]]:
    """In an order that does not depend on the process, so that numbers do not either."""
    if not word:
        return []
    lower = word.lower()
    shorter = [count for count in LETTERS if count < len(word)]
    return [
        *(("beginning", lower[:count]) for count in shorter),
        *(("end", lower[-count:]) for count in shorter),
        ("word", lower),
        ("capitals", (word[0].isupper(), word.isupper())),
        ("digits", any(map(str.isdigit, word))),
        ("length", min(len(word), LONGEST)),
    ]


def shares(parts_VO: Array) -> Array:
    """1 / sqrt(n) of each symbol [V,1]; 0 for one without parts."""
    counts_V1 = (parts_VO < parts_VO.max()).sum(axis=1, keepdims=True)
    found: Array = np.where(counts_V1 > 0, 1 / np.sqrt(np.maximum(counts_V1, 1)), 0).astype(np.float32)
    return found


def betas_and_decay(own: float, weight_decay: float) -> tuple[tuple[float, float], float]:
    """The betas of the optimiser, and the weight decay of the embedding, whose words learn at this rate."""
    return (SELDOM_BETAS, 0.0) if own < 1.0 else (BETAS, weight_decay)


class SpellingOptimizer:
    """The steps of another optimiser, and the moves of the parts."""

    def __init__(self, optimizer: AdamW, model: LanguageModel, parts_VO: Array, own: float) -> None:
        """``own``: the rate of the vectors of single words, as a multiple of the learning rate."""
        (self._name,) = named(model.config, "input")
        self._optimizer = optimizer
        self._rate = RATES["muon" if isinstance(optimizer, Muon) else "adamw"]
        optimizer.slower[self._name] = own
        optimizer.betas, optimizer.decay[self._name] = betas_and_decay(own, optimizer.decay[self._name])
        self._embedding_VE = model.parameters[self._name]
        self._parts_VO, self._shares_V1 = parts_VO, shares(parts_VO)
        shape = int(parts_VO.max()) + 1, self._embedding_VE.shape[1]  # the last row is that of no part
        self._moves_PE, self._first_PE, self._second_PE = (
            np.zeros(shape, self._embedding_VE.dtype) for _ in range(3)
        )
        self._kernels = backend(model.dtype)

    @property
    def steps(self) -> int:
        """Updates done."""
        return self._optimizer.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._optimizer.steps = steps

    def step(self, gradients: Gradients, rate: float, factor: float) -> None:
        """One update at ``rate``; at every ``EVERY``-th the words move with their parts."""
        self._optimizer.step(gradients, rate, factor)
        words_U, d_UE = gradients[self._name].by_rows()
        parts_U, values_UE = self._kernels.lookup_sum_gradient(
            d_UE * self._shares_V1[words_U], self._parts_VO[words_U]
        )
        known = len(parts_U) - (parts_U[-1:] == len(self._moves_PE) - 1).sum()
        self._kernels.adamw(
            self._moves_PE,
            values_UE[:known],
            self._first_PE,
            self._second_PE,
            step=self.steps,
            rate=self._rate * rate,
            betas=self._optimizer.betas,
            epsilon=EPSILON,
            weight_decay=0.0,
            factor=factor,
            rows_U=parts_U[:known],
        )
        if self.steps % EVERY == 0:
            for start in range(0, len(self._parts_VO), BLOCK):
                block = slice(start, start + BLOCK)
                move_NE = self._kernels.lookup_sum(self._moves_PE, self._parts_VO[block])
                self._embedding_VE[block] += move_NE * self._shares_V1[block]
            self._moves_PE[...] = 0.0

    def join(self, share: Share) -> None:
        """As of the other optimiser; each process moves the parts, from the same gradients."""
        self._optimizer.join(share)

    def collect(self) -> None:
        """As of the other optimiser."""
        self._optimizer.collect()

    def arrays(self) -> dict[str, Array]:
        """Those of the other optimiser, and ``parts.moves``, ``parts.first``, ``parts.second``."""
        own = {"moves": self._moves_PE, "first": self._first_PE, "second": self._second_PE}
        return {**self._optimizer.arrays(), **{f"parts.{name}": array for name, array in own.items()}}
