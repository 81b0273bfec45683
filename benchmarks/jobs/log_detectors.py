"""The simple detectors of ``evaluate.py`` of ait-aecid/anomaly-detection-log-datasets, written anew as
functions that give each sequence one figure, higher for more odd.

Count vectors (the distance to the nearest of training, with and without the weights of
rare events), n-grams that training lacks (Forrest and others 1996), and the edit distance to the nearest
sequence of training.

Shape letters: N sequences, E events.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
from log_sequences import Sequence
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

__all__ = ["DETECTORS", "Detector"]

Figures = NDArray[np.float64]
Sequences = tuple[Sequence, ...]
Detector = Callable[[Sequences, Sequences], Figures]


def count_vectors(train: Sequences, test: Sequences, idf: bool = False) -> Figures:
    """The distance to the nearest count vector: the sum of differences by the sum of maxima, of shares."""
    events = {event: place for place, event in enumerate({e for s in (*train, *test) for e in s})}
    train_NE, test_NE = (_shares(part, events) for part in (tuple(set(train)), test))
    if idf:
        within_E = (_shares(train, events) > 0).sum(0)
        weights_E = np.where(within_E, np.log10((1 + len(train)) / np.maximum(within_E, 1)), 1.0)
        train_NE, test_NE = train_NE * weights_E, test_NE * weights_E
    found = np.full(len(test), np.inf)
    for known_E in train_NE:
        larger_N = np.maximum(test_NE, known_E).sum(1)
        apart_N = np.abs(test_NE - known_E).sum(1)
        found = np.minimum(
            found, np.divide(apart_N, larger_N, out=np.zeros_like(apart_N), where=larger_N > 0)
        )
    return found


def _shares(sequences: Sequences, events: dict[str, int]) -> Figures:
    found = np.zeros((len(sequences), len(events)))
    for row, sequence in zip(found, sequences, strict=True):
        for event, count in Counter(sequence).items():
            row[events[event]] = count / len(sequence)
    return found


def grams(train: Sequences, test: Sequences, n: int) -> Figures:
    """The share of n-grams that training lacks. The repository stops counting at the first, so its figure
    says little more than whether there is one; this one ranks better."""

    def of(sequence: Sequence) -> list[Sequence]:
        whole = ("<", *sequence, ">")
        return [whole[at : at + n] for at in range(max(1, len(whole) - n + 1))]

    known = {gram for sequence in train for gram in of(sequence)}
    return np.array([np.mean([gram not in known for gram in of(sequence)]) for sequence in test])


def edit_distance(train: Sequences, test: Sequences) -> Figures:
    """The edit distance to the nearest sequence of training, by the length of the longer of both."""
    letters = {event: chr(0x4E00 + at) for at, event in enumerate({e for s in (*train, *test) for e in s})}
    known = ["".join(map(letters.__getitem__, s)) for s in sorted(set(train))]
    memory: dict[Sequence, float] = {}
    for sequence in test:
        if sequence in memory:
            continue
        text, least = "".join(map(letters.__getitem__, sequence)), math.inf
        for place, other in enumerate(known):
            most = None if least == math.inf else least
            distance = Levenshtein.normalized_distance(text, other, score_cutoff=most)
            if distance < least:
                least, nearest = distance, place
        known.insert(0, known.pop(nearest))  # probably near to the following ones, too
        memory[sequence] = least
    return np.array([memory[sequence] for sequence in test])


DETECTORS: dict[str, Detector] = {
    "count vectors": count_vectors,
    "count vectors, idf": lambda train, test: count_vectors(train, test, idf=True),
    "2-grams": lambda train, test: grams(train, test, 2),
    "3-grams": lambda train, test: grams(train, test, 3),
    "10-grams": lambda train, test: grams(train, test, 10),
    "edit distance": edit_distance,
}
