"""How strange a text is to the model that training starts from.

The recipe needs it for the learning rate of fine-tuning: a model that already predicts such texts is spoilt
by large steps, and one that does not has far to go (decision 079).
"""

from __future__ import annotations

import math

from pantoum.config import ModelConfig
from pantoum.data.prepare import Prepared
from pantoum.formats.model_file import ModelFile
from pantoum.inference.evaluate import held_out_loss
from pantoum.inference.scoring.protocols import SEGMENTS
from pantoum.network import LanguageModel
from pantoum.network.program import Program

__all__ = ["surprise"]

READ = 8192
"""Tokens of the text that the model reads."""


def surprise(source: ModelFile, prepared: Prepared) -> float | None:
    """Nats per token that the model needs for the beginning of the training text, more than its card says of
    its own held-out text; at least 0, and ``None`` where the card does not say. To one decimal, because the
    recipe of a run with steps or epochs must not depend on the last bits of a machine."""
    monitor = source.card.get("monitor")
    own = monitor.get("nats_per_token") if isinstance(monitor, dict) else None
    if not isinstance(own, int | float) or prepared.train.count < 2:
        return None
    config = ModelConfig.from_spec(source.config)
    model = LanguageModel(prepared.tokenizer.vocab_size, config=config, seed=None)
    tokens = prepared.train.read(0, min(READ, prepared.train.count))
    found = held_out_loss(Program(model, source.parameters), tokens, prepared.tokenizer, SEGMENTS)
    more = found - own
    return max(0.0, round(more, 1)) if math.isfinite(more) else None
