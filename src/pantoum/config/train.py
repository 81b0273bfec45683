"""What a person asks of a training run. What is not given, and what goes with what, is ``training``'s."""

# ruff: noqa: RUF009 - `option` makes a field, as `dataclasses.field` does
from __future__ import annotations

import re
from dataclasses import dataclass

from pantoum.config.model import CELLS, NORMS, DropoutConfig, check_ngrams, parse_orders
from pantoum.config.rules import AUTO, Auto, number, one_of, option, require, whole

__all__ = ["DOCUMENTS", "OPTIMIZERS", "PRECISIONS", "SCHEDULES", "TOKENS_RULE", "TrainSettings"]

DOCUMENTS = ("lines", "files", "blank-lines")
OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("auto", "float32", "bf16")
SCHEDULES = ("linear", "trapezoid", "cosine", "constant")
TOKENS_RULE = "must be bytes, characters, words, words:whitespace or bpe:N"


@dataclass(frozen=True)
class TrainSettings:
    """What a person asks of a training run; all of it may be left out."""

    minutes: float | None = option(
        None, "minutes by the clock, all included (default 5)", group="budget", metavar="M"
    )
    """Budget in minutes by the clock, everything included; 5 where no budget is given."""
    steps: int | None = option(
        None, "optimiser steps; reads no clock, repeatable to the bit", group="budget", metavar="N"
    )
    """Budget in optimiser steps."""
    epochs: float | None = option(None, "passes over the training text", group="budget", metavar="E")
    """Budget in passes over the training text."""
    stop_after: int | None = option(
        None, "checkpoint and end after step N, schedule unchanged", group="budget", metavar="N"
    )
    """Checkpoint and end there as SIGTERM would; the schedule is unchanged."""

    valid: str | None = option(None, "held-out text file", group="text", metavar="FILE")
    """A held-out text; without it the last part of the text is held out."""
    valid_fraction: float = option(0.1, "share of the text held out (0: none)", group="text", metavar="F")
    """Share of the text that is held out, at most 200,000 tokens; 0: none."""
    tokens: str = option(
        AUTO, "bytes, characters, words, words:whitespace or bpe:N", group="text", metavar="KIND"
    )
    """The tokenizer."""
    vocab_size: int | Auto = option(
        AUTO, "most tokens of the words tokenizer (20,000)", group="text", metavar="V"
    )
    """Most tokens of a learned vocabulary."""
    documents: str | None = option(None, "what one document is", group="text", choices=DOCUMENTS)
    """Whether the text is many documents, and what parts them."""

    cell: str = option(AUTO, "recurrent cell", group="model", choices=CELLS)
    """The recurrent cell."""
    hidden_size: int | Auto = option(AUTO, "units in each layer", group="model", metavar="H")
    """Units in each layer."""
    num_layers: int | Auto = option(AUTO, "layers in the stack", group="model", metavar="L")
    """Layers in the stack."""
    embedding_size: int | Auto | None = option(
        AUTO, "size of input vectors; none: one-hot", group="model", metavar="E", off=True
    )
    """Size of the learned input vectors; none: one-hot."""
    tied: bool = option(False, "the head uses the embedding's weights", group="model")
    """Whether the head uses the embedding's weights."""
    residual: bool = option(False, "add each layer's input to its output", group="model")
    """Whether each layer's input is added to its output."""
    norm: str | Auto | None = option(
        AUTO, "normalise each layer's output: layer", group="model", metavar="KIND", off=True
    )
    """Normalisation of each layer's output."""
    dropout: str | float = option(
        AUTO, "rate, or variational:RATE, or inputs=R,between=R,outputs=R", group="model", metavar="SPEC"
    )
    """What is dropped in training."""
    ngrams: str | tuple[int, ...] | None = option(
        AUTO,
        "add logits of n-grams of these orders, say 2,3,4; none: off",
        group="model",
        metavar="N,N",
        off=True,
    )
    """Orders of the n-grams whose own logits are added, as text or numbers, kept as numbers; none: off."""
    ngram_rows: int | Auto = option(
        AUTO, "rows of the table of each order, a power of two", group="model", metavar="R"
    )
    """Rows of the table of each order of n-grams, a power of two."""
    members: int | Auto = option(
        AUTO, "models trained side by side and kept as one, their mean", group="model", metavar="K"
    )
    """Models trained side by side and kept as one, their mean; 1 where no clock counts."""

    batch_size: int | Auto = option(AUTO, "parallel streams", group="training", metavar="B")
    """Parallel streams of text, B."""
    seq_len: int | Auto = option(AUTO, "time steps unrolled for one update", group="training", metavar="T")
    """Time steps unrolled for one update, T."""
    optimizer: str = option(AUTO, "optimiser", group="training", choices=OPTIMIZERS)
    """The optimiser."""
    learning_rate: float | Auto = option(AUTO, "highest learning rate", group="training", metavar="X")
    """The highest learning rate of the schedule."""
    schedule: str = option(
        AUTO, "shape of the learning rate over the budget", group="training", choices=SCHEDULES
    )
    """Shape of the learning rate over the budget."""
    weight_decay: float | Auto = option(AUTO, "decoupled weight decay", group="training", metavar="X")
    """Decoupled weight decay (Loshchilov and Hutter 2019)."""
    clip: float | Auto | None = option(
        AUTO, "largest norm of the gradient", group="training", metavar="X", off=True
    )
    """Largest norm of the gradient of all parameters together."""
    average: float | Auto | None = option(
        AUTO, "decay a step of the averaged weights", group="training", metavar="X", off=True
    )
    """Decay a step of the exponential moving average of the weights."""
    precision: str = option(AUTO, "of the operands of products", group="training", choices=PRECISIONS)
    """Precision of the operands of matrix products."""
    seed: int = option(0, "seed of every random number", group="training", metavar="S")
    """The seed of initialisation and dropout."""

    run: str | None = option(None, "run folder (default runs/<name of the text>)", group="run", metavar="DIR")
    """The run folder."""
    data: str | None = option(None, "folder of tokens made by `pantoum prepare`", group="run", metavar="DIR")
    """A folder of token shards made by `pantoum prepare`."""
    checkpoint_every: int | Auto = option(AUTO, "steps between checkpoints", group="run", metavar="STEPS")
    """Steps between checkpoints."""
    resume: bool = option(False, "go on with an interrupted or finished run", group="run")
    """Go on with the run in the run folder."""
    from_: str | None = option(
        None, "start from a model's weights and tokenizer", group="run", metavar="MODEL"
    )
    """Start from this model's weights and tokenizer (fine-tuning)."""

    def __post_init__(self) -> None:
        self._check_budget()
        self._check_text()
        self._check_model()
        self._check_training()

    def _check_budget(self) -> None:
        given = [name for name in ("minutes", "steps", "epochs") if getattr(self, name) is not None]
        require(
            len(given) <= 1,
            "budget",
            " and ".join(given),
            "must be one of minutes, steps, epochs",
            "give one of them",
        )
        if self.minutes is not None:
            number(self.minutes, "minutes", above=0.0, most=100_000.0)
        if self.epochs is not None:
            number(self.epochs, "epochs", above=0.0, most=1e6)
        for name in ("steps", "stop_after"):
            if getattr(self, name) is not None:
                whole(getattr(self, name), name)

    def _check_text(self) -> None:
        number(self.valid_fraction, "valid_fraction", least=0.0, below=1.0)
        require(
            re.fullmatch(r"auto|bytes|characters|words|words:whitespace|bpe:[0-9]{1,7}", self.tokens)
            is not None,
            "tokens",
            self.tokens,
            TOKENS_RULE,
            "choose one of them",
        )
        if self.vocab_size != AUTO:
            whole(self.vocab_size, "vocab_size", least=2)
        if self.documents is not None:
            one_of(self.documents, "documents", DOCUMENTS)

    def _check_model(self) -> None:
        if self.cell != AUTO:
            one_of(self.cell, "cell", CELLS)
        for name in ("hidden_size", "num_layers"):
            if getattr(self, name) != AUTO:
                whole(getattr(self, name), name, most=256 if name == "num_layers" else 65_536)
        if self.embedding_size not in (AUTO, None):
            whole(self.embedding_size, "embedding_size", most=65_536)
        if self.norm not in (AUTO, None):
            one_of(self.norm, "norm", NORMS)
        if self.dropout != AUTO:
            DropoutConfig.parse(self.dropout)
        if self.ngrams not in (AUTO, None):
            object.__setattr__(self, "ngrams", parse_orders(self.ngrams) or None)
        if self.ngram_rows != AUTO:
            check_ngrams((), self.ngram_rows)
            require(
                self.ngrams is not None,
                "ngram_rows",
                self.ngram_rows,
                "needs n-grams",
                "give --ngrams as well, or leave it out",
            )
        if self.members != AUTO:
            whole(self.members, "members", most=64)
        require(
            not (self.tied and self.embedding_size is None),
            "tied",
            True,
            "needs an embedding",
            "give embedding_size a number",
        )

    def _check_training(self) -> None:
        for name in ("batch_size", "seq_len"):
            if getattr(self, name) != AUTO:
                whole(getattr(self, name), name, most=1_000_000)
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) != AUTO:
                one_of(getattr(self, name), name, choices)
        one_of(self.precision, "precision", PRECISIONS)
        if self.learning_rate != AUTO:
            number(self.learning_rate, "learning_rate", above=0.0, most=1e3)
        if self.weight_decay != AUTO:
            number(self.weight_decay, "weight_decay", least=0.0, most=1e3)
        if self.clip not in (AUTO, None):
            number(self.clip, "clip", above=0.0)
        if self.average not in (AUTO, None):
            number(self.average, "average", above=0.0, below=1.0)
        whole(self.seed, "seed", least=0, most=2**63 - 1)
        if self.checkpoint_every != AUTO:
            whole(self.checkpoint_every, "checkpoint_every")
