"""A pantoum model as a detector of odd sequences: each event is a token, each sequence a document.

The normal sequences of training are divided in ``FOLDS``; for each fold a model trains on the others. A
sequence of the fold itself gets the figure of this model, one of the test the mean of all: so the threshold
comes from normal sequences that no model had seen, and every sequence of training serves both.

The figure of a sequence is the mean, over all windows of ``WINDOW`` events, of 1 - P(window): the soft form
of the share of n-grams that training lacks. It is bounded, so one impossible event does not outweigh a long
ordinary sequence, and an event that is new in an unknown neighbourhood counts once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from log_sequences import Sequence
from numpy.typing import NDArray

import pantoum
from pantoum.model import Model

__all__ = ["FIGURES", "Model", "by_folds", "settings_of"]

FOLDS = 3
WINDOW = 10
TRAINING = {"steps": 300, "kneser_ney": 4}
"""Chosen by the loss on held-out normal sequences of ADFA-LD."""
Nats = NDArray[np.float64]


def windows(nats_T: Nats, count: int) -> Nats:
    """The sums of all windows of so many events; of the whole where it is shorter."""
    sums = np.concatenate([[0.0], np.cumsum(nats_T)])
    count = min(count, len(nats_T))
    found: Nats = sums[count:] - sums[:-count]
    return found


FIGURES: dict[str, Callable[[Nats], float]] = {
    "windows of 10": lambda nats_T: float(-np.expm1(-windows(nats_T, WINDOW)).mean()),
    "mean": lambda nats_T: float(nats_T.mean()),
    "median": lambda nats_T: float(np.median(nats_T)),
    "peak": lambda nats_T: float(nats_T.max()),
    "worst 8": lambda nats_T: float(windows(nats_T, 8).max() / min(8, len(nats_T))),
    "worst 100": lambda nats_T: float(windows(nats_T, 100).max() / min(100, len(nats_T))),
}
"""Figures of a sequence; the first is the detector, the others lost."""


def by_folds(
    train: tuple[Sequence, ...], tests: Iterable[tuple[Sequence, ...]], seed: int
) -> tuple[dict[str, Nats], list[dict[str, Nats]]]:
    """(figures of the training sequences, held out; figures of each test), by the name of the figure."""
    tests = list(tests)
    different = list(dict.fromkeys(sequence for test in tests for sequence in test))
    held: dict[str, list[float]] = {name: [] for name in FIGURES}
    sums = {name: np.zeros(len(different)) for name in FIGURES}
    for fold in range(FOLDS):
        parts = [tuple(s for at, s in enumerate(train) if (at % FOLDS == fold) == of) for of in (False, True)]
        model = _trained(*parts, seed=seed)
        for name, figures in _figures(model, parts[1]).items():
            held[name].extend(figures)
        for name, figures in _figures(model, different).items():
            sums[name] += np.array(figures) / FOLDS
    at = {sequence: place for place, sequence in enumerate(different)}
    found = [{name: sums[name][[at[s] for s in test]] for name in FIGURES} for test in tests]
    return {name: np.array(figures) for name, figures in held.items()}, found


def settings_of() -> dict[str, Any]:
    """What the report says of the detector."""
    return {**TRAINING, "folds": FOLDS, "window": WINDOW, "tokens": "words:whitespace", "documents": "lines"}


def _trained(train: Iterable[Sequence], valid: Iterable[Sequence], seed: int) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder) / "train.txt", Path(folder) / "valid.txt"]
        for name, part in zip(names, (train, valid), strict=True):
            name.write_text(_text(part), "ascii")
        run = pantoum.train(
            names[0],
            valid=names[1],
            run=Path(folder) / "run",
            tokens="words:whitespace",
            documents="lines",
            seed=seed,
            progress=False,
            **TRAINING,
        )
        return run.model


def _figures(model: Model, sequences: Iterable[Sequence]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    nats: list[float] = []
    for token in model.score_stream([_text(sequences)], by="token", streams=64):
        nats.append(token.nats)
        if token.text.endswith("\n"):
            for name, figure in FIGURES.items():
                found[name].append(figure(np.array(nats)))
            nats.clear()
    return found


def _text(sequences: Iterable[Sequence]) -> str:
    return "".join(" ".join(sequence) + "\n" for sequence in sequences)
