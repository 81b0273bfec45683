"""Odd texts in a stream, as river finds anomalies: the model keeps learning from what it is given.

    detector = RiverDetector("runs/app")
    for line in lines:
        score = detector.score_one(line)
        detector.learn_one(line)

x is a text, or a dict with a text under ``on``. ``learn_one`` adapts a copy of the model (``evaluate
--adapt``), by chunks of the texts; ``score_one`` changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

try:
    from river.base import AnomalyDetector
except ImportError:  # river 0.23 and earlier
    from river.anomaly.base import AnomalyDetector

from pantoum.seams import Adapter, Array, LoadedModel, adapter_of, load, sentence_nats
from pantoum.seams import check_text as checked

__all__ = ["RiverDetector"]


class RiverDetector(AnomalyDetector):
    """The nats per token of a text are its score."""

    def __init__(self, model: str, on: str | None = None) -> None:
        self.model, self.on = model, on
        self._made: tuple[int, LoadedModel] | None = None

    def learn_one(self, x: str | Mapping[str, str]) -> None:
        """Read a text after those before, and learn."""
        tokens_T, border = self._tokens(x), [self._adapter.model.border]
        inputs_BT = np.concatenate([border, tokens_T]).astype(np.int64)[None]
        targets_BT = np.concatenate([tokens_T, border]).astype(np.int64)[None]
        borders_BT = self._adapter.model.resets(inputs_BT)
        resets_BT = np.zeros(inputs_BT.shape, bool) if borders_BT is None else borders_BT
        resets_BT[:, 0] = True
        self._adapter.read(inputs_BT, targets_BT, resets_BT)

    def score_one(self, x: str | Mapping[str, str]) -> float:
        """How odd a text is: the nats per token of the model as it is now."""
        learned = self._adapter.tokens
        if self._made is None or self._made[0] != learned:
            self._made = learned, self._adapter.adapted(ended=False)
        tokens_T = self._tokens(x)
        return float(sentence_nats(self._made[1], [tokens_T])[0]) / max(1, len(tokens_T))

    def _tokens(self, x: str | Mapping[str, str]) -> Array:
        text = x if self.on is None else x[self.on]  # type: ignore[index]
        return self._adapter.model.tokenizer.encode(checked(text, "x"))

    @cached_property
    def _adapter(self) -> Adapter:
        adapter = adapter_of(load(self.model)._loaded, True, None)
        assert adapter is not None
        return adapter
