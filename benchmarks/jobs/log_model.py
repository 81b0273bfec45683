"""A pantoum model as a detector of odd sequences: each event is a token, each sequence a document.

The normal sequences of training are divided in ``FOLDS``; for each fold a model trains on the others and
judges the fold, so the threshold comes from normal sequences that the model had not seen. What is tested is
judged by a model of all of them, as by the simple detectors. The validation text of each model is its
training text, so the weights beside the counts hold what was counted for certain: the network has next to no
part in it, and none of its size and steps matters (docs/log/odd-lines.md says what a trained one does).

The figures of a sequence are those that ``pantoum score`` gives: what ``--alert-by mean`` compares with a
threshold, the detector (decision 056), and the mean of the whole nats beside it.
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
FIGURES = ("alert by mean", "whole nats")
TRAINING: dict[str, Any] = {"steps": 20, "hidden_size": 32, "num_layers": 1, "kneser_ney": 8}
Nats = NDArray[np.float64]


def by_folds(
    train: tuple[Sequence, ...], tests: Iterable[tuple[Sequence, ...]], seed: int
) -> tuple[dict[str, Nats], list[dict[str, Nats]]]:
    """(figures of the training sequences, held out; figures of each test), by the name of the figure."""
    held: dict[str, list[float]] = {name: [] for name in FIGURES}
    for fold in range(FOLDS):
        parts = [tuple(s for at, s in enumerate(train) if (at % FOLDS == fold) == of) for of in (False, True)]
        for name, figures in _figures(_trained(parts[0], seed), parts[1]).items():
            held[name].extend(figures)
    model = _trained(train, seed)
    found = [{name: np.array(figures) for name, figures in _figures(model, test).items()} for test in tests]
    return {name: np.array(figures) for name, figures in held.items()}, found


def settings_of() -> dict[str, Any]:
    """What the report says of the detector."""
    return {**TRAINING, "folds": FOLDS, "tokens": "words:whitespace", "documents": "lines"}


def _trained(train: Iterable[Sequence], seed: int) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder) / "train.txt", Path(folder) / "same.txt"]
        for name in names:
            name.write_text(_text(train), "ascii")
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
    scores = list(model.score_stream([_text(sequences)], alert_by="mean", streams=64))
    means = [score.nats / score.tokens for score in scores]
    return dict(zip(FIGURES, ([score.peak for score in scores], means), strict=True))


def _text(sequences: Iterable[Sequence]) -> str:
    return "".join(" ".join(sequence) + "\n" for sequence in sequences)
