"""Odd texts as PyOD finds outliers: ``PyodDetector(train={"minutes": 2}).fit(texts).predict(others)``.

X is a list of texts. Thresholds, labels (1: an outlier) and probabilities are those of any detector of PyOD.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyod.models.base import BaseDetector

from pantoum.apps.plugins.estimators import SurprisalDetector
from pantoum.seams import Array

__all__ = ["PyodDetector"]


class PyodDetector(BaseDetector):
    """The nats per token of each text are its score."""

    def __init__(
        self,
        model: str | None = None,
        train: dict[str, Any] | None = None,
        contamination: float = 0.01,
    ) -> None:
        """``model``: a file or a run; without it one is trained by ``fit``, with the settings ``train``."""
        super().__init__(contamination=contamination)
        self.model, self.train = model, train

    def fit(self, X: Any, y: Any = None) -> PyodDetector:
        """Train on texts, or read ``model``; the threshold is that of these texts."""
        self._set_n_classes(y)
        self.detector_ = SurprisalDetector(self.model, self.train).fit(X)
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: Any) -> Array:
        """The nats per token of each text: an odd one has more."""
        scores: Array = -self.detector_.score_samples(X)
        return scores

    def predict_proba(self, X: Any, *more: Any, **options: Any) -> Array:
        """For each text the probabilities that it is ordinary, and that it is an outlier."""
        found: Array = super().predict_proba(np.asarray(X, object), *more, **options)
        return found
