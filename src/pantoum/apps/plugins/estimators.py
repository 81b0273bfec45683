"""A model as estimators of scikit-learn, for pipelines and searches over settings.

    SurprisalDetector   odd texts: ``predict`` gives -1 for an outlier, 1 for an ordinary text
    StateVectors        a vector per text: the outputs of the last layer after it

X is a list (or an array of one axis) of texts. ``fit`` trains a model on them, each a document, or reads that
of ``model`` (a file or a run). ``train`` is a dict of settings of training: ``{"steps": 500, "seed": 1}``. A
fitted estimator holds the bytes of its model, so it is copied and pickled whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from pantoum.seams import Array, LoadedModel, model_path, of_bytes, require, sentence_nats, train
from pantoum.seams import check_number as number
from pantoum.seams import check_text as checked

__all__ = ["StateVectors", "SurprisalDetector"]


class _OfTexts(BaseEstimator):
    """What all of them have: a model of the texts that they are fitted on."""

    def __init__(self, model: str | None = None, train: dict[str, Any] | None = None) -> None:
        self.model = model
        self.train = train

    def fit(self, X: Any, y: Any = None) -> Any:
        """Train on texts, or read ``model``."""
        texts = _texts(X)
        if self.model is None:
            self.file_ = _trained(texts, self.train or {})
        else:
            self.file_ = model_path(self.model).read_bytes()
        self._made: LoadedModel | None = None
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {**state, "_made": None} if "_made" in state else state

    @property
    def _loaded(self) -> LoadedModel:
        check_is_fitted(self, "file_")
        if self._made is None:
            self._made = of_bytes(self.file_, Path("model.safetensors"))
        return self._made

    def _tokens(self, X: Any) -> list[Array]:
        return [self._loaded.tokenizer.encode(text) for text in _texts(X)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


class SurprisalDetector(OutlierMixin, _OfTexts):
    """Texts whose nats per token are among the greatest are odd."""

    def __init__(
        self,
        model: str | None = None,
        train: dict[str, Any] | None = None,
        contamination: float = 0.01,
    ) -> None:
        super().__init__(model, train)
        self.contamination = contamination

    def fit(self, X: Any, y: Any = None) -> SurprisalDetector:
        """The threshold is what the share ``contamination`` of these texts exceeds."""
        share = number(self.contamination, "contamination", above=0.0, most=0.5)
        super().fit(X, y)
        self.offset_ = float(np.quantile(self.score_samples(X), share))
        return self

    def score_samples(self, X: Any) -> Array:
        """Minus the nats per token of each text: an odd one has less."""
        tokens = self._tokens(X)
        lengths = np.array([max(1, len(ids)) for ids in tokens])
        scores: Array = -sentence_nats(self._loaded, tokens) / lengths
        return scores

    def decision_function(self, X: Any) -> Array:
        """Below zero for an outlier."""
        scores: Array = self.score_samples(X) - self.offset_
        return scores

    def predict(self, X: Any) -> Array:
        """-1 for an outlier, 1 otherwise."""
        return np.where(self.decision_function(X) < 0, -1, 1)


class StateVectors(TransformerMixin, _OfTexts):
    """The outputs of the last layer after each text, a row per text."""

    def transform(self, X: Any) -> Array:
        """The vectors [texts, units]."""
        loaded, rows = self._loaded, list[Array]()
        for ids in self._tokens(X):
            tokens_BT = np.concatenate([[loaded.border], ids]).astype(np.int64)[None]
            hidden_BTH, _ = loaded.program.hidden(
                tokens_BT, loaded.program.initial_state(1), reset_BT=loaded.resets(tokens_BT)
            )
            rows.append(hidden_BTH[0, -1])
        return np.array(rows)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """A name for each column, as pipelines and ``set_output`` ask for them."""
        return np.array([f"unit{n}" for n in range(self._loaded.program.model.hidden_size)], object)


def _texts(X: Any) -> list[str]:
    """The texts of an array or a list."""
    given = X.tolist() if hasattr(X, "tolist") else X
    rule, advice = "must be texts, at least one", "give a list of str"
    require(isinstance(given, (list, tuple)) and len(given) > 0, "X", X, rule, advice)
    return [checked(one, "X") for one in given]


def _trained(texts: Sequence[str], settings: dict[str, Any]) -> bytes:
    """The file of a model of these texts; its run is not kept."""
    with tempfile.TemporaryDirectory(prefix="pantoum-") as folder:
        run = Path(folder, "run")
        train(text=list(texts), **{"documents": "lines", "progress": False, **settings, "run": str(run)})
        return model_path(run).read_bytes()
