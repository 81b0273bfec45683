"""The settings of a training run.

``training.recipe.choose`` chooses what is left at ``auto``; its choices are said in the help (``chosen``).
"""

# ruff: noqa: RUF009 - `option` makes a field, as `dataclasses.field` does
from __future__ import annotations

from dataclasses import dataclass

from pantoum.config.cells import CELLS
from pantoum.config.model_config import DropoutConfig, check_ngrams, parse_orders
from pantoum.config.rules import AUTO, Auto, number, one_of, option, require, settle, whole
from pantoum.config.softmax import parse_softmax
from pantoum.config.tokens import check_tokens, written_kinds

__all__ = [
    "DEVICES",
    "DOCUMENTS",
    "GRADIENT_PRECISIONS",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "TrainSettings",
]

DOCUMENTS = ("lines", "files", "blank-lines")
DEVICES = ("auto", "cpu", "cuda")
GRADIENT_PRECISIONS = ("float32", "bf16")
OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("auto", "float32", "bf16")
SCHEDULES = ("linear", "trapezoid", "cosine", "constant")


@dataclass(frozen=True)
class TrainSettings:
    """The settings of a training run as a person gives them; every field has a default."""

    minutes: float | None = option(
        None,
        "budget in minutes of wall-clock time, everything included",
        group="budget",
        metavar="M",
    )
    """Budget in minutes of wall-clock time, everything included; 5 where no budget is given."""
    steps: int | None = option(
        None,
        "budget in optimizer steps; the result does not depend on the clock and is repeatable to the bit",
        group="budget",
        metavar="N",
    )
    """Budget in optimizer steps."""
    epochs: float | None = option(
        None, "budget in epochs over the training text", group="budget", metavar="E"
    )
    """Budget in epochs over the training text."""
    stop_after: int | None = option(
        None,
        "save a checkpoint after step N and stop; the schedule stays that of the whole budget",
        group="budget",
        metavar="N",
    )
    """Save a checkpoint and stop after this step, as after SIGTERM; the schedule does not change."""

    valid: str | None = option(
        None, "text file for validation", group="text", metavar="FILE", chosen="the end of TEXT"
    )
    """A text file for validation; without it the last part of the text is held out."""
    valid_fraction: float = option(
        0.1,
        "share of the text that is held out for validation, at most 200,000 tokens; 0: no validation",
        group="text",
        metavar="F",
    )
    """Share of the text that is held out for validation, at most 200,000 tokens; 0: no validation."""
    tokens: str = option(
        AUTO,
        f"tokenizer: {written_kinds()} (N tokens)",
        group="text",
        metavar="KIND",
        chosen="characters where the text has at most 512 different ones, else bytes",
    )
    """The tokenizer."""
    vocab_size: int | Auto = option(
        AUTO,
        "vocabulary size of the words tokenizer",
        group="text",
        metavar="V",
        chosen="20,000; all words of a pre-tokenised text that contains <unk>",
    )
    """Largest size of a learned vocabulary."""
    documents: str | None = option(
        None,
        "treat the text as many short documents, one per line, file or paragraph",
        group="text",
        choices=DOCUMENTS,
        chosen="one continuous text",
    )
    """Whether the text consists of many documents, and what separates them."""
    encoding: str | None = option(
        None,
        "encoding of text files that are not in UTF-8 or UTF-16, for example windows-1252",
        group="text",
        metavar="NAME",
        chosen="none: such files are refused",
    )
    """The encoding of text files that are not UTF-8; ``utf-8``: what is damaged in them is read as U+FFFD."""

    cell: str = option(AUTO, "recurrent cell", group="model", choices=tuple(CELLS), chosen="gru")
    """The recurrent cell."""
    hidden_size: int | Auto = option(
        AUTO,
        "units per layer",
        group="model",
        metavar="H",
        chosen="32 to 1536, from the size of the text and the time",
    )
    """Units per layer."""
    num_layers: int | Auto = option(
        AUTO, "recurrent layers", group="model", metavar="L", chosen="1 to 3, with the hidden size"
    )
    """Recurrent layers."""
    embedding_size: int | Auto | None = option(
        AUTO,
        "size of the token embedding; none: one-hot inputs",
        group="model",
        metavar="E",
        off=True,
        chosen="a third of the hidden size; for more than 512 symbols up to all of it",
    )
    """Size of the token embedding; none: one-hot inputs."""
    tied: bool | Auto = option(
        AUTO,
        "use the weights of the embedding in the output layer",
        group="model",
        chosen="for more than 512 symbols",
    )
    """Whether the output layer uses the weights of the embedding."""
    dropout: str | float = option(
        AUTO,
        "dropout RATE, variational:RATE, or inputs=R,between=R,outputs=R",
        group="model",
        metavar="SPEC",
        chosen="0, or variational:0.12 to 0.35 where the text is read many times; up to 0.5 for more than "
        "512 symbols",
    )
    """Dropout rates."""
    ngrams: str | tuple[int, ...] | None = option(
        AUTO,
        "orders of n-grams whose logits are added to those of the network",
        group="model",
        metavar="N,N",
        off=True,
        chosen="3,4,5 with --minutes where the text is read at most 6.5 times, else none",
    )
    """Orders of the n-grams whose logits are added to those of the network; none: off."""
    ngram_rows: int | Auto = option(
        AUTO,
        "rows of the table of each n-gram order, a power of two",
        group="model",
        metavar="R",
        chosen="from the size of the text",
    )
    """Rows of the table of each n-gram order, a power of two."""
    kneser_ney: int | Auto | None = option(
        AUTO,
        "count the n-grams of up to N tokens of the training text (modified Kneser-Ney) and mix what they "
        "predict with the network",
        group="model",
        metavar="N",
        off=True,
        chosen="5 where the vocabulary has more than 512 tokens, else none",
    )
    """The highest order of the n-grams that are counted and mixed with the network, 2 to 8; none: off."""
    members: int | Auto = option(
        AUTO,
        "train an ensemble of K members, saved as one model",
        group="model",
        metavar="K",
        chosen="1 to 4 with --minutes, else 1",
    )
    """Members of the ensemble, which is saved as one model."""

    softmax: str = option(
        AUTO,
        "symbols that a training step compares its targets with: full (all), sampled or sampled:N",
        group="training",
        metavar="KIND",
        chosen="sampled for more than 4,096 symbols, else full",
    )
    """The symbols that a training step compares its targets with: ``full``, all of them; ``sampled:N``, the
    targets of the batch and about N others (``network.candidates``). Evaluations use all of them."""
    batch_size: int | Auto = option(
        AUTO,
        "parallel streams of text",
        group="training",
        metavar="B",
        chosen="64, fewer for a short text or time",
    )
    """Parallel streams of text, B."""
    seq_len: int | Auto = option(
        AUTO,
        "time steps per update (truncated backpropagation through time)",
        group="training",
        metavar="T",
        chosen="64, fewer for a short text; 32 for more than 512 symbols",
    )
    """Time steps per update, T."""
    optimizer: str = option(
        AUTO,
        "optimizer",
        group="training",
        choices=OPTIMIZERS,
        chosen="muon where its extra time per update is small, else adamw",
    )
    """The optimizer."""
    learning_rate: float | Auto = option(
        AUTO,
        "peak learning rate",
        group="training",
        metavar="X",
        chosen="0.0005 to 0.008, from optimizer, batch and hidden size",
    )
    """The peak of the learning rate schedule."""
    schedule: str = option(
        AUTO,
        "learning rate schedule",
        group="training",
        choices=SCHEDULES,
        chosen="linear, after a warm-up of 4%%",
    )
    """The learning rate schedule."""
    weight_decay: float | Auto = option(
        AUTO,
        "decoupled weight decay",
        group="training",
        metavar="X",
        chosen="0.1 with muon, 0.01 with adamw",
    )
    """Decoupled weight decay (Loshchilov and Hutter 2019)."""
    clip: float | Auto | None = option(
        AUTO, "largest norm of the gradient", group="training", metavar="X", off=True, chosen="1"
    )
    """Largest norm of the gradient of all parameters together."""
    average: float | Auto | None = option(
        AUTO,
        "decay per step of the exponential moving average of the weights",
        group="training",
        metavar="X",
        off=True,
        chosen="averages over 5%% of the run",
    )
    """Decay per step of the exponential moving average of the weights."""
    precision: str = option(
        AUTO,
        "arithmetic of matrix products",
        group="training",
        choices=PRECISIONS,
        chosen="the fastest of this machine with --minutes, else float32",
    )
    """Precision of the operands of matrix products."""
    shards: int | Auto = option(
        AUTO,
        "parts of the batch whose gradients are added in a fixed order: up to S ranks share them and train "
        "the same model, bit for bit",
        group="training",
        metavar="S",
        chosen="the number of ranks that train, else 1",
    )
    """Parts of the batch whose gradients are added in a fixed order; up to so many ranks share them."""
    gradient_precision: str = option(
        "float32",
        "numbers in which the gradients of shards are added and sent between ranks; bf16: half the bytes, "
        "for slow networks",
        group="training",
        choices=GRADIENT_PRECISIONS,
    )
    """Numbers in which the gradients of shards and their sums are kept and sent between ranks; with
    ``sync_every`` above 1 those of the changes of the weights."""
    sync_every: int = option(
        1,
        "updates that each rank makes by itself before all ranks combine their weights, for slow networks; "
        "1: every update is made from the gradients of all ranks",
        group="training",
        metavar="N",
    )
    """Updates that each rank makes by itself before all combine their weights (DiLoCo, Douillard et al.
    2023); 1: none, every update is made from the gradients of all ranks."""
    device: str | None = option(
        None,
        "train in PyTorch on this device; auto: on a GPU if there is one, else as without the option",
        group="training",
        choices=DEVICES,
        chosen="the core of pantoum, on the processor",
    )
    """Train in PyTorch on this device (``pantoum.torch``); ``None``: with the core."""
    seed: int = option(0, "seed of all random numbers", group="training", metavar="S")
    """The seed of initialization and dropout."""

    run: str | None = option(
        None, "run folder", group="run", metavar="DIR", chosen="runs/NAME, after the name of the text"
    )
    """The run folder."""
    data: str | None = option(
        None, "use the tokens in this folder, made by `pantoum prepare`", group="run", metavar="DIR"
    )
    """A folder of tokens made by `pantoum prepare`."""
    checkpoint_every: int | Auto = option(
        AUTO,
        "steps between checkpoints",
        group="run",
        metavar="STEPS",
        chosen="by time with --minutes, else 20 in a run",
    )
    """Steps between checkpoints."""
    keep_data: bool = option(
        False, "keep the tokens of the text in the run folder after the end of the run", group="run"
    )
    """Keep the token shards of a finished run, although its text gives them again."""
    resume: bool = option(False, "continue an interrupted run, or train a finished one further", group="run")
    """Continue the run in the run folder."""
    from_: str | None = option(
        None,
        "start from the weights and the tokenizer of this model (fine-tuning)",
        group="run",
        metavar="MODEL",
    )
    """Start from the weights and the tokenizer of this model (fine-tuning)."""

    def __post_init__(self) -> None:
        settle(self)
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
            "give only one of them",
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
        if self.tokens != AUTO:
            check_tokens(self.tokens)
        if self.vocab_size != AUTO:
            whole(self.vocab_size, "vocab_size", least=2)
        if self.documents is not None:
            one_of(self.documents, "documents", DOCUMENTS)
        if self.encoding is not None:
            from pantoum.config.encoding_names import known_encoding  # few give one

            known_encoding(self.encoding)

    def _check_model(self) -> None:
        if self.cell != AUTO:
            one_of(self.cell, "cell", tuple(CELLS))
        for name in ("hidden_size", "num_layers"):
            if getattr(self, name) != AUTO:
                whole(getattr(self, name), name, most=256 if name == "num_layers" else 65_536)
        if self.embedding_size not in (AUTO, None):
            whole(self.embedding_size, "embedding_size", most=65_536)
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
        if self.kneser_ney not in (AUTO, None):
            whole(self.kneser_ney, "kneser_ney", least=2, most=8)
        if self.members != AUTO:
            whole(self.members, "members", most=64)
        require(
            not (self.tied is True and self.embedding_size is None),
            "tied",
            True,
            "needs an embedding",
            "give embedding_size a number",
        )

    def _check_training(self) -> None:
        if self.softmax != AUTO:
            parse_softmax(self.softmax)
        for name in ("batch_size", "seq_len"):
            if getattr(self, name) != AUTO:
                whole(getattr(self, name), name, most=1_000_000)
        if self.shards != AUTO:
            most = 65_536 if self.batch_size == AUTO else self.batch_size
            whole(self.shards, "shards", most=int(most))
        whole(self.sync_every, "sync_every", most=1_000_000)
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) != AUTO:
                one_of(getattr(self, name), name, choices)
        one_of(self.precision, "precision", PRECISIONS)
        one_of(self.gradient_precision, "gradient_precision", GRADIENT_PRECISIONS)
        if self.device is not None:
            one_of(self.device, "device", DEVICES)
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
