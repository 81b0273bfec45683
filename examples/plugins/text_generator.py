"""A model as an estimator of scikit-learn that writes: ``predict`` gives the continuation of each text.

    TextGenerator("runs/book", writing={"length": 80, "seed": 1}).fit().predict(["Once", "Twice"])

``writing`` has the settings of ``Model.generate``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

import pantoum

__all__ = ["TextGenerator"]


class TextGenerator(BaseEstimator):
    """Writes on."""

    def __init__(self, model: str, writing: dict[str, Any] | None = None) -> None:
        self.model = model
        self.writing = writing

    def fit(self, X: Any = None, y: Any = None) -> TextGenerator:
        """Read ``model``; nothing is learned from X."""
        self.model_ = pantoum.load(self.model)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The continuations."""
        return np.array(self.model_.generate([str(text) for text in X], **(self.writing or {})), object)
