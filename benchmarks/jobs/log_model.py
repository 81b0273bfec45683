"""A pantoum model as a detector of odd sequences: each event is a token, each sequence a document.

The normal sequences of training are divided in ``FOLDS``; for each fold a model trains on the others, and
gives the sequences of the fold their figures. So a threshold comes from normal sequences that no model had
seen, and every sequence of training serves both. A sequence of the test has a figure from each model. Their
mean is not distributed as the figure of one model is, so a threshold from the folds would let fewer normal
sequences pass, or more, than it says. So a sequence is ranked among those of each fold by the model of the
fold: its figure is the share of all that it exceeds (the cross-conformal predictor of Vovk, 2015). Ties go by
the mean; the means alone are told, too.

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

__all__ = ["FOLDS", "Model", "by_folds", "settings_of"]

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
FIGURE, RANKED = "windows of 10", "windows of 10, ranked"
"""The figure of the detector, and its name among the others, which lost."""


def by_folds(
    train: tuple[Sequence, ...], tests: Iterable[tuple[Sequence, ...]], seed: int
) -> tuple[dict[str, Nats], list[dict[str, Nats]]]:
    """(figures of the training sequences, held out; figures of each test), by the name of the figure."""
    tests = list(tests)
    different = list(dict.fromkeys(sequence for test in tests for sequence in test))
    held: dict[str, list[Nats]] = {name: [] for name in FIGURES}
    given: dict[str, list[Nats]] = {name: [] for name in FIGURES}
    for fold in range(FOLDS):
        parts = [tuple(s for at, s in enumerate(train) if (at % FOLDS == fold) == of) for of in (False, True)]
        model = _trained(*parts, seed=seed)
        for found, sequences in ((held, parts[1]), (given, different)):
            for name, figures in _figures(model, sequences).items():
                found[name].append(np.array(figures))
    at = {sequence: place for place, sequence in enumerate(different)}
    places = [[at[sequence] for sequence in test] for test in tests]
    names = [RANKED, *FIGURES]
    known = {name: np.mean(given[name], axis=0) for name in FIGURES}
    known[RANKED] = ranks(held[FIGURE], given[FIGURE])
    expected = {name: np.concatenate(held[name]) for name in FIGURES}
    expected[RANKED] = np.arange(1, len(train) + 1) / len(train)
    return {n: expected[n] for n in names}, [{n: known[n][place] for n in names} for place in places]


def ranks(held: list[Nats], given: list[Nats]) -> Nats:
    """The share of the held-out sequences that each sequence exceeds, by the models of their folds."""
    pairs = zip(held, given, strict=True)
    below = sum(np.searchsorted(np.sort(fold), figures, "left") for fold, figures in pairs)
    return below / sum(map(len, held)) + 1e-6 * np.mean(given, axis=0)


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
