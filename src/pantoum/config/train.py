"""The settings of a training run: the budget, the text, the model, the updates, the run folder.

``training.recipe.choose`` chooses what is left at ``auto``; its choices are said in the help (``chosen``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pantoum.config.model_config import (
    CELL,
    EMBEDDING_SIZE,
    HIDDEN_SIZE,
    MEMBERS,
    NGRAM_ROWS,
    NUM_LAYERS,
    dropout_words,
    parse_orders,
)
from pantoum.config.rules import AUTO, Auto, known_encoding, number, one_of, path, require, text, truth, whole
from pantoum.config.setting import SettingGroup, declared, flag, setting
from pantoum.config.tokens import token_name, written_kinds
from pantoum.errors import SettingError

BUDGETS = ("minutes", "steps", "epochs")
"""The units of a budget, of which one is given."""
DOCUMENTS = ("lines", "files", "blank-lines")
OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("linear", "trapezoid", "cosine", "constant")
SAMPLES = 512
"""Symbols that are sampled if no number is given."""


@dataclass(frozen=True)
class BudgetSettings(SettingGroup):
    """How long a run trains."""

    GROUP: ClassVar[str] = "budget (give one; the default is 5 minutes)"

    minutes: float | None = setting(
        None,
        "budget in minutes of wall-clock time, everything included",
        partial(number, above=0.0, most=100_000.0),
        metavar="M",
    )
    steps: int | None = setting(
        None,
        "budget in optimizer steps; the result does not depend on the clock and is repeatable to the bit",
        whole,
        metavar="N",
    )
    epochs: float | None = setting(
        None, "budget in epochs over the training text", partial(number, above=0.0, most=1e6), metavar="E"
    )
    stop_after: int | None = setting(
        None,
        "save a checkpoint after step N and stop; the schedule is still that of the whole budget",
        whole,
        metavar="N",
        once=True,
    )

    def agree(self) -> None:
        """One budget at most."""
        super().agree()
        first, *others = [name for name in BUDGETS if self.given(name)] or [""]
        if others:
            rule = f"cannot be given together with {' and '.join(map(flag, others))}"
            raise SettingError(first, getattr(self, first), rule, "give only one of them", shown=False)


@dataclass(frozen=True)
class TextSettings(SettingGroup):
    """How a text is read, tokenised and split; ``prepare`` has these settings, too."""

    GROUP: ClassVar[str] = "text"

    valid: str | None = setting(
        None, "text file for validation", path, metavar="FILE", chosen="the end of TEXT"
    )
    valid_fraction: float = setting(
        0.1,
        "share of the text that is held out for validation, at most 200,000 tokens; 0: no validation",
        partial(number, least=0.0, below=1.0),
        metavar="F",
    )
    tokens: str = setting(
        AUTO,
        f"tokenizer: {written_kinds()} (N tokens; bpe splits at punctuation, bpe:whitespace only at white "
        "space)",
        token_name,
        metavar="KIND",
        chosen="characters if the text has at most 512 different ones, else bytes",
    )
    vocab_size: int | Auto = setting(
        AUTO,
        "vocabulary size of the words tokenizer",
        partial(whole, least=2),
        metavar="V",
        chosen="20,000; all words of a pre-tokenised text that contains <unk>",
    )
    documents: str | None = setting(
        None,
        "treat the text as many short documents, one per line, file or paragraph",
        partial(one_of, choices=DOCUMENTS),
        chosen="one continuous text",
    )
    encoding: str | None = setting(
        None,
        "encoding of text files that are not in UTF-8 or UTF-16, for example windows-1252",
        known_encoding,
        metavar="NAME",
        chosen="none: such files are refused",
    )


@dataclass(frozen=True)
class ModelSettings(SettingGroup):
    """What model is trained."""

    GROUP: ClassVar[str] = "model"

    cell: str = setting(AUTO, "recurrent cell", CELL, chosen="gru")
    hidden_size: int | Auto = setting(
        AUTO,
        "units per layer",
        HIDDEN_SIZE,
        metavar="H",
        chosen="32 to 1536, by the size of the text and the time",
    )
    num_layers: int | Auto = setting(
        AUTO, "recurrent layers", NUM_LAYERS, metavar="L", chosen="1 to 3, by the hidden size"
    )
    embedding_size: int | Auto | None = setting(
        AUTO,
        "size of the token embedding; none: one-hot inputs",
        EMBEDDING_SIZE,
        metavar="E",
        off=True,
        chosen="a third of the hidden size; for more than 512 symbols up to all of it",
    )
    tied: bool | Auto = setting(
        AUTO,
        "use the weights of the embedding in the output layer",
        truth,
        chosen="for more than 512 symbols",
    )
    dropout: str | float = setting(
        AUTO,
        "dropout RATE, variational:RATE, or inputs=R,between=R,outputs=R",
        dropout_words,
        metavar="SPEC",
        chosen="0, or variational:0.12 to 0.35 if the text is read many times; up to 0.5 for more than "
        "512 symbols",
    )
    ngrams: str | tuple[int, ...] | None = setting(
        AUTO,
        "orders of n-grams whose logits are added to those of the network",
        lambda value, argument: parse_orders(value) or None,
        metavar="N,N",
        off=True,
        chosen="3,4,5 with --minutes if the text is read at most 32 times, else none",
    )
    ngram_rows: int | Auto = setting(
        AUTO,
        "rows of the table of each n-gram order, a power of two",
        NGRAM_ROWS,
        metavar="R",
        chosen="by the size of the text",
    )
    kneser_ney: int | Auto | None = setting(
        AUTO,
        "count the n-grams of up to N tokens of the training text (modified Kneser-Ney) and mix their "
        "predictions with the network",
        partial(whole, least=2, most=8),
        metavar="N",
        off=True,
        chosen="5 if the vocabulary has more than 512 tokens, else none",
    )
    members: int | Auto = setting(
        AUTO,
        "train an ensemble of K members, saved as one model",
        MEMBERS,
        metavar="K",
        chosen="1 to 4 with --minutes, else 1",
    )

    def agree(self) -> None:
        """What needs another part of the model."""
        super().agree()
        require(
            self.ngram_rows == AUTO or self.ngrams is not None,
            "ngram_rows",
            self.ngram_rows,
            "needs n-grams",
            "give --ngrams as well, or leave it out",
        )
        rule, advice = "needs an embedding", "give --embedding-size a number"
        require(self.tied is not True or self.embedding_size is not None, "tied", True, rule, advice)


def parse_softmax(given: str) -> int | None:
    """Read ``full`` (``None``: all symbols), ``sampled`` or ``sampled:N``: the number of samples."""
    found = re.fullmatch(r"full|sampled(?::([0-9]{1,9}))?", given)
    require(
        found is not None,
        "softmax",
        given,
        "must be full, sampled or sampled:N",
        "give for example --softmax sampled:512",
    )
    assert found is not None
    if given == "full":
        return None
    return SAMPLES if found[1] is None else whole(int(found[1]), "softmax", most=1 << 24)


def softmax_words(value: object, argument: str) -> str:
    """The symbols that are compared, as people give them."""
    given = text(value, argument)
    parse_softmax(given)
    return given


def spell_softmax(samples: int | None) -> str:
    """The text that ``parse_softmax`` reads back."""
    return "full" if samples is None else f"sampled:{samples}"


@dataclass(frozen=True)
class UpdateSettings(SettingGroup):
    """How a model is trained."""

    GROUP: ClassVar[str] = "training"

    softmax: str = setting(
        AUTO,
        "symbols that a training step compares its targets with: full (all), sampled or sampled:N",
        softmax_words,
        metavar="KIND",
        chosen="sampled for more than 4,096 symbols, else full",
    )
    batch_size: int | Auto = setting(
        AUTO,
        "parallel streams of text",
        partial(whole, most=1_000_000),
        metavar="B",
        chosen="64, fewer for a short text or time",
    )
    seq_len: int | Auto = setting(
        AUTO,
        "time steps per update (truncated backpropagation through time)",
        partial(whole, most=1_000_000),
        metavar="T",
        chosen="64, fewer for a short text; 32 for more than 512 symbols",
    )
    optimizer: str = setting(
        AUTO,
        "optimizer",
        partial(one_of, choices=OPTIMIZERS),
        chosen="muon if its extra time per update is small, else adamw",
    )
    learning_rate: float | Auto = setting(
        AUTO,
        "peak learning rate",
        partial(number, above=0.0, most=1e3),
        metavar="X",
        chosen="0.0005 to 0.008, by optimizer, batch and hidden size",
    )
    schedule: str = setting(
        AUTO,
        "learning rate schedule",
        partial(one_of, choices=SCHEDULES),
        chosen="linear, after a warm-up of 4%",
    )
    weight_decay: float | Auto = setting(
        AUTO,
        "decoupled weight decay",
        partial(number, least=0.0, most=1e3),
        metavar="X",
        chosen="0.1 with muon, 0.01 with adamw",
    )
    clip: float | Auto | None = setting(
        AUTO, "clip the gradient to this norm", partial(number, above=0.0), metavar="X", off=True, chosen="1"
    )
    average: float | Auto | None = setting(
        AUTO,
        "decay per step of the exponential moving average of the weights",
        partial(number, above=0.0, below=1.0),
        metavar="X",
        off=True,
        chosen="averages over 5% of the run",
    )
    pull: float | Auto | None = setting(
        AUTO,
        "how far a step at a rate of 1 moves the weights back to those of --from",
        partial(number, least=0.0, most=1e3),
        metavar="X",
        off=True,
        chosen="20 for 100 KB, less for a longer text; none for more than 512 symbols",
    )
    spelling: float | Auto | None = setting(
        AUTO,
        "words of like spelling learn together, and each by itself at this multiple of the learning rate",
        partial(number, least=0.0, most=1e3),
        metavar="X",
        off=True,
        chosen="1 to 0.05 for more than 512 symbols, less for more epochs; else, and with --from, none",
    )
    neighbours: int | Auto | None = setting(
        AUTO,
        "initialise the embedding from co-occurrence counts of the text within N tokens, not at random",
        partial(whole, most=100),
        metavar="N",
        off=True,
        chosen="10 for more than 512 symbols of fewer than 100 tokens each; else, and with --from, none",
    )
    precision: str = setting(
        AUTO,
        "arithmetic of matrix products",
        partial(one_of, choices=("auto", "float32", "bf16")),
        chosen="the fastest on this machine with --minutes, else float32",
    )
    shards: int | Auto = setting(
        AUTO,
        "parts of the batch whose gradients are added in a fixed order: up to S ranks share them and train "
        "the same model, bit for bit",
        partial(whole, most=65_536),
        metavar="S",
        chosen="the number of ranks that train, else 1",
    )
    device: str | None = setting(
        None,
        "train in PyTorch on this device; auto: on a GPU if there is one, else as without the option",
        partial(one_of, choices=("auto", "cpu", "cuda")),
        chosen="the core of pantoum, on the processor",
        once=True,
    )
    seed: int = setting(0, "seed of all random numbers", partial(whole, least=0, most=2**63 - 1), metavar="S")


@dataclass(frozen=True)
class FolderSettings(SettingGroup):
    """Where a run is kept, and what it begins from."""

    GROUP: ClassVar[str] = "run"

    run: str | None = setting(
        None, "run folder", path, metavar="DIR", chosen="runs/NAME, after the name of the text", once=True
    )
    data: str | None = setting(
        None, "use the tokens in this folder, made by `pantoum prepare`", path, metavar="DIR", once=True
    )
    checkpoint_every: int | Auto = setting(
        AUTO,
        "steps between checkpoints",
        whole,
        metavar="STEPS",
        chosen="by time with --minutes, else for 20 checkpoints per run",
        once=True,
    )
    keep_data: bool = setting(
        False, "keep the tokens of the text in the run folder after the end of the run", truth, once=True
    )
    resume: bool = setting(
        False, "continue an interrupted run, or train a finished one further", truth, once=True
    )
    from_: str | Auto | None = setting(
        AUTO,
        "start from the weights and the tokenizer of this model (fine-tuning); base:NAME is an "
        "installed base",
        path,
        metavar="MODEL",
        off=True,
        chosen="an installed base where it helps with the text, else none",
    )


@dataclass(frozen=True)
class TrainSettings(BudgetSettings, TextSettings, ModelSettings, UpdateSettings, FolderSettings):
    """The settings of a training run as a person gives them."""

    def agree(self) -> None:
        """No more parts than streams."""
        super().agree()
        require(
            AUTO in (self.shards, self.batch_size) or int(self.shards) <= int(self.batch_size),
            "shards",
            self.shards,
            f"must be at most the batch size, {self.batch_size}",
            "give fewer shards, or a larger --batch-size",
        )


OF_ONE_COMMAND = tuple(name for name, one in declared(TrainSettings).items() if one.once)
"""What a run does not keep."""
