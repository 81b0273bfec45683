"""What a run needs to know before its first step, and the work of a model.

*Work* is the multiply-adds of a model per token (the parameters that take part in products). A run of D
tokens costs about ``6 * work * D`` operations, forward and backward. ``choose`` makes a recipe.

An ``Outlook`` is what is known before training: the text, and how much of it can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pantoum.config import CELLS, ModelConfig
from pantoum.config.plain import Plain
from pantoum.network.ensemble import joined_config
from pantoum.network.spec import number
from pantoum.training.recipe import large_vocabulary

OFF = {
    "kneser_ney": None,
    "samples": None,
    "pull": 0.0,
    "spelling": None,
    "neighbours": None,
    "table_rate": 1.0,
}
"""What files do not tell where it is off."""
TARGETS = 1024
"""Different targets of a batch of words, about; they are candidates beside the samples."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a run needs to know before its first step, and why."""

    model: ModelConfig
    batch_size: int
    seq_len: int
    optimizer: str
    learning_rate: float
    schedule: str
    warm_up: float
    """Share of the run over which the rate rises."""
    weight_decay: float
    clip: float | None
    average: float | None
    """Decay a step of the averaged weights."""
    precision: str
    seed: int
    members: int = 1
    """Members of the ensemble, each of this shape."""
    shards: int = 1
    """Parts of the batch whose gradients are added in a fixed order (``training.update.shards``)."""
    pull: float = 0.0
    """How far a step at a rate of 1 moves the matrices back to those that training began from."""
    spelling: float | None = None
    """The rate at which a word learns by itself what words of like spelling do not share, as a multiple of
    the learning rate (``training.update.spelling``); ``None``: they share nothing."""
    neighbours: int | None = None
    """Within how many tokens co-occurrence is counted to initialise the embedding (``training.neighbours``);
    ``None``: it begins at random."""
    table_rate: float = 1.0
    """The rate of tables of logits as a multiple of the learning rate."""
    kneser_ney: int | None = None
    """The highest order of the n-grams that are counted and mixed with the network; ``None``: none are."""
    samples: int | None = None
    """Symbols that each step samples to compare its targets with; ``None``: all are compared."""
    reasons: tuple[str, ...] = ()

    def spec(self) -> dict[str, Plain]:
        """Plain values, for files; the reasons are for people and stay out."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "reasons"}
        plain = {name: value for name, value in plain.items() if name not in OFF or value != OFF[name]}
        return {**plain, "model": self.model.spec()}

    @property
    def kept(self) -> ModelConfig:
        """The shape of the model that is kept."""
        return joined_config(self.model, self.members)

    def num_parameters(self, vocab_size: int) -> int:
        """How many parameters the model has that is kept. Members learn more: each has its own bias of the
        head and tables of n-grams, of which the model has the mean."""
        return number(self.kept, vocab_size)

    def work(self, vocab_size: int) -> int:
        """Multiply-adds of a token in training, forward, by all members."""
        return self.members * work(self.model, compared(vocab_size, self.samples))

    def work_to_read(self, vocab_size: int) -> int:
        """Multiply-adds of a token that is scored, with all symbols."""
        return self.members * work(self.model, vocab_size)

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> Recipe:
        """The inverse of ``spec``."""
        return Recipe(**{**spec, "model": ModelConfig.from_spec(dict(spec["model"]))})


def compared(vocab_size: int, samples: int | None) -> int:
    """Symbols that a training step compares its targets with, about."""
    return vocab_size if samples is None else min(vocab_size, samples + TARGETS)


def work(model: ModelConfig, symbols: int) -> int:
    """Multiply-adds per token, forward, with so many symbols in the output layer; the look-up of one-hot
    inputs costs none."""
    hidden, cell, embedding = model.hidden_size, CELLS[model.cell], model.embedding_size
    gates, recurrent = len(cell.gates), sum(cell.products) * hidden * hidden
    first = recurrent if embedding is None else recurrent + gates * hidden * embedding
    further = recurrent + gates * hidden * hidden
    head = hidden * symbols
    if model.tied and embedding is not None and embedding != hidden:
        head = embedding * (hidden + symbols)  # by way of the projection
    return first + (model.num_layers - 1) * further + head


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
    """The default precision of products: with minutes the one that was measured to be the fastest here."""
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
