"""A pantoum model as a detector of odd sequences: each event is a token, each sequence a document.

The normal sequences of training are divided in ``FOLDS``; for each fold a model trains on the others. A
sequence of the fold itself gets the figure of this model, one of the test the mean of all: so the threshold
comes from normal sequences that no model had seen, and every sequence of training serves both.

The figures of a sequence are those that ``pantoum score`` gives: what ``--alert-by windows`` compares with a
threshold, the detector (decision 056), and the mean nats of an event beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from log_sequences import Sequence
from numpy.typing import NDArray

import pantoum
from pantoum.model import Model

__all__ = ["FIGURES", "Model", "by_folds", "settings_of"]

FOLDS = 6
FIGURES = ("windows", "mean")
TRAINING = {"steps": 300, "kneser_ney": 6}
"""Chosen by the loss on held-out normal sequences of ADFA-LD."""
Nats = NDArray[np.float64]


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
    return {**TRAINING, "folds": FOLDS, "tokens": "words:whitespace", "documents": "lines"}


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
    scores = list(model.score_stream([_text(sequences)], alert_by="windows", streams=64))
    means = [score.nats / score.tokens for score in scores]
    return dict(zip(FIGURES, ([score.peak for score in scores], means), strict=True))


def _text(sequences: Iterable[Sequence]) -> str:
    return "".join(" ".join(sequence) + "\n" for sequence in sequences)
