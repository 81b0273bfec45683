"""What is known before training: the text, and how much of it can be read."""

from __future__ import annotations

from dataclasses import dataclass

from pantoum.config import ModelConfig
from pantoum.training.recipe import large_vocabulary
from pantoum.training.recipe.recipe import compared, work

__all__ = ["MOST_EPOCHS", "Outlook"]

MOST_EPOCHS = 50.0
"""Most epochs of a run by the clock; a run that has time for more ends early."""


@dataclass(frozen=True)
class Outlook:
    """What is known before training: the text, and how much of it can be read."""

    tokens: int
    """Tokens of the training text, N."""
    vocab_size: int
    steps: int | None = None
    """Updates that the budget asks for; ``None`` with minutes, and with epochs, whose B x T come first."""
    epochs: float | None = None
    """The epochs that the budget asks for."""
    precision: str = "float32"
    """The default precision of products: the machine's fastest, but only with minutes."""
    operations: float | None = None
    """Floating-point operations that fit into the time, by measurement; only with minutes."""
    surprise: float | None = None
    """How strange the text is to the model that training starts from, in nats per token
    (``training.surprise``); ``None``: not known, or training starts from nothing."""
    samples: int | None = None
    """Symbols that each step samples to compare its targets with; ``None``: all are compared."""

    @property
    def compared(self) -> int:
        """Symbols that a step compares its targets with, about."""
        return compared(self.vocab_size, self.samples)

    @property
    def large(self) -> bool:
        """Whether the vocabulary is one of words or pieces (``large_vocabulary``), not of characters."""
        return self.vocab_size > large_vocabulary.SYMBOLS

    def tokens_read(self, model: ModelConfig, batch: int) -> float:
        """Tokens that the whole budget reads, in all epochs."""
        if self.operations is not None:
            return min(self.operations / (6.0 * work(model, self.compared)), MOST_EPOCHS * self.tokens)
        if self.steps is not None:
            return float(self.steps * batch)
        return (self.epochs or 1.0) * self.tokens
